"""`exvideo verify latents`: read back every row of the latent shards, and mend what is damaged.

exvideo verify latents --preset tiny --repair
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from upath import UPath

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.receipt import read_receipt, stage_folder
from pipelines.report import open_report
from pipelines.stage import add_preset_arguments, chosen_preset

if TYPE_CHECKING:
    from exvideo.latents.manifest import LatentManifest

STAGE = "latent_shards"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo verify", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["latents"])
    add_preset_arguments(parser)
    parser.add_argument(
        "--repair", action="store_true", help="set damaged shards aside and encode them anew"
    )
    arguments = parser.parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        damaged = _verify(preset)
        if not damaged:
            return 0
        if not arguments.repair:
            print("with --repair, damaged shards are set aside and encoded anew")
            return 1
        _set_aside(preset, damaged)
    except InputError as error:
        print(f"exvideo verify: {error}", file=sys.stderr)
        return 2
    from pipelines import latent_shards
    from pipelines.stage import main as run_program

    options = ["--preset", arguments.preset]
    for setting in arguments.set:
        options += ["--set", setting]
    return run_program(latent_shards.STAGE, options) or (1 if _verify(preset) else 0)


def _verify(preset: Preset) -> list[str]:
    """The names of the damaged shards; each damage is a line on the terminal."""
    with open_report("verify") as progress:
        progress.doing("loading libraries")
        from exvideo.latents.verify import verify

        folder, manifest = read_latents(preset)
        found = verify(folder, manifest, progress)
        for damage in found:
            print(damage)
        rows = sum(shard.rows for shard in manifest.shards)
        names = sorted({damage.shard for damage in found})
        verdict = f"{len(found)} damages, in {len(names)} shards" if found else "all are sound"
        progress.say(f"{rows} rows in {len(manifest.shards)} shards of {folder}: {verdict}")
    return names


def read_latents(preset: Preset) -> tuple[UPath, "LatentManifest"]:
    """The folder of a preset's latent shards, and their manifest.

    Raises `InputError` where there are none.
    """
    from exvideo.latents.manifest import read_manifest

    here = stage_folder(preset, STAGE)
    receipt = read_receipt(here)
    if receipt is None:
        raise InputError(
            f"there are no latents in {here}: run `exvideo run {STAGE} --preset {preset.name}`"
        )
    folder = here / receipt.folder
    return folder, read_manifest(folder / receipt.files["manifest"])


def _set_aside(preset: Preset, shards: list[str]) -> None:
    """Move damaged shards where no run looks, and let the stage find them missing."""
    here = stage_folder(preset, STAGE)
    folder, _ = read_latents(preset)
    aside = folder / "damaged"
    aside.mkdir(exist_ok=True)
    for name in shards:
        # The sidecar first: without it a shard is not finished.
        (folder / name).with_suffix(".json").unlink(missing_ok=True)
        if (folder / name).exists():
            (folder / name).rename(aside / name)
    (here / "receipt.json").unlink(missing_ok=True)
    print(f"damaged shards are in {aside} now; they are encoded anew")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
