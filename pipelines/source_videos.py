"""Stage 1: real video files, wherever the preset says they come from, listed in a manifest.

python -m pipelines.source_videos --preset tiny
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from upath import UPath

from exvideo.config import EmbeddedSource, LocalSource, OpenSoraPlanSource, Preset
from exvideo.progress import Progress
from exvideo.receipt import Figure, write_atomically
from pipelines.stage import Job, Outcome, Stage, main


def run(job: Job) -> Outcome:
    """Collect the source videos and write their manifest."""
    job.progress.doing("loading libraries")
    from exvideo.sources.manifest import write_source_videos

    videos, left_out = collect(job.preset, job.output, job.scratch, job.progress)
    manifest = write_source_videos(job.output, videos)
    files = {"manifest": manifest.name}
    if left_out:
        files["left_out"] = manifest.name.replace("manifest", "left_out").replace("parquet", "json")
        content = json.dumps(left_out, indent=1, sort_keys=True)
        write_atomically(job.output / files["left_out"], content.encode())
        where = job.output / files["left_out"]
        job.progress.say(f"{len(left_out)} entries are no videos, each with its reason: {where}")
    return Outcome(manifest.digest, files, figures(videos, left_out))


def sections(preset: Preset) -> Any:
    """What the source files depend on."""
    return preset.source.model_dump()


def place(preset: Preset) -> Any:
    """Archives and paths join what is there: a further one asks for no new folder."""
    return preset.source.model_dump(exclude={"archives", "annotations", "paths"})


def fingerprint(preset: Preset) -> str:
    """The listing of the user's own videos; other sources never change."""
    from exvideo.sources.local import local_fingerprint

    if isinstance(preset.source, LocalSource):
        return local_fingerprint(preset.source.paths)
    return ""


def collect(
    preset: Preset, folder: UPath, scratch: Path, progress: Progress
) -> tuple[list[Any], dict[str, str]]:
    """The videos' rows, and what else lies beside the user's own, with the reasons."""
    match preset.source:
        case EmbeddedSource() as source:
            from exvideo.sources.embedded import collect_embedded

            return collect_embedded(source, folder, scratch, progress), {}
        case LocalSource() as source:
            from exvideo.sources.local import collect_local

            found = collect_local(source.paths, folder, progress)
            return found.videos, found.left_out
        case OpenSoraPlanSource() as source:
            from exvideo.sources.open_sora_plan import collect_open_sora_plan

            return collect_open_sora_plan(source, folder, scratch, progress), {}


def figures(videos: list[Any], left_out: dict[str, str]) -> dict[str, Figure]:
    figures: dict[str, Figure] = {
        "videos": len({video.video_id for video in videos}),
        "files": len(videos),
        "files with a caption": sum(bool(video.caption) for video in videos),
        "megabytes": round(sum(video.size_bytes for video in videos) / 1e6, 1),
    }
    for source, count in sorted(Counter(video.source for video in videos).items()):
        figures[f"files from {source}"] = count
    kinds = Counter(reason.partition(":")[0] for reason in left_out.values())
    for kind, count in sorted(kinds.items()):
        figures[f"left out: {kind}"] = count
    return figures


STAGE = Stage(
    name="source_videos",
    version=6,
    inputs=(),
    sections=sections,
    run=run,
    grows=True,
    place=place,
    fingerprint=fingerprint,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
