"""A Dagster run of one step that holds a slot of the pool `accelerator`, as stages do.

python -m tests.dagster_project.pool_job DAGSTER_HOME RUN_ID SECONDS
"""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from dagster_project.preset import PresetResource
from dagster_project.run_process import RunProcess
from dagster_project.stages import Stages

ROOT = Path(__file__).parent.parent.parent


class Hold(dg.Config):
    seconds: float


@dg.op(pool="accelerator")
def hold(context: dg.OpExecutionContext, config: Hold, stages: Stages) -> None:
    context.log.info("held")
    time.sleep(config.seconds)


@dg.job(resource_defs={"stages": Stages(preset=PresetResource(name="tiny"))})
def holding() -> None:
    hold()


@contextmanager
def pool_holder(dagster_home: str, seconds: float) -> Iterator[tuple[str, subprocess.Popen]]:
    """Such a run in a process of its own: its id and the process, killed at the block's end."""
    run_id = str(uuid.uuid4())
    command = [sys.executable, "-m", "tests.dagster_project.pool_job"]
    command += [dagster_home, run_id, str(seconds)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield run_id, process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    home, run_id, seconds = sys.argv[1:]
    with dg.DagsterInstance.local_temp(home) as instance:
        holding.execute_in_process(
            run_config={"ops": {"hold": {"config": {"seconds": float(seconds)}}}},
            instance=instance,
            run_id=run_id,
            tags=RunProcess.this_one(run_id).tags(),
            raise_on_error=False,
        )
