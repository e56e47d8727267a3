"""How much of the bare encoder loop a worker keeps that also decodes, draws noise and writes.

python -m benchmarks.latent_encoding --clips 8 --rounds 3

One process and one device: the bare loop encodes clips that lie in its memory, frames and noise
ready; the worker starts from video files and ends with finished shards. They take turns.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from upath import UPath

from exvideo.clips.manifest import Clip, ClipPiece
from exvideo.clips.read import read_clip
from exvideo.config import RandomBase
from exvideo.latents.manifest import Encoding
from exvideo.latents.plan import plan_shards
from exvideo.sources.file_digests import sha256_of
from exvideo.video.decoder import Decoder
from exvideo.video.write import write_mp4

BASE = RandomBase(
    kind="random", path=str(Path(__file__).parent.parent / "tests/models/tiny_svd"), seed=0
)
"""All but the VAE, whose widths are an option here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=8, help="of a shard, which is a round's work")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument(
        "--width", type=int, default=32, help="the VAE's channels; SVD's has 128 to 512"
    )
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="encoding-") as folder:
        _compare(Path(folder), arguments)


def _compare(folder: Path, arguments: argparse.Namespace) -> None:
    # Not above: the processes that decode import this file, too.
    from exvideo.latents.shard_worker import EncodingTask, ShardWorker

    encoding = Encoding(
        base_id="made",
        preprocessing="made",
        dtype="float32",
        frames_per_batch=8,
        noise_augmentations=4,
    )
    clips = list(_clips(folder, arguments.clips, arguments.frames, arguments.side))
    (output := UPath(folder) / "latents").mkdir()
    task = EncodingTask(BASE, encoding, UPath(folder), output, 60, arguments.device)
    with closing(ShardWorker(task)) as worker, Decoder(60) as decoder:
        worker.encoder.vae = _vae(arguments.width).to(worker.encoder.device)
        frames = [read_clip(it, UPath(folder), decoder) for it in clips]
        ready = [
            worker.encoder.prepare(it.clip_id, held) for it, held in zip(clips, frames, strict=True)
        ]
        (plan,) = plan_shards(clips, [], arguments.clips, encoding)
        list(worker.write(plan))  # starts its decoders
        bare, whole, host, memory = [], [], [], []
        for _ in range(arguments.rounds):
            began, used = time.perf_counter(), _cpu_s()
            for clip in ready:
                worker.encoder.forward(clip).row()
            bare.append(time.perf_counter() - began)
            encoding_s = _cpu_s() - used
            for it in output.iterdir():
                it.unlink()
            began, used = time.perf_counter(), _cpu_s()
            list(worker.write(plan))
            whole.append(time.perf_counter() - began)
            host.append(_cpu_s() - used - encoding_s)
            memory.append(psutil.Process().memory_info().rss / 1e6)
    for name, took in (("bare loop", bare), ("worker", whole)):
        a_clip = statistics.median(took) / arguments.clips
        print(f"{name:12} {a_clip:6.2f} s a clip, rounds {_spoken(took)}")
    a_clip = statistics.median(host) / arguments.clips
    print(f"{'beside it':12} {a_clip:6.2f} s of processors' time a clip")
    ratios = [one / other for one, other in zip(bare, whole, strict=True)]
    print(f"{'ratio':12} {statistics.median(ratios):6.2f}, rounds {_spoken(ratios)}")
    print(f"{'memory':12} {memory[-1]:6.0f} MB after the last round, {_spoken(memory)}")


def _cpu_s() -> float:
    """Processors' time so far, of this process and its children."""
    every = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(it.cpu_times().user + it.cpu_times().system for it in every)


def _clips(folder: Path, count: int, frames: int, side: int) -> Iterator[Clip]:
    """Videos that pan over a photograph, each from another place, and their clips."""
    from skimage import data

    photograph = data.astronaut()
    for number in range(count):
        pan = [np.roll(photograph, 3 * frame + 40 * number, axis=1) for frame in range(frames)]
        path = folder / f"{number}.mp4"
        write_mp4(path, np.stack(pan), fps=24)
        yield Clip(
            clip_id=f"{number:016x}",
            video_id=str(number),
            source="made",
            status="kept",
            pieces=[
                ClipPiece(path=path.name, sha256=sha256_of(path), start_frame=0, num_frames=frames)
            ],
            fps=24.0,
            crop_height=512,
            crop_width=512,
            num_frames=frames,
            height=side,
            width=side,
        )


def _vae(width: int) -> Any:
    """SVD's layers, all of one width."""
    import torch
    from diffusers import AutoencoderKLTemporalDecoder

    torch.manual_seed(0)
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(width,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        layers_per_block=1,
    )
    return vae.eval()


def _spoken(figures: list[float]) -> str:
    return " ".join(f"{it:.2f}" if it < 100 else f"{it:.0f}" for it in figures)


if __name__ == "__main__":
    main()
