"""Which frames of a file are damaged, given what went wrong with its packets."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from exvideo.video.packets import VideoPacket, reordering


@dataclass(frozen=True)
class Damage:
    """The frames [start, end) of a file, or what is missing behind its last one."""

    start: int
    end: int
    reason: str

    def __str__(self) -> str:
        if self.start == self.end:
            return f"frames from {self.start} on ({self.reason})"
        return f"frames {self.start} to {self.end - 1} ({self.reason})"


def damaged_stretches(
    packets: Sequence[VideoPacket],
    numbers: Sequence[int],
    decoded: Collection[int],
    whole_groups: bool,
) -> list[Damage]:
    """Stretches of frames that do not show what was encoded, in order, none touching another.

    Each goes from the first damaged frame to the next key frame that is sound: what lies between
    may refer to damaged frames, whatever its decoder says. `numbers` are the packets' frames,
    `decoded` the frames that came out of the decoder. With `whole_groups`, stretches begin at the
    key frame before: the damage may have been overlooked for some frames.
    """
    depth = reordering(numbers)
    stretches: list[Damage] = []
    start, end, reason, group, before = 0, 0, "", 0, 0
    for packet, number in zip(packets, numbers, strict=True):
        damage = packet.damage
        if damage is None and number >= 0 and number not in decoded:
            damage = "no frame comes out of the decoder"
        if packet.is_key and number >= 0:
            group = number
        if damage and not reason:
            start, end, reason = max(0, number), number + 1, damage
            if packet.is_after_loss:
                # Frames that were decoded before the lost ones may have to be shown after them.
                start = max(0, min(start, before - depth))
            if whole_groups:
                start = min(start, group)
        elif reason and packet.is_key and not damage:
            # Up to the key frame as it is shown: what comes after it in the file and is shown
            # before it may refer to what lies before.
            stretches.append(Damage(start, max(end, number), reason))
            reason = ""
        elif reason and number >= 0:
            start, end = min(start, number), max(end, number + 1)
        before += number >= 0
    if reason:
        stretches.append(Damage(start, end, reason))
    return merged(stretches)


def merged(stretches: Sequence[Damage]) -> list[Damage]:
    """The same frames in order, with touching stretches as one, for the reason of its first."""
    merged: list[Damage] = []
    for stretch in sorted(stretches, key=lambda stretch: (stretch.start, stretch.end)):
        if merged and stretch.start <= merged[-1].end:
            before = merged.pop()
            stretch = Damage(before.start, max(before.end, stretch.end), before.reason)
        merged.append(stretch)
    return merged
