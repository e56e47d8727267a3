"""What a local base model's files hold, so that a stage is up to date with that content alone."""

from collections.abc import Sequence
from pathlib import Path

from upath import UPath

from exvideo.config import Preset, data_root, shipped
from exvideo.receipt import digest_of
from exvideo.sources.file_digests import FileDigests


def base_digest(preset: Preset, parts: Sequence[str]) -> str:
    """A digest over the files of these parts, wherever the base lies and whenever it was copied.

    A hub repository has none: its revision stands in the preset.
    """
    base = Path(shipped(preset.model.base.path)).expanduser()
    if base.is_file():
        files = [base]
    else:
        files = sorted(file for part in parts for file in (base / part).glob("*"))
    if not files:
        return ""
    digests = FileDigests(UPath(data_root(preset)) / preset.name / "base_digests.json")
    content = [(str(it.relative_to(base)), digests.sha256(it.absolute())) for it in files]
    digests.save()
    return digest_of(content)
