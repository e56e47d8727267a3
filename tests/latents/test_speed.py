"""What the stage says of its speed."""

import pytest

from exvideo.latents.speed import Done, Stopwatch
from tests.latents.rows import source_clip


def test_two_workers_that_encode_half_of_the_time() -> None:
    times = iter([100.0, 110.0, 110.0])
    stopwatch = Stopwatch(workers=2, clock=lambda: next(times))
    stopwatch.start()
    stopwatch.start()  # the second one, for which nobody waits
    for clip_id in "abcd":
        stopwatch.count(Done(clip_id, encoding_s=2.5))
    clips = [source_clip(it).model_copy(update={"num_frames": 120, "fps": 24}) for it in "abcd"]
    speed = stopwatch.speed(clips)
    assert speed.clips_per_second == pytest.approx(4 / 10)
    assert speed.video_hours_a_day == pytest.approx(4 * 5 / 10 * 24)
    assert speed.busy == pytest.approx(0.5)
