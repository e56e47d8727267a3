"""`exvideo show latents`: a row of the latent shards, decoded, below its source's frames.

exvideo show latents 0 --preset tiny --out row.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from upath import UPath

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import read_receipt, stage_folder
from pipelines.report import open_report
from pipelines.stage import add_preset_arguments, chosen_preset
from pipelines.verify import read_latents

if TYPE_CHECKING:
    from exvideo.latents.manifest import LatentClip, LatentManifest


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo show", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["latents"])
    parser.add_argument("clip", help="a clip_id, or the number of a clip in the manifest")
    add_preset_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    arguments = parser.parse_args(argv)
    if arguments.out.suffix.lower() != ".png":
        parser.error(f"argument --out: {arguments.out} becomes a PNG and must be called so")
    try:
        preset = chosen_preset(arguments)
        with open_report("show") as progress:
            said = _show(preset, arguments.clip, arguments.out, progress)
    except InputError as error:
        print(f"exvideo show: {error}", file=sys.stderr)
        return 2
    print(said)
    return 0


def _show(preset: Preset, wanted: str, out: Path, progress: Progress) -> str:
    folder, manifest = read_latents(preset)
    known = _known(manifest, wanted, folder)
    progress.doing("loading libraries")
    from exvideo.clips.manifest import read_clips
    from exvideo.clips.read import read_clip
    from exvideo.latents.dataset import LatentClips
    from exvideo.latents.picture import beside_source
    from exvideo.models import load_vae
    from exvideo.video.decoder import Decoder

    clips = LatentClips(folder, manifest, known.split)
    row = clips.row([clip.clip_id for clip in clips.clips].index(known.clip_id))
    listed, sources = (_output(preset, stage) for stage in ("clips", "source_videos"))
    source = next(it for it in read_clips(listed) if it.clip_id == known.clip_id)
    progress.doing("decoding the source")
    with Decoder(preset.clips.decode_timeout_s) as decoder:
        frames = read_clip(source, sources.parent, decoder)
    progress.doing("decoding the latents")
    picture, psnr = beside_source(load_vae(preset.model.base), row, frames)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(picture)
    said = f"clip {known.clip_id}, {psnr:.1f} dB: the source's frames above, the latents' below"
    return f"{said}: {out}"


def _known(manifest: "LatentManifest", wanted: str, folder: UPath) -> "LatentClip":
    """Before anything slow is loaded. A clip_id may be all digits, too."""
    by_id = {clip.clip_id: clip for clip in manifest.clips}
    if wanted in by_id:
        return by_id[wanted]
    if wanted.isdecimal() and int(wanted) < len(manifest.clips):
        return manifest.clips[int(wanted)]
    raise InputError(
        f"there is no clip {wanted} in {folder}: give a number from 0 to {len(by_id) - 1}, "
        f"or an id such as {next(iter(by_id))}"
    )


def _output(preset: Preset, stage: str) -> UPath:
    here = stage_folder(preset, stage)
    receipt = read_receipt(here)
    if receipt is None:
        raise InputError(f"there is no output of {stage} in {here}")
    return here / receipt.folder / receipt.files["manifest"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
