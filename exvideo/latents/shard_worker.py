"""Writes one shard after the other: decodes, encodes and publishes. Knows nothing of Ray."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import diffusers
import numpy as np
import torch
from upath import UPath

from exvideo.clips.manifest import Clip
from exvideo.clips.read import read_clip
from exvideo.config import BaseModelConfig
from exvideo.latents.encode import ClipEncoder, NotFiniteError
from exvideo.latents.manifest import Encoding, Missing, Sidecar
from exvideo.latents.plan import ShardPlan
from exvideo.latents.schema import LatentRow, Statistics, arrow_schema
from exvideo.latents.shard import finished_shard, open_shard, write_sidecar
from exvideo.video.decoder import DecodeError, Decoder

Item = TypeVar("Item")
Result = TypeVar("Result")

DECODE_TRIES = 3
"""For clips that fail where the machine may be at fault."""


@dataclass(frozen=True)
class EncodingTask:
    """What every shard has in common."""

    base: BaseModelConfig
    encoding: Encoding
    sources: UPath
    """The folder of the source videos' manifest."""
    output: UPath
    decode_timeout_s: float
    device: str


class ShardWorker:
    """Holds the models on its device."""

    def __init__(self, task: EncodingTask) -> None:
        # The bytes must not depend on how many workers share the cores, nor on which kernel
        # happens to win a race.
        torch.set_num_threads(1)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        self.task = task
        self.encoder = ClipEncoder(task.base, task.encoding, torch.device(task.device))

    def ready(self) -> None:
        """Returns when the models are loaded."""

    def write(self, plan: ShardPlan) -> Iterator[str]:
        """Write the shard and declare it finished; yields the id of each clip when it is done."""
        finished = finished_shard(self.task.output, plan.name)
        if finished and finished.accounted_for() == {clip.clip_id for clip in plan.clips}:
            yield from (clip.clip_id for clip in plan.clips)
            return
        first = plan.clips[0]
        shapes = self.encoder.shapes(first.num_frames, first.height, first.width)
        described = {
            "encoding": self.task.encoding.model_dump(),
            "scaling_factor": self.encoder.scaling_factor,
            "encoded_with": self._encoded_with(),
        }
        missing: list[Missing] = []
        statistics: list[Statistics] = []
        with open_shard(self.task.output, plan.name, arrow_schema(shapes, described)) as shard:
            for clip, row in self._rows(plan.clips):
                if isinstance(row, Missing):
                    missing.append(row)
                else:
                    shard.write(row)
                    statistics.append(row.statistics())
                yield clip.clip_id
        sidecar = Sidecar(
            encoding=self.task.encoding,
            shapes=shapes,
            scaling_factor=self.encoder.scaling_factor,
            encoded_with=self._encoded_with(),
            shard=shard.shard,
            missing=tuple(missing),
            statistics=Statistics.merged(statistics),
        )
        write_sidecar(self.task.output, sidecar)

    def _rows(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, LatentRow | Missing]]:
        with Decoder(self.task.decode_timeout_s) as decoder:
            for clip, frames in _ahead(lambda clip: self._read(clip, decoder), clips):
                if isinstance(frames, Missing):
                    yield clip, frames
                    continue
                try:
                    yield clip, self.encoder.encode(clip.clip_id, frames)
                except NotFiniteError as error:
                    yield clip, Missing(clip_id=clip.clip_id, reason=str(error), permanent=True)

    def _read(self, clip: Clip, decoder: Decoder) -> np.ndarray | Missing:
        for _ in range(DECODE_TRIES):
            try:
                return read_clip(clip, self.task.sources, decoder)
            except DecodeError as error:
                failure = error
                if failure.permanent:
                    break
        # Without the path, which may be that of a temporary copy: equal failures, equal bytes.
        return Missing(clip_id=clip.clip_id, reason=failure.reason, permanent=failure.permanent)

    def _encoded_with(self) -> dict[str, str]:
        device = self.encoder.device
        return {
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        }


def _ahead(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """Items with their results, the next one computed in a thread while one is worked on."""
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) == 2:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()
