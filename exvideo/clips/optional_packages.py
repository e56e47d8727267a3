"""Packages that only some settings need: without them, these settings are refused."""

from collections.abc import Sequence
from importlib.util import find_spec

EXTRA = "curation"
"""The project's extra that brings them."""


def check_installed(what: str, packages: Sequence[str]) -> None:
    """Raises `ValueError` where one of the packages is missing, which `what` needs.

    Nothing is imported, so that presets are checked fast.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"{what} is unavailable: install {' and '.join(missing)}, which exvideo[{EXTRA}] brings"
        )
