"""The code location: quick to load, and the same under every name that it is known by."""

import json
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import dagster as dg
import yaml

from dagster_project.definitions import road

ROOT = Path(__file__).parent.parent.parent
HEAVY = {"torch", "ray", "diffusers", "deepspeed", "pandas", "mlflow", "transformers", "decord"}


def _fresh_import(statement: str) -> dict:
    """Seconds and modules of an import in a fresh interpreter, the best of three."""
    program = (
        "import json, sys, time; started = time.perf_counter(); "
        f"{statement}; seconds = time.perf_counter() - started; "
        "print(json.dumps({'seconds': seconds, 'modules': sorted(sys.modules)}))"
    )
    runs = [
        json.loads(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT))
        for _ in range(3)
    ]
    return min(runs, key=lambda run: run["seconds"])


def test_loading_imports_nothing_heavy() -> None:
    loaded = _fresh_import("from dagster_project.definitions import road; road()")
    assert HEAVY.intersection(loaded["modules"]) == set()


def test_a_stage_that_finds_itself_up_to_date_has_imported_nothing_heavy() -> None:
    stages = "clips, evaluation_grid, latent_shards, post_tuned_model, source_videos"
    loaded = _fresh_import(f"from pipelines import {stages}")
    assert HEAVY.intersection(loaded["modules"]) == set()


def test_loading_costs_at_most_a_second_more_than_dagster() -> None:
    dagster = _fresh_import("import dagster")["seconds"]
    loaded = _fresh_import("from dagster_project.definitions import road; road()")["seconds"]
    assert loaded - dagster <= 1.0


def test_the_road_has_five_assets_each_after_the_one_before() -> None:
    graph = road().resolve_asset_graph()
    order = ["source_videos", "clips", "latent_shards", "post_tuned_model", "evaluation_grid"]
    keys = [dg.AssetKey(name) for name in order]
    assert set(graph.get_all_asset_keys()) == set(keys)
    for before, after in pairwise(keys):
        assert before in graph.get(after).parent_keys


def test_between_the_assets_stand_blocking_checks() -> None:
    graph = road().resolve_asset_graph()
    guarded = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert guarded == {
        "source_videos", "clips", "latent_shards", "post_tuned_model", "evaluation_grid",
    }  # fmt: skip


def test_the_weekly_retraining_is_off_until_someone_switches_it_on() -> None:
    schedule = road().get_schedule_def("weekly_retraining")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.job_name == "whole_road"


def test_the_workspace_and_the_project_name_the_same_location() -> None:
    [entry] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dagster"]
    assert entry["python_module"] == {
        "module_name": project["module_name"],
        "location_name": project["code_location_name"],
    }
