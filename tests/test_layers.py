"""Who may import whom: exvideo <- pipelines, exvideo <- assets <- dagster_project."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "exvideo": {"dagster", "dagster_pipes", "pipelines", "assets", "dagster_project", "tests"},
    "pipelines": {"dagster", "assets", "dagster_project", "tests"},
    "assets": {"pipelines", "tests", "torch", "ray", "diffusers", "deepspeed", "mlflow"},
    "dagster_project": {"pipelines", "tests", "torch", "ray", "diffusers", "deepspeed", "mlflow"},
}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_nothing_above_it(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in (ROOT / package).rglob("*.py")
        for module in _imports(path)
        if module.split(".")[0] in FORBIDDEN[package]
    ]
    assert wrong == []


def test_no_modules_import_each_other() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for package in FORBIDDEN
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }
    graph = {name: modules.keys() & set(_imports(path)) for name, path in modules.items()}
    TopologicalSorter(graph).prepare()  # raises with the circle, where there is one


def test_nothing_uses_mlflows_global_state() -> None:
    fluent = {"start_run", "log_metric", "log_metrics", "log_param", "set_tracking_uri", "autolog"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} mlflow.{node.attr}"
        for package in FORBIDDEN
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "mlflow"
        and node.attr in fluent
    ]
    assert wrong == []


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
