"""Where Dagster and MLflow keep their state beside the stages' outputs."""

import os
import shutil
from pathlib import Path

from upath import UPath

from exvideo.config import Preset, data_root

ROOT = Path(__file__).parent.parent


def prepare_home(preset: Preset) -> dict[str, str]:
    """Make DAGSTER_HOME ready and return the environment that every process shares."""
    root = UPath(data_root(preset))
    local = root.protocol in ("", "file", "local")
    here = Path(str(root)).absolute() if local else Path("outputs").absolute()
    dagster_home = Path(os.environ.get("DAGSTER_HOME") or here / "dagster")
    dagster_home.mkdir(parents=True, exist_ok=True)
    if not (dagster_home / "dagster.yaml").exists():
        shutil.copy(ROOT / "dagster_project" / "dagster.yaml", dagster_home)
    environment = {**os.environ, "DAGSTER_HOME": str(dagster_home)}
    if local:
        environment["EXVIDEO_HOME"] = str(here)
    return environment
