"""Stage 2: candidate clips of the source videos, kept or rejected for a reason.

python -m pipelines.clips --preset tiny --set clips.workers=4
"""

import sys
from collections import Counter
from typing import Any

from exvideo.config import Preset
from exvideo.receipt import Figure, write_atomically
from pipelines.stage import Job, Outcome, Stage, main

SCORES = "scores"
"""Beside the outputs, as other thresholds ask for no other scores."""


def run(job: Job) -> Outcome:
    """Cut the source videos into clips and write their manifest."""
    job.progress.doing("loading libraries")
    from exvideo.clips.curate import curate
    from exvideo.clips.filters.load import load_filters
    from exvideo.clips.funnel import check_some_kept
    from exvideo.clips.funnel_chart import funnel_chart
    from exvideo.clips.histograms import histograms
    from exvideo.clips.manifest import write_clips
    from exvideo.clips.preview import contact_sheet
    from exvideo.clips.report_page import report_page
    from exvideo.clips.verdicts import thresholds
    from exvideo.sources.manifest import read_source_videos
    from exvideo.video.decoder import Decoder

    sources = job.inputs["source_videos"]
    config = job.preset.clips
    videos = read_source_videos(sources.file("manifest"))
    clips = curate(videos, sources.folder, config, job.output.parent / SCORES, job.progress)
    manifest = write_clips(job.output, clips)
    job.progress.say(f"every candidate and its reason: {job.output / manifest.name}")
    filters = load_filters(config.filters, config.aesthetic)
    applied = thresholds(filters, config.filters)
    name = manifest.name.removeprefix("manifest-").removesuffix(".parquet")
    files = {
        "manifest": manifest.name,
        "preview": f"preview-{name}.png",
        "funnel": f"funnel-{name}.png",
        "histograms": f"histograms-{name}.png",
        "report": f"report-{name}.html",
    }
    write_atomically(job.output / files["funnel"], funnel_chart(clips, filters))
    write_atomically(job.output / files["histograms"], histograms(clips, filters, applied))
    with Decoder(config.decode_timeout_s) as decoder:
        # Before the check, as it is looked at most where nothing is kept.
        job.progress.doing("drawing the report")
        page = report_page(clips, filters, applied, sources.folder, decoder)
        write_atomically(job.output / files["report"], page)
        job.progress.say(f"a page to look at: {job.output / files['report']}")
        check_some_kept(clips, config, filters)
        job.progress.doing("drawing the preview")
        sheet = contact_sheet(clips, sources.folder, decoder)
        write_atomically(job.output / files["preview"], sheet)
    return Outcome(manifest.digest, files, _figures(clips))


def sections(preset: Preset) -> Any:
    """What the clips depend on: neither how many are cut at a time, nor how long that may take.

    Filters that are installed beside the project's own count, too.
    """
    from exvideo.clips.filters.load import load_filters

    filters = load_filters(preset.clips.filters, preset.clips.aesthetic)
    versions = [[found.name, found.version, found.threshold] for found in filters]
    clips = preset.clips.model_dump(exclude={"workers", "decode_timeout_s"})
    if not preset.clips.buckets:
        del clips["buckets"]  # or all clips would be made anew for an option that nobody took
    return [clips, versions]


def _figures(clips: list[Any]) -> dict[str, Figure]:
    kept = [clip for clip in clips if clip.status == "kept"]
    figures: dict[str, Figure] = {
        "videos": len({clip.video_id for clip in clips}),
        "candidates": len(clips),
        "clips kept": len(kept),
        "clips held out": sum(clip.split == "held_out" for clip in kept),
        "seconds of video": round(sum(clip.num_frames / clip.fps for clip in kept), 1),
    }
    reasons = Counter(clip.reason_kind for clip in clips if clip.status == "rejected")
    for kind, count in sorted(reasons.items()):
        figures[f"rejected: {kind}"] = count
    return figures


STAGE = Stage(
    name="clips", version=5, inputs=("source_videos",), sections=sections, run=run, grows=True
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
