"""A step that waits for a slot of a pool says for what, and who holds it.

Dagster's own line, "Step blocked by limit for pool accelerator", names no one.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from dagster._core.events import EngineEventData

from dagster_project.abandoned_runs import end_abandoned_runs
from dagster_project.run_process import RunProcess

POLL_S = 2.0

WAITS_FOR = "waits for"
"""Metadata key of the events that say so."""


@dataclass(frozen=True)
class Wait:
    """A step without the slot that it needs."""

    step: str
    pool: str
    holders: str
    """Who holds the pool's slots, for people."""


@contextmanager
def told_waits(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[None]:
    """Within the block, waits of the run's steps are told in its event log."""
    ended = threading.Event()
    thread = threading.Thread(target=_tell, args=[instance, run, ended], daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell(instance: dg.DagsterInstance, run: dg.DagsterRun, ended: threading.Event) -> None:
    told: dict[str, str] = {}
    while not ended.wait(POLL_S):
        now = waits(instance, run.run_id)
        for wait in now:
            if told.get(wait.step) != wait.holders:
                told[wait.step] = wait.holders
                instance.report_engine_event(
                    f"{wait.step} waits for the pool {wait.pool}: {wait.holders}",
                    run,
                    EngineEventData(metadata={WAITS_FOR: dg.MetadataValue.pool(wait.pool)}),
                    step_key=wait.step,
                )
        if now:
            # Whoever holds the slot may be killed while nobody else watches.
            end_abandoned_runs(instance)


def waits(instance: dg.DagsterInstance, run_id: str) -> list[Wait]:
    """What a run's steps wait for now."""
    storage = instance.event_log_storage
    found = []
    for pool in storage.get_concurrency_keys():
        info = storage.get_concurrency_info(pool)
        steps = [
            it.step_key
            for it in info.pending_steps
            if it.run_id == run_id and it.assigned_timestamp is None
        ]
        if steps:
            held = [_holder(instance, it.run_id, it.step_key) for it in info.claimed_slots]
            holders = "; ".join(held) or f"its limit is {info.limit}"
            found += [Wait(step, pool, holders) for step in steps]
    return found


def _holder(instance: dg.DagsterInstance, run_id: str, step: str) -> str:
    run = instance.get_run_by_id(run_id)
    process = None if run is None else RunProcess.of(run)
    holder = f"run {run_id[:8]} is at {step}"
    if process is None:
        return f"{holder}; no process is known for it: cancel it in Dagster if it is over"
    return f"{holder}, as process {process.pid} on {process.host}"
