"""Measure every sample, and draw the ones that the figures show."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from exvideo.evaluation.figure import Block, Row
from exvideo.evaluation.flow import Raft, clip_flow
from exvideo.evaluation.metrics import motion_histograms
from exvideo.evaluation.numbers import Numbers, measure, summarise
from exvideo.evaluation.protocol import Protocol
from exvideo.evaluation.samples import REAL, Sample
from exvideo.progress import Progress


def evaluate(
    samples: Sequence[Sample],
    raft: Raft,
    shown_clips: int,
    progress: Progress,
    *,
    fps: float,
    period: int,
    sampling: dict[str, Any],
) -> tuple[Numbers, list[Block]]:
    """All samples' numbers, and the figures' blocks: the first clips at their first seed.

    The real clips come first in `samples`. Only the shown frames and flow stay in memory. `period`
    is that of the positions which the model's table starts from; `sampling` is what the clips were
    generated with.
    """
    measured = []
    motion: dict[str, list[np.ndarray]] = {}
    blocks: dict[str, Block] = {}
    first_seed = samples[0].seed
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
        )
        measured.append(numbers)
        motion.setdefault(sample.phase.name, []).append(motion_histograms(flow.raft))
        if sample.phase == REAL:
            if len(blocks) < shown_clips:
                blocks[given.clip_id] = Block(given.image, numbers, [])
        elif given.clip_id in blocks and sample.seed == first_seed:
            blocks[given.clip_id].rows.append(Row(frames, flow.raft, numbers))
    progress.update(len(samples), len(samples), "clips measured")
    numbers_of_all = summarise(
        measured,
        motion,
        protocol=Protocol.of(
            raft, sampling, [it.first_frame.image for it in samples if it.phase == REAL]
        ),
        num_frames=len(frames),
        fps=fps,
        period=period,
    )
    return numbers_of_all, list(blocks.values())


def grid_contrast(blocks: Sequence[Block]) -> float:
    """Standard deviation of all shown frames' pixels in [0, 1]: near 0, the grid is blank."""
    return float(
        np.sqrt(np.mean([(row.frames / np.float32(255)).var() for b in blocks for row in b.rows]))
    )
