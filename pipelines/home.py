"""Where Dagster and MLflow keep their state and logs beside the stages' outputs."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from exvideo.config import Preset, data_root

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Home:
    """A home that is ready."""

    environment: dict[str, str]
    """What every process shares."""
    logs: Path
    """The folder for what Dagster, MLflow and other packages print."""


def prepare_home(preset: Preset) -> Home:
    """Make DAGSTER_HOME and the folder of logs ready."""
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
    logs = here / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return Home(environment, logs)
