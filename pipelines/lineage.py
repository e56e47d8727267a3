"""`exvideo lineage`: from a generated clip to model, data, clips, source files and licences.

exvideo lineage clip.mp4
exvideo lineage outputs/tiny/evaluation_grid/0123456789ab/grid.mp4 --json
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from upath import UPath

from exvideo.config import data_root
from exvideo.errors import InputError
from exvideo.lineage import Lineage, trace
from pipelines.stage import add_preset_arguments, chosen_preset

BROKEN = 1


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo lineage", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a generated clip, a grid, a model or its folder")
    parser.add_argument("--json", action="store_true", help="everything, clip by clip")
    add_preset_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        found = trace(arguments.file, UPath(data_root(chosen_preset(arguments))))
    except InputError as error:
        print(f"exvideo lineage: {error}", file=sys.stderr)
        return 2
    print(found.model_dump_json(indent=1) if arguments.json else "\n".join(_lines(found)))
    return BROKEN if found.breaks else 0


def _lines(found: Lineage) -> Iterator[str]:
    yield found.file
    yield f"  model    {_short(found.model)}  {found.model_folder or ''}"
    if found.began_with:
        yield f"  began    {_short(found.began_with)}  with its own data: `exvideo lineage` of it"
    yield f"  data     {_short(found.data)}  {len(found.shards)} shards"
    yield f"  clips    {_short(found.clips_manifest)}  {len(found.clips)} clips with latents"
    licences = ", ".join(f"{count} {name}" for name, count in found.licences().items())
    yield f"  sources  {len(found.sources)} files: {licences}"
    for it in found.sources:
        yield f"    {it.sha256[:12]}  {it.clips:>4} clips  {it.licence_claimed or '?'}  {it.path}"
    for lost in found.breaks:
        yield f"  the chain is broken: {lost}"


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
