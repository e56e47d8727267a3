from exvideo.video.damage import Damage, damaged_stretches, merged
from exvideo.video.packets import VideoPacket, frame_numbers, reordering

GROUPS_OF_FOUR = "IPPPIPPPIPPP"


def packets(types: str, times: list[int] | None = None) -> list[VideoPacket]:
    """A packet a letter, of key frames (I) and others, shown at the given times or in order."""
    shown = times or list(range(len(types)))
    return [
        VideoPacket(pts, None, kind == "I", False) for kind, pts in zip(types, shown, strict=True)
    ]


def stretches(
    seen: list[VideoPacket], missing: tuple[int, ...] = (), whole_groups: bool = False
) -> list[Damage]:
    numbers = frame_numbers(seen)
    assert numbers is not None
    decoded = {number for number in numbers if number >= 0} - set(missing)
    return damaged_stretches(seen, numbers, decoded, whole_groups)


def test_nothing_wrong_is_no_damage() -> None:
    assert stretches(packets(GROUPS_OF_FOUR)) == []


def test_damage_lasts_to_the_next_key_frame() -> None:
    seen = packets(GROUPS_OF_FOUR)
    seen[5].damage = "spoilt"
    assert stretches(seen) == [Damage(5, 8, "spoilt")]


def test_a_key_frame_that_is_damaged_itself_ends_nothing() -> None:
    seen = packets(GROUPS_OF_FOUR)
    seen[2].damage, seen[4].damage = "spoilt", "too"
    assert stretches(seen) == [Damage(2, 8, "spoilt")]


def test_damage_in_the_last_group_lasts_to_the_end() -> None:
    seen = packets(GROUPS_OF_FOUR)
    seen[9].damage = "spoilt"
    assert stretches(seen) == [Damage(9, 12, "spoilt")]


def test_a_frame_that_never_comes_out_is_damage() -> None:
    (damage,) = stretches(packets(GROUPS_OF_FOUR), missing=(6,))
    assert (damage.start, damage.end) == (6, 8)


def test_frames_shown_earlier_but_decoded_later_are_damaged_too() -> None:
    seen = packets("IPBBPBB", [0, 3, 1, 2, 6, 4, 5])
    seen[1].damage = "spoilt"
    assert stretches(seen) == [Damage(1, 7, "spoilt")]


def test_frames_shown_before_an_open_groups_key_frame_are_damaged_with_those_before() -> None:
    seen = packets("IPPIBBPP", [0, 1, 2, 5, 3, 4, 6, 7])
    seen[2].damage = "spoilt"
    assert stretches(seen) == [Damage(2, 5, "spoilt")]


def test_a_frame_decoded_before_lost_ones_but_shown_after_them_is_damaged() -> None:
    # Frames 1 and 2 are lost: frame 3 would seem to follow frame 0.
    seen = packets("IPPBBI", [0, 3, 6, 4, 5, 9])
    seen[2].damage, seen[2].is_after_loss = "lost", True
    (damage,) = stretches(seen)
    assert damage.start <= 1


def test_whole_groups_are_damaged_from_their_key_frame_on() -> None:
    seen = packets(GROUPS_OF_FOUR)
    seen[6].damage = "spoilt"
    assert stretches(seen, whole_groups=True) == [Damage(4, 8, "spoilt")]


def test_a_damaged_hidden_frame_spoils_those_that_follow() -> None:
    seen = packets("IPPPIPPP")
    for packet in seen[:2]:
        packet.is_hidden = True
    seen[1].damage = "spoilt"
    assert stretches(seen) == [Damage(0, 2, "spoilt")]


def test_stretches_that_touch_are_one() -> None:
    found = [Damage(4, 8, "later"), Damage(2, 4, "first"), Damage(9, 9, "end")]
    assert merged(found) == [Damage(2, 8, "first"), Damage(9, 9, "end")]


def test_damage_names_its_frames() -> None:
    assert str(Damage(37, 62, "spoilt")) == "frames 37 to 61 (spoilt)"
    assert str(Damage(60, 60, "cut off")) == "frames from 60 on (cut off)"


def test_frames_are_numbered_as_they_are_shown() -> None:
    assert frame_numbers(packets("IPBB", [0, 90, 30, 60])) == [0, 3, 1, 2]


def test_times_that_repeat_tell_no_frames_apart() -> None:
    assert frame_numbers(packets("IPP", [0, 30, 30])) is None


def test_reordering_counts_the_frames_decoded_ahead_of_their_time() -> None:
    assert reordering([0, 1, 2]) == 0
    assert reordering([0, 4, 2, 1, 3]) == 2
