"""How receipts, files and pictures look on an asset's page."""

import base64
import mimetypes
from urllib.parse import quote

import dagster as dg
from upath import UPath

from dagster_project.stages import Stages
from exvideo.config import Preset
from exvideo.receipt import Receipt, stage_folder


def describe(preset: Preset, receipt: Receipt) -> dict[str, dg.MetadataValue]:
    """The receipt's figures, its files and where they lie."""
    folder = stage_folder(preset, receipt.stage) / receipt.folder
    return {
        **{name: _value(figure) for name, figure in receipt.figures.items()},
        **{
            f"file: {name}": dg.MetadataValue.path(str(folder / file))
            for name, file in receipt.files.items()
        },
        "folder": dg.MetadataValue.path(str(folder)),
        "seconds": dg.MetadataValue.float(round(receipt.seconds, 1)),
        "preset": dg.MetadataValue.text(preset.name),
    }


def output_file(stages: Stages, stage: str, name: str = "manifest") -> UPath:
    """A file of a stage's last output."""
    preset, receipt = stages.finished(stage)
    return stage_folder(preset, stage) / receipt.folder / receipt.files[name]


def picture(path: UPath) -> dg.MetadataValue:
    """A picture from any storage, kept in the event itself; it opens behind a button."""
    kind, _ = mimetypes.guess_type(path.name)
    encoded = base64.b64encode(path.read_bytes()).decode()
    return dg.MetadataValue.md(f"![{path.name}](data:{kind};base64,{encoded})")


def mlflow_picture(preset: Preset, mlflow_run_id: str, artifact: str) -> dg.MetadataValue:
    """A picture among an MLflow run's artifacts; it shows in place while MLflow's UI is up."""
    url = f"{preset.tracking.ui_url}/get-artifact?path={quote(artifact)}&run_uuid={mlflow_run_id}"
    return dg.MetadataValue.md(f"![{artifact}]({url})")


def _value(figure: bool | int | float | str) -> dg.MetadataValue:
    if isinstance(figure, bool):
        return dg.MetadataValue.bool(figure)
    if isinstance(figure, int):
        return dg.MetadataValue.int(figure)
    if isinstance(figure, float):
        return dg.MetadataValue.float(figure)
    return dg.MetadataValue.url(figure) if "://" in figure else dg.MetadataValue.text(figure)
