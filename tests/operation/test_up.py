"""`exvideo up` keeps what its servers print in files, and shows it where one of them ends."""

from pathlib import Path

from tests.operation.road import Road


def test_a_server_that_ends_by_itself_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("nonsense: true\n")
    road = Road(tmp_path)
    ports = ["--port", str(road.dagster_port), "--mlflow-port", str(road.mlflow_port)]
    failed = road.run("up", *ports)
    log = tmp_path / "logs" / "dagster.log"
    assert failed.returncode == 2
    assert f"Dagster ended with code 1; the end of {log}:" in failed.stderr
    assert 'Received unexpected config entry "nonsense"' in failed.stderr
    assert failed.stdout.startswith(f"starting Dagster; it logs to {log}\n")
