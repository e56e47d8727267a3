"""Writes one shard after the other: decodes, encodes and publishes at the same time.

Knows nothing of Ray. Who only starts workers needs no torch: their own processes load it.
"""

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
from upath import UPath

from exvideo.clips.manifest import Clip
from exvideo.clips.read import read_clip
from exvideo.config import BaseModelConfig
from exvideo.latents.in_order import InOrderWriter
from exvideo.latents.manifest import Encoding, Missing, Sidecar
from exvideo.latents.plan import ShardPlan
from exvideo.latents.read_ahead import read_ahead
from exvideo.latents.schema import arrow_schema
from exvideo.latents.shard import finished_shard, open_shard, write_sidecar
from exvideo.latents.speed import Done
from exvideo.video.decoder import DecodeError, Decoder

if TYPE_CHECKING:
    from exvideo.latents.encode import PreparedClip

DECODE_TRIES = 3
"""For clips that fail where the machine may be at fault."""

DECODERS = 2
"""Processes that decode for one encoder: while one has a slow clip, the other goes on."""

AHEAD = 4
"""Clips in memory or being decoded: 100 MB each at 128 frames of 512x512."""


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
    """Holds the models on its device, and the processes that decode for it."""

    def __init__(self, task: EncodingTask) -> None:
        import torch

        from exvideo.latents.encode import ClipEncoder

        # The bytes must not depend on how many workers share the cores, nor on which kernel
        # happens to win a race.
        torch.set_num_threads(1)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        self.task = task
        self.encoder = ClipEncoder(task.base, task.encoding, torch.device(task.device))
        self._decoders = [Decoder(task.decode_timeout_s) for _ in range(DECODERS)]

    def close(self) -> None:
        """End the processes that decode, which else end with this one."""
        for decoder in self._decoders:
            decoder.close()

    def ready(self, after_s: float) -> None:
        """Returns so many seconds after the models are loaded."""
        time.sleep(after_s)

    def write(self, plan: ShardPlan) -> Iterator[Done]:
        """Write the shard and declare it finished; yields each clip when it is done."""
        finished = finished_shard(self.task.output, plan.name)
        if finished and finished.accounted_for() == {clip.clip_id for clip in plan.clips}:
            yield from (Done(clip.clip_id, 0.0) for clip in plan.clips)
            return
        first = plan.clips[0]
        shapes = self.encoder.shapes(first.num_frames, first.height, first.width)
        described = {
            "encoding": self.task.encoding.model_dump(),
            "scaling_factor": self.encoder.scaling_factor,
            "encoded_with": self._encoded_with(),
        }
        schema = arrow_schema(shapes, described)
        with (
            open_shard(self.task.output, plan.name, schema) as shard,
            InOrderWriter(shard, plan.clips) as writer,
            closing(self._prepared(plan.clips)) as prepared,
        ):
            for number, clip in prepared:
                encoded = clip if isinstance(clip, Missing) else self.encoder.forward(clip)
                # Not `yield from`: Ray sends into a generator, and a list takes nothing.
                for done in writer.put(number, encoded):
                    yield done
            for done in writer.rest():
                yield done
        sidecar = Sidecar(
            encoding=self.task.encoding,
            shapes=shapes,
            scaling_factor=self.encoder.scaling_factor,
            encoded_with=self._encoded_with(),
            shard=shard.shard,
            missing=tuple(writer.missing),
            statistics=shard.statistics,
        )
        write_sidecar(self.task.output, sidecar)

    def _prepared(
        self, clips: Iterable[Clip]
    ) -> Generator[tuple[int, "PreparedClip | Missing"], None, None]:
        """Clips by their number, in the order in which their decoding ends."""
        idle: SimpleQueue[Decoder] = SimpleQueue()
        for decoder in self._decoders:
            idle.put(decoder)

        def prepare(clip: Clip) -> "PreparedClip | Missing":
            decoder = idle.get()
            try:
                frames = self._read(clip, decoder)
            finally:
                idle.put(decoder)
            if isinstance(frames, Missing):
                return frames
            return self.encoder.prepare(clip.clip_id, frames)

        yield from read_ahead(prepare, clips, DECODERS, AHEAD)

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
        import diffusers
        import PIL
        import torch

        device, batch = self.encoder.device, self.encoder.frames_per_batch
        reduced = batch < self.task.encoding.frames_per_batch
        return {
            **({"frames_per_batch": str(batch)} if reduced else {}),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "pillow": PIL.__version__,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        }
