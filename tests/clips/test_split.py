from exvideo.clips.split import held_out_videos

VIDEOS: dict[str, bool | None] = {f"video {k}": None for k in range(1000)}


def test_about_the_share_is_held_out() -> None:
    assert 160 < len(held_out_videos(VIDEOS, 0.2)) < 240


def test_a_video_stays_on_its_side_as_others_join() -> None:
    few = dict(list(VIDEOS.items())[:100])
    assert held_out_videos(few, 0.2) == held_out_videos(VIDEOS, 0.2) & set(few)


def test_what_the_source_says_holds() -> None:
    said: dict[str, bool | None] = {"a": True, "b": False, "c": False}
    assert held_out_videos(said, 0.5) == {"a"}
    assert held_out_videos(said, 0.0) == {"a"}


def test_two_videos_stand_on_both_sides_whatever_the_draw() -> None:
    for k in range(50):
        videos: dict[str, bool | None] = {f"{k} a": None, f"{k} b": None}
        assert len(held_out_videos(videos, 0.3)) == 1


def test_nothing_is_held_out_where_nothing_is_asked_for() -> None:
    assert held_out_videos(VIDEOS, 0.0) == set()


def test_a_single_video_is_trained_on() -> None:
    assert held_out_videos({"only": None}, 0.01) == set()
