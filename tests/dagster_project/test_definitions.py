"""The code location: quick to load, and the same under every name that it is known by."""

import json
import subprocess
import sys
import tomllib
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import dagster as dg
import yaml

from dagster_project.definitions import road

ROOT = Path(__file__).parent.parent.parent
FIGURES = ("resolution_grid", "comparison_grid")
PARTS = ("open_sora_plan", "own_batches")
HEAVY = {"torch", "ray", "diffusers", "deepspeed", "pandas", "mlflow", "transformers", "decord"}


def _fresh_import(statement: str) -> dict:
    """Seconds of a processor and modules of an import, in a process of its own."""
    program = (
        "import json, sys, time; started = time.process_time(); "
        f"{statement}; seconds = time.process_time() - started; "
        "print(json.dumps({'seconds': seconds, 'modules': sorted(sys.modules)}))"
    )
    return json.loads(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT))


def _seconds(statement: str) -> float:
    """The best of three."""
    return min(_fresh_import(statement)["seconds"] for _ in range(3))


def test_loading_imports_nothing_heavy() -> None:
    loaded = _fresh_import("from dagster_project.definitions import road; road()")
    assert HEAVY.intersection(loaded["modules"]) == set()


def test_a_stage_that_finds_itself_up_to_date_has_imported_nothing_heavy() -> None:
    stages = "champion, clips, evaluation_grid, latent_shards, post_tuned_model, source_videos"
    stages += "".join(f", {it}" for it in FIGURES)
    loaded = _fresh_import(f"from pipelines import {stages}")
    assert HEAVY.intersection(loaded["modules"]) == set()


def test_loading_costs_at_most_as_much_again_as_dagster() -> None:
    dagster = _seconds("import dagster")
    loaded = _seconds("from dagster_project.definitions import road; road()")
    assert loaded <= 2 * dagster  # it is 1.4 times as much


def test_the_road_has_six_assets_each_after_the_one_before() -> None:
    graph = road().resolve_asset_graph()
    order = [
        "source_videos", "clips", "latent_shards", "post_tuned_model", "evaluation_grid", "champion"
    ]  # fmt: skip
    keys = [dg.AssetKey(name) for name in order]
    beside = {dg.AssetKey(name) for name in (*FIGURES, *PARTS)}
    assert graph.get_all_asset_keys() - set(keys) == beside
    for before, after in pairwise(keys):
        assert before in graph.get(after).parent_keys


def test_every_asset_says_where_it_stands_what_makes_it_and_whose_it_is() -> None:
    graph = road().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name in {
            "sources", "data", "training", "evaluation", "release", "figures"
        }  # fmt: skip
        assert node.kinds
        assert node.owners
        assert "](data:image/svg+xml;base64," in str(node.description)


def test_staleness_is_true() -> None:
    """An asset is of the stage's version, and below all that the stage reads."""
    graph = road().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        name = key.to_user_string()
        stage = import_module(f"pipelines.{'scored_videos' if name in PARTS else name}").STAGE
        [version] = graph.get(key).assets_def.code_versions_by_key.values()
        assert version == str(stage.version), key
        above = {it.to_user_string() for it in graph.get_ancestor_asset_keys(key)}
        assert set(stage.inputs) <= above, key


def test_figures_have_a_job_of_their_own_and_the_road_waits_for_no_partition() -> None:
    definitions = road()
    drawn = {dg.AssetKey(name) for name in FIGURES}
    for key in drawn:
        parents = definitions.resolve_asset_graph().get(key).parent_keys
        assert dg.AssetKey("post_tuned_model") in parents
    selected = {
        name: definitions.resolve_job_def(name).asset_layer.selected_asset_keys
        for name in ("figures", "whole_road", "retraining")
    }
    assert selected["figures"] == drawn
    alone = drawn | {dg.AssetKey(name) for name in PARTS}
    assert not alone & selected["whole_road"]
    assert not alone & selected["retraining"]


def test_between_the_assets_stand_blocking_checks() -> None:
    graph = road().resolve_asset_graph()
    guarded = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert guarded == {
        "source_videos", "clips", "latent_shards", "post_tuned_model", "evaluation_grid",
        "champion",
    }  # fmt: skip


def test_the_weekly_retraining_is_off_until_someone_switches_it_on() -> None:
    schedule = road().get_schedule_def("weekly_retraining")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.job_name == "retraining"


def test_the_workspace_and_the_project_name_the_same_location() -> None:
    [entry] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dagster"]
    assert entry["python_module"] == {
        "module_name": project["module_name"],
        "location_name": project["code_location_name"],
    }
