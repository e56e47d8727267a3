"""What somebody wrote about videos, in files beside them."""

import json
from typing import NamedTuple

from upath import UPath

SIDECARS = (".json", ".txt")
"""Endings of a file that tells of the video of the same name; the first counts."""


class Told(NamedTuple):
    """Of one video; empty where nothing is said."""

    caption: str = ""
    licence: str = ""


def sidecar_of(video: UPath) -> UPath | None:
    """The file beside the video that tells of it."""
    beside = (video.with_suffix(ending) for ending in SIDECARS)
    return next((file for file in beside if file.is_file()), None)


def told_in(sidecar: UPath) -> Told:
    """From `name.json`, an object with `caption` and `licence`, or `name.txt`, a caption.

    Raises `ValueError` where the file holds something else.
    """
    text = sidecar.read_bytes().decode("utf-8-sig")
    if sidecar.suffix != ".json":
        return Told(one_line(text))
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    told = {name: content.get(name) or "" for name in Told._fields}
    wrong = [name for name, value in told.items() if not isinstance(value, str)]
    if wrong:
        raise ValueError(f"its {wrong[0]} is no text")
    if not any(told.values()):
        raise ValueError("it has neither a caption nor a licence")
    return Told(*(one_line(value) for value in told.values()))


def one_line(text: str) -> str:
    """Without line breaks and double spaces."""
    return " ".join(text.split())
