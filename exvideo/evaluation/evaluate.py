"""Measure every sample, and draw the ones that the figures show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exvideo.evaluation.figure import Block, Row
from exvideo.evaluation.flow import ClipFlow, Raft, clip_flow
from exvideo.evaluation.metrics import motion_histograms
from exvideo.evaluation.networks import NO_NETWORKS, Networks
from exvideo.evaluation.numbers import Numbers, SampleNumbers, measure, summarise
from exvideo.evaluation.protocol import Protocol
from exvideo.evaluation.samples import REAL, Sample
from exvideo.progress import Progress


@dataclass(frozen=True)
class Measured:
    """A sample with its pixels, as long as somebody looks at them."""

    sample: Sample
    frames: np.ndarray
    flow: ClipFlow
    numbers: SampleNumbers


def measured(
    samples: Sequence[Sample],
    raft: Raft,
    progress: Progress,
    *,
    fps: float,
    period: int,
    networks: Networks,
) -> Iterator[Measured]:
    """Measure one sample after the other; `period` as `evaluate` takes it."""
    for done, sample in enumerate(samples):
        progress.update(done, len(samples), "clips measured")
        frames = sample.frames()
        flow = clip_flow(raft, frames, fps)
        given = sample.first_frame
        numbers = measure(
            frames,
            flow,
            given.image,
            period,
            phase=sample.phase.name,
            step=sample.phase.step,
            clip_id=given.clip_id,
            seed=sample.seed,
            networks=networks,
        )
        yield Measured(sample, frames, flow, numbers)
    progress.update(len(samples), len(samples), "clips measured")


def evaluate(
    samples: Sequence[Sample],
    raft: Raft,
    shown_clips: int,
    progress: Progress,
    *,
    fps: float,
    period: int,
    sampling: dict[str, Any],
    networks: Networks = NO_NETWORKS,
) -> tuple[Numbers, list[Block]]:
    """All samples' numbers, and the figures' blocks: the first clips at their first seed.

    The real clips come first in `samples`; without any there are no blocks. Only the shown frames
    and flow stay in memory. `period` is that of the positions which the model's table starts from;
    `sampling` is what the clips were generated with.
    """
    found = []
    motion: dict[str, list[np.ndarray]] = {}
    features: dict[str, list[np.ndarray]] = {}
    blocks: dict[str, Block] = {}
    first_seed = samples[0].seed
    for it in measured(samples, raft, progress, fps=fps, period=period, networks=networks):
        found.append(it.numbers)
        phase, given = it.sample.phase, it.sample.first_frame
        motion.setdefault(phase.name, []).append(motion_histograms(it.flow.raft))
        if (seen := networks.video_features(it.frames)) is not None:
            features.setdefault(phase.name, []).append(seen)
        if phase == REAL:
            if len(blocks) < shown_clips:
                blocks[given.clip_id] = Block(given.image, it.numbers, [])
        elif given.clip_id in blocks and it.sample.seed == first_seed:
            blocks[given.clip_id].rows.append(Row(it.frames, it.flow.raft, it.numbers))
    given_images = {it.first_frame.clip_id: it.first_frame.image for it in samples}
    numbers_of_all = summarise(
        found,
        motion,
        features=features,
        protocol=Protocol.of(raft, sampling, given_images.values(), networks),
        num_frames=len(it.frames),
        fps=fps,
        period=period,
        networks=networks,
    )
    return numbers_of_all, list(blocks.values())


def grid_contrast(blocks: Sequence[Block]) -> float:
    """Standard deviation of all shown frames' pixels in [0, 1]: near 0, the grid is blank."""
    return float(
        np.sqrt(np.mean([(row.frames / np.float32(255)).var() for b in blocks for row in b.rows]))
    )
