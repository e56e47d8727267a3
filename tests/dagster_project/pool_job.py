"""A Dagster run of one step that holds a slot of the pool `accelerator`, as stages do.

python -m tests.dagster_project.pool_job DAGSTER_HOME RUN_ID SECONDS
"""

import sys
import time

import dagster as dg

from dagster_project.preset import PresetResource
from dagster_project.run_process import RunProcess
from dagster_project.stages import Stages


class Hold(dg.Config):
    seconds: float


@dg.op(pool="accelerator")
def hold(context: dg.OpExecutionContext, config: Hold, stages: Stages) -> None:
    context.log.info("held")
    time.sleep(config.seconds)


@dg.job(resource_defs={"stages": Stages(preset=PresetResource(name="tiny"))})
def holding() -> None:
    hold()


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
