"""The plan is a function of the clips and of what is finished."""

import random
import statistics

from upath import UPath

from exvideo.clips.manifest import Clip
from exvideo.latents.manifest import Missing
from exvideo.latents.plan import plan_shards
from tests.latents.rows import ENCODING, write_shard


def clips(*clip_ids: str) -> list[Clip]:
    size = {"num_frames": 2, "height": 8, "width": 8}
    return [
        Clip(clip_id=it, video_id=it, source="t", status="kept", pieces=[], **size)
        for it in clip_ids
    ]


def ids(plans):
    return [[clip.clip_id for clip in plan.clips] for plan in plans]


def test_clips_are_cut_into_shards_by_id_whatever_their_order():
    ordered = clips(*"abcde")
    shuffled = random.Random(0).sample(ordered, 5)
    assert ids(plan_shards(shuffled, [], 2, ENCODING)) == [["a", "b"], ["c", "d"], ["e"]]
    assert plan_shards(shuffled, [], 2, ENCODING) == plan_shards(ordered, [], 2, ENCODING)


def test_what_an_interrupted_run_left_is_planned_as_before(tmp_path):
    whole = plan_shards(clips(*"abcdefg"), [], 2, ENCODING)
    for undone in ({1}, {0, 2}, {1, 3}):
        finished = [
            write_shard(UPath(tmp_path), plan.name, [clip.clip_id for clip in plan.clips])
            for i, plan in enumerate(whole)
            if i not in undone
        ]
        again = plan_shards(clips(*"abcdefg"), finished, 2, ENCODING)
        assert again == [whole[i] for i in sorted(undone)]


def test_few_clips_make_small_shards_and_many_make_large_ones():
    for count, most in ((20, 8), (1200, 8), (3200, 20), (20_000, 64)):
        sizes = [
            len(it) for it in ids(plan_shards(clips(*map(str, range(count))), [], 64, ENCODING))
        ]
        assert max(sizes) == most
        assert sum(sizes) == count


def test_one_long_video_among_a_hundred_keeps_nobody_waiting():
    lengths = [110, *99 * [11]]  # windows of ten minutes and of one
    planned = plan_shards(clips(*map(str, range(sum(lengths)))), [], 64, ENCODING)
    for workers in (2, 4, 8):
        ends = [0] * workers
        for plan in planned:  # each takes the next one when it has ended its own
            ends[ends.index(min(ends))] += len(plan.clips)
        assert max(ends) <= 1.1 * statistics.median(ends)


def test_a_shard_holds_clips_of_one_shape_and_the_largest_come_first():
    small, large = clips(*"abd"), [it.model_copy(update={"width": 16}) for it in clips(*"ce")]
    planned = plan_shards([*small, *large], [], 2, ENCODING)
    assert ids(planned) == [["c", "e"], ["a", "b"], ["d"]]


def test_new_clips_make_new_shards_and_finished_ones_stay(tmp_path):
    finished = [write_shard(UPath(tmp_path), "shard-0", ["b", "d"])]
    assert ids(plan_shards(clips(*"abcde"), finished, 2, ENCODING)) == [["a", "c"], ["e"]]


def test_a_lasting_failure_is_not_tried_again_and_a_passing_one_is(tmp_path):
    sidecar = write_shard(UPath(tmp_path), "shard-0", ["a"])
    reasons = (
        Missing(clip_id="b", reason="broken", permanent=True),
        Missing(clip_id="c", reason="too slow", permanent=False),
    )
    finished = [sidecar.model_copy(update={"missing": reasons})]
    assert ids(plan_shards(clips(*"abc"), finished, 2, ENCODING)) == [["c"]]


def test_the_name_tells_clips_and_encoding_apart():
    (plan,) = plan_shards(clips("a"), [], 2, ENCODING)
    (other_clip,) = plan_shards(clips("b"), [], 2, ENCODING)
    coarser = ENCODING.model_copy(update={"dtype": "bfloat16"})
    (other_encoding,) = plan_shards(clips("a"), [], 2, coarser)
    assert len({plan.name, other_clip.name, other_encoding.name}) == 3
