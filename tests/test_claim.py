"""The claim's benchmark: what it keeps, what it compares and how its tables read."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.claim import plan
from benchmarks.claim.bars import bars_table
from benchmarks.claim.clips import generated, measured, values_of, world_path
from benchmarks.claim.convergence import Reached, reached
from benchmarks.claim.tables import changes, convergence_table, estimates, spread, table
from benchmarks.claim.trainings import key_of, training_job
from exvideo.receipt import Receipt, stage_folder, write_receipt

SIZES = plan.Sizes(steps=40, seeds=2, first_frames=6, ablated_frames=3)
FRAMES = [np.full((8, 8, 3), level, np.uint8) for level in (0, 90, 180)]


class Generator:
    """Repeats the first frame, and counts how often it was loaded and asked."""

    def __init__(self) -> None:
        self.loaded = self.asked = 0

    def load(self):
        self.loaded += 1
        return self.generate

    def generate(self, image: np.ndarray) -> np.ndarray:
        self.asked += 1
        return np.repeat(image[None], 4, axis=0)


def test_a_second_call_generates_only_what_is_missing(tmp_path: Path) -> None:
    first, second, third = Generator(), Generator(), Generator()
    generated(tmp_path, {"model": "a"}, FRAMES[:2], first.load)
    paths = generated(tmp_path, {"model": "a"}, FRAMES, second.load)
    generated(tmp_path, {"model": "a"}, FRAMES, third.load)
    assert (first.asked, second.asked, third.loaded) == (2, 1, 0)
    assert [np.load(path)[3, 0, 0, 0] for path in paths] == [0, 90, 180]


def test_clips_of_another_model_are_others(tmp_path: Path) -> None:
    generator = Generator()
    one = generated(tmp_path, {"model": "a"}, FRAMES, generator.load)
    other = generated(tmp_path, {"model": "b"}, FRAMES, generator.load)
    assert not set(one) & set(other)


def test_a_clips_numbers_are_kept_beside_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "clip.npy", rng.integers(0, 256, (5, 32, 32, 3), np.uint8))
    given = np.load(tmp_path / "clip.npy")[0]
    found = measured(tmp_path / "clip.npy", given)
    (tmp_path / "clip.npy").unlink()
    assert measured(tmp_path / "clip.npy", given) == found


def test_a_swing_that_goes_on_is_told_from_one_that_starts_again() -> None:
    frames = np.zeros((17, 16, 16, 3), np.uint8)
    visible = np.ones((16, 16, 16), bool)
    on = np.zeros((16, 2, 16, 16), np.float32)
    on[:8, 0], on[8:, 0] = 1, -1
    again = on.copy()
    again[:, 0] = 1
    again[7::8, 0] = -7
    went_on = values_of(frames, on, visible, frames[0])
    started_again = values_of(frames, again, visible, frames[0])
    assert went_on["straightness"] == pytest.approx(1)
    assert started_again["straightness"] == pytest.approx(0, abs=1e-6)
    assert went_on["camera jitter"] < started_again["camera jitter"]


def test_what_a_clip_does_not_have_is_left_out() -> None:
    frames = np.zeros((5, 16, 16, 3), np.uint8)
    still = values_of(
        frames, np.zeros((4, 2, 16, 16), np.float32), np.ones((4, 16, 16), bool), frames[0]
    )
    assert "camera jitter" not in still
    assert still["speed"] == 0


def test_a_training_is_kept_by_its_settings_and_its_data(tmp_path: Path) -> None:
    rows = plan.ablation_rows(SIZES)
    presets = [plan.preset(row, SIZES, str(tmp_path)) for row in rows if row.training is not None]
    for digest in ("one", "other"):
        receipt = Receipt(
            stage="latent_shards",
            key="k",
            folder="f",
            digest=digest,
            files={"manifest": "m"},
            figures={},
            seconds=0,
        )
        write_receipt(stage_folder(presets[0], "latent_shards"), receipt)
        folders = {training_job(it, "float32", tmp_path).folder for it in presets}
        assert len(folders) == len(presets)
        again = training_job(presets[0], "float32", tmp_path)
        assert again.folder in folders
        assert again.data_digest == digest


def test_a_training_without_latents_is_refused(tmp_path: Path) -> None:
    preset = plan.preset(plan.main_rows(SIZES)[1], SIZES, str(tmp_path))
    with pytest.raises(FileNotFoundError, match="latent_shards"):
        training_job(preset, "float32", tmp_path)


def test_a_key_does_not_depend_on_the_order_of_settings() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 1, "b": 3})


def test_the_target_is_reached_between_two_validations() -> None:
    rows = [
        {"step": 0, "validation_loss": 0.14},
        {"step": 5, "seconds_per_step": 1.0},
        {"step": 10, "seconds_per_step": 2.0},
        {"step": 20, "validation_loss": 0.04},
    ]
    found = reached(rows, 0.09)
    assert found is not None
    assert found.steps == pytest.approx(10)
    assert found.minutes == pytest.approx(10 * 1.5 / 60)
    assert reached(rows, 0.03) is None


def test_a_range_is_told_only_where_every_seed_arrives() -> None:
    rows = [
        {"step": 0, "validation_loss": 1.0},
        {"step": 1, "seconds_per_step": 60.0},
        {"step": 100, "validation_loss": 0.0},
    ]
    found = reached(rows, 0.5)
    assert "| median | 50 | 50.00 |" in convergence_table([found, found], 0.5)
    missed = convergence_table([found, None], 0.5)
    assert "| 1 | not reached | – |" in missed
    assert "median" not in missed
    assert spread([9, 10, 12]) == pytest.approx(0.3)


def test_changes_are_between_clips_of_the_same_first_frame() -> None:
    before = {(str(clip), 0): {"jitter": float(clip)} for clip in range(5)}
    after = {(str(clip), seed): {"jitter": clip - 0.5} for clip in range(5) for seed in (0, 1)}
    found = changes(after, before)["jitter"]
    assert found.mean == pytest.approx(-0.5)
    assert found.interval == pytest.approx((-0.5, -0.5))
    assert found.samples == 10


def test_a_table_has_means_intervals_and_dashes() -> None:
    samples = {(str(clip), 0): {"jitter": 0.5, "warped error": 0.01} for clip in range(5)}
    text = table({"before": estimates(samples)}, {"before": 5})
    expected = (
        "| before | 5 | – | 0.50 (0.50 to 0.50) | – | – | – | 0.0100 (0.0100 to 0.0100) | – |"
    )
    assert text.splitlines()[-1] == expected


def clips(**values: float):
    """A row of which every clip has these numbers."""
    named = {name.replace("_", " "): it for name, it in values.items()}
    return estimates({(str(clip), 0): named for clip in range(4)})


def test_a_baseline_that_does_not_follow_the_world_is_named_and_no_bar_for_one_that_does() -> None:
    still = {"warped_error": 0.01, "first_frame": 28.0}
    before = clips(camera_jitter=0.9, straightness=0.3, path_agreement=0.2, speed=0.6, **still)
    after = clips(camera_jitter=0.3, straightness=0.95, path_agreement=0.92, speed=0.6, **still)
    change = clips(warped_error=0.0, first_frame=0.0)
    baselines = {
        "panning on": clips(camera_jitter=0.1, path_agreement=0.0, speed=0.6),
        "swinging": clips(camera_jitter=0.4, path_agreement=0.8, speed=0.6),
    }
    arrivals = [Reached(100, 1.0), Reached(104, 2.0)]
    text = bars_table(before, after, after, change, baselines, arrivals)
    assert "at its speed | than all 1 | reached" in text
    assert "than each baseline | 0.30, not than panning on (0.10) | **not** reached" in text
    assert "| steps to target: range at most 8 % of the median | 4% | reached" in text
    assert "| minutes to target: range at most 8 % of the median | 67% | **not** reached" in text


def test_the_worlds_picture_goes_left_and_is_back_after_16_frames() -> None:
    path = world_path(17)
    assert path[8, 0] == path[:, 0].min() < -1e-3
    assert path[16] == pytest.approx([0, 0], abs=1e-9)
