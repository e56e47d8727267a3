"""How near a worker comes to its bare encoder: decoding, noise and writing should cost nothing.

python -m benchmarks.encoding --clips 24 --frames 16
"""

import argparse
import hashlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from upath import UPath

from exvideo.clips.manifest import Clip, ClipPiece
from exvideo.clips.read import read_clip
from exvideo.config import load_preset
from exvideo.latents.manifest import Encoding
from exvideo.latents.plan import plan_shards
from exvideo.latents.shard_worker import EncodingTask, ShardWorker
from exvideo.models import ENCODERS, base_id
from exvideo.video.decoder import Decoder
from exvideo.video.write import write_mp4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="tiny", help="whose base model encodes")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=128, help="side in pixels")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    preset = load_preset(arguments.preset, {})
    encoding = Encoding(
        base_id=base_id(preset.model.base, ENCODERS),
        dtype=preset.latents.encode_dtype,
        frames_per_batch=preset.latents.frames_per_batch,
        noise_augmentations=preset.latents.noise_augmentations,
    )
    with TemporaryDirectory(prefix="encoding-") as name:
        folder = UPath(name)
        clips = [_clip(Path(name), i, arguments.frames, arguments.size) for i in range(4)]
        clips = [
            clips[i % 4].model_copy(update={"clip_id": f"{i:03}"}) for i in range(arguments.clips)
        ]
        task = EncodingTask(preset.model.base, encoding, folder, folder / "shards", 60, device)
        worker = ShardWorker(task)
        bare = _bare_loop(worker, clips, folder)
        started = time.perf_counter()
        (plan,) = plan_shards(clips, [], len(clips), encoding)
        task.output.mkdir()
        done = len(list(worker.write(plan)))
        whole = time.perf_counter() - started
        print(f"{done} clips on {device}: bare encoder {bare:.1f} s, whole worker {whole:.1f} s")
        print(f"ratio {bare / whole:.2f}")


def _bare_loop(worker: ShardWorker, clips: list[Clip], folder: UPath) -> float:
    """Seconds for the encoder alone, over clips that lie in memory."""
    with Decoder(60) as decoder:
        frames = [read_clip(clip, folder, decoder) for clip in clips[:4]]
    ready = [worker.encoder.prepare(clip.clip_id, frames[i % 4]) for i, clip in enumerate(clips)]
    worker.encoder.forward(ready[0]).row()  # kernels are chosen
    started = time.perf_counter()
    for clip in ready:
        encoded = worker.encoder.forward(clip)
    encoded.row()  # waits for the device
    return time.perf_counter() - started


def _clip(folder: Path, number: int, frames: int, size: int) -> Clip:
    """A video of moving noise, as dear to decode as a real one."""
    picture = np.random.default_rng(number).integers(0, 256, (size // 8, size // 8, 3), np.uint8)
    large = picture.repeat(8, axis=0).repeat(8, axis=1)
    path = folder / f"{number}.mp4"
    write_mp4(path, np.stack([np.roll(large, time, axis=1) for time in range(frames)]), fps=24)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    piece = ClipPiece(path=path.name, sha256=digest, start_frame=0, num_frames=frames)
    return Clip(
        clip_id=str(number),
        video_id=str(number),
        source="benchmark",
        status="kept",
        pieces=[piece],
        fps=24,
        crop_height=size,
        crop_width=size,
        num_frames=frames,
        height=size,
        width=size,
        motion_bucket_id=127,
    )


if __name__ == "__main__":
    main()
