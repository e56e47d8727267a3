"""The runs that matter now, as JSON: those under way, and the newest that failed.

python -m dagster_project.run_list
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from dagster_project.retraining import UNDER_WAY


def run_list(instance: dg.DagsterInstance) -> dict[str, Any]:
    """`running`, and `failed` or None, each with its job, id, time and what is to be said of it."""
    running = instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY))
    failed = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=1
    )
    return {
        "running": [_told(it, it.dagster_run.status.value.lower()) for it in running],
        "failed": _told(failed[0], _reason(instance, failed[0])) if failed else None,
    }


def _told(record: dg.RunRecord, said: str) -> dict[str, str]:
    run, created = record.dagster_run, record.create_timestamp
    return {"job": run.job_name, "run": run.run_id, "created": created.isoformat(), "said": said}


def _reason(instance: dg.DagsterInstance, record: dg.RunRecord) -> str:
    """Which steps failed, and when it ended."""
    run_id = record.dagster_run.run_id
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    steps = ", ".join(sorted({str(it.step_key) for it in failures}))
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else None
    told = f"failed in {steps}" if steps else "failed before its first step"
    return told + (f", {ended:%d %B %Y, %H:%M} UTC" if ended else "")


def main() -> int:
    with dg.DagsterInstance.get() as instance:
        print(json.dumps(run_list(instance)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
