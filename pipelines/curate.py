"""`exvideo curate report`: what was kept and dropped and why, as a page to look at.

exvideo curate report --preset tiny --out report.html
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import read_receipt, stage_folder
from pipelines.clips import SCORES
from pipelines.report import open_report
from pipelines.stage import add_preset_arguments, chosen_preset


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo curate", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["report"])
    add_preset_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    arguments = parser.parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        with open_report("curate") as progress:
            said = _report(preset, arguments.out, progress)
    except InputError as error:
        print(f"exvideo curate: {error}", file=sys.stderr)
        return 2
    print(said)
    return 0


def _report(preset: Preset, out: Path, progress: Progress) -> str:
    """The page as the preset would have it, from remembered scores where there are any."""
    progress.doing("loading libraries")
    from exvideo.clips.curate import curate
    from exvideo.clips.filters.load import load_filters
    from exvideo.clips.report_page import report_page
    from exvideo.clips.verdicts import thresholds
    from exvideo.sources.manifest import read_source_videos
    from exvideo.video.decoder import Decoder

    here = stage_folder(preset, "source_videos")
    receipt = read_receipt(here)
    if receipt is None:
        raise InputError(
            f"there is no output of source_videos in {here}: "
            f"run `exvideo run source_videos --preset {preset.name}` first"
        )
    sources = here / receipt.folder
    videos = read_source_videos(sources / receipt.files["manifest"])
    scores = stage_folder(preset, "clips") / SCORES
    clips = curate(videos, sources, preset.clips, scores, progress)
    filters = load_filters(preset.clips.filters, preset.clips.aesthetic)
    progress.doing("drawing thumbnails")
    with Decoder(preset.clips.decode_timeout_s) as decoder:
        applied = thresholds(filters, preset.clips.filters)
        page = report_page(clips, filters, applied, sources, decoder)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(page)
    kept = sum(clip.status == "kept" for clip in clips)
    return f"{kept} of {len(clips)} candidates kept: {out}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
