"""Where a preset's paths lead."""

import os
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
PRESETS = PROJECT / "pipelines" / "presets"


def unwritable(path: Path) -> Path | None:
    """What of `path` exists, where that is no folder that can be written to; else None."""
    absolute = path.expanduser().absolute()
    existing = next(it for it in (absolute, *absolute.parents) if it.exists())
    return None if existing.is_dir() and os.access(existing, os.W_OK) else existing


def shipped(path: str) -> str:
    """A path as it stands, or below the project's root where the file lies only there."""
    below_root = PROJECT / path
    return str(below_root) if below_root.exists() and not Path(path).exists() else path
