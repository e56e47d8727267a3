"""`exvideo demo`: every asset of a preset, materialized by Dagster, and where the results lie."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from exvideo.config import Preset, load_preset, parse_override
from exvideo.config.machine import check_machine
from exvideo.errors import InputError
from exvideo.receipt import Receipt, read_receipt, stage_folder
from exvideo.supervised import run_supervised
from pipelines.home import prepare_home
from pipelines.stage import add_preset_arguments


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="exvideo demo", description=__doc__)
    add_preset_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        overrides = dict(parse_override(text) for text in arguments.set)
        preset = load_preset(arguments.preset, overrides)
        check_machine(preset)
    except InputError as error:
        print(f"exvideo demo: {error}", file=sys.stderr)
        return 2
    config = {
        "resources": {"preset": {"config": {"name": arguments.preset, "overrides": overrides}}},
        "loggers": {"console": {"config": {"log_level": "INFO"}}},
    }
    command = [sys.executable, "-m", "dagster", "job", "execute"]
    command += ["-m", "dagster_project.definitions", "-j", "whole_road"]
    environment = prepare_home(preset)
    settings = Path(environment["DAGSTER_HOME"]) / "demo.yaml"
    settings.write_text(yaml.safe_dump(config))
    code = run_supervised([*command, "--config", str(settings)], environment)
    if code == 0:
        print(results(preset))
    else:
        print(
            "\nexvideo demo: a stage failed; `STAGE ended with code N`, above, is followed by its "
            f"own words. `exvideo run STAGE --preset {arguments.preset}` runs it alone; what was "
            "finished is kept.",
            file=sys.stderr,
        )
    return code


def results(preset: Preset) -> str:
    """Where the road's end lies, for a person."""
    model, grid = _made(preset, "post_tuned_model"), _made(preset, "evaluation_grid")
    lines = [
        "",
        f"grid        {_file(preset, grid, 'grid')}",
        f"video       {_file(preset, grid, 'video')}",
        f"model       {_file(preset, model, 'extension')}",
        f"MLflow run  {model.figures.get('MLflow run', '')}",
        "",
        "Both UIs: `make ui` (or `exvideo up`), then",
        "  Dagster   http://127.0.0.1:3000",
        f"  MLflow    {preset.tracking.ui_url}",
    ]
    return "\n".join(lines)


def _made(preset: Preset, stage: str) -> Receipt:
    receipt = read_receipt(stage_folder(preset, stage))
    if receipt is None:
        raise FileNotFoundError(f"{stage} left no receipt in {stage_folder(preset, stage)}")
    return receipt


def _file(preset: Preset, receipt: Receipt, name: str) -> str:
    return str(stage_folder(preset, receipt.stage) / receipt.folder / receipt.files[name])
