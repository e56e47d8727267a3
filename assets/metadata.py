"""How receipts, files and pictures look on an asset's page."""

import base64
import mimetypes
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

import dagster as dg
from pydantic import BaseModel
from upath import UPath

from dagster_project.stages import Stages
from exvideo.config import Preset
from exvideo.receipt import Receipt, stage_folder
from exvideo.tracking import artifact_page

if TYPE_CHECKING:
    import pyarrow as pa


def materialized(
    stages: Stages, receipt: Receipt, further: Mapping[str, dg.MetadataValue] | None = None
) -> dg.MaterializeResult:
    """What an asset says of its stage's output; `further` is its own beside the receipt's."""
    return dg.MaterializeResult(
        metadata={**_described(stages.preset.load(), receipt), **(further or {})},
        data_version=dg.DataVersion(receipt.digest),
    )


def _described(preset: Preset, receipt: Receipt) -> dict[str, dg.MetadataValue]:
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


def figure(
    stages: Stages, receipt: Receipt, grid: str, report: str | None = None
) -> dg.MaterializeResult:
    """What an asset says of a figure that its stage has logged with the model's training.

    `grid` and `report` are files among that run's artifacts, in the folder `evaluation`.
    """
    preset, training = stages.finished("post_tuned_model")
    grid_picture = mlflow_picture(
        preset, str(training.figures["mlflow_run_id"]), f"evaluation/{grid}"
    )
    metadata = {"grid": grid_picture}
    if report is not None:
        page = artifact_page(str(training.figures["MLflow run"]), f"evaluation/{report}")
        metadata["report"] = dg.MetadataValue.url(page)
    metadata["preview"] = picture(output_file(stages, receipt.stage, "preview"))
    return materialized(stages, receipt, metadata)


def table(path: UPath, row: type[BaseModel] | None = None) -> dict[str, dg.MetadataValue]:
    """A Parquet file's columns and number of rows, as Dagster's catalogue knows them.

    `row` describes the columns.
    """
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        footer = pq.read_metadata(file)
    described = {} if row is None else row.model_fields
    words = {name: it.description for name, it in described.items()}
    columns = [_column(it, words.get(it.name)) for it in footer.schema.to_arrow_schema()]
    return {
        "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns)),
        "dagster/row_count": dg.MetadataValue.int(footer.num_rows),
    }


def _column(field: "pa.Field", words: str | None) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=field.nullable)
    return dg.TableColumn(field.name, str(field.type), words, constraints)


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
