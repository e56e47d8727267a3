"""What of a run's event log is for a person to read, in the project's own words."""

import logging
import re

import dagster as dg
from dagster._core.execution.plan.objects import ErrorSource, StepFailureData
from dagster._utils.error import SerializableErrorInfo

from dagster_project.pool_waits import WAITS_FOR
from exvideo.screen import Screen

_COUNT = re.compile(r"\w+: \d+/\d+ ")
"""How a stage's progress begins: the next line of it replaces this one."""


def show(entry: dg.EventLogEntry, screen: Screen) -> None:
    """Put an event on the screen if it is for people: stages, their words, checks, failures."""
    if not entry.is_dagster_event:
        _show_message(entry, screen)
        return
    event = entry.get_dagster_event()
    match event.event_type:
        case dg.DagsterEventType.STEP_START if event.step_key:
            screen.doing(event.step_key)
        case dg.DagsterEventType.ENGINE_EVENT if WAITS_FOR in event.engine_event_data.metadata:
            screen.say(str(event.message))
            screen.doing(str(event.message))
        case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            screen.say(_verdict(event.asset_check_evaluation_data))
        case dg.DagsterEventType.STEP_FAILURE:
            if reason := _failure(event.step_failure_data):
                screen.say(f"{event.step_key} failed\n{reason}")
        case dg.DagsterEventType.RUN_FAILURE if event.job_failure_data.error is not None:
            screen.say(_innermost(event.job_failure_data.error))


def _show_message(entry: dg.EventLogEntry, screen: Screen) -> None:
    message = entry.user_message
    if int(entry.level) < logging.INFO or message.startswith("[pipes]"):
        return
    if _COUNT.match(message):
        screen.pass_by(message)
        return
    stage = entry.step_key or ""
    screen.say(message if message.startswith(stage) else f"{stage}: {message}")


def _verdict(check: dg.AssetCheckEvaluation) -> str:
    name = f"{check.asset_key.to_user_string()}: check {check.check_name}"
    if check.passed:
        return f"{name} passed"
    verdict = "warns" if check.severity == dg.AssetCheckSeverity.WARN else "failed"
    reasons = [check.description] if check.description else []
    reasons += [f"{figure} {value.value}" for figure, value in check.metadata.items()]
    return f"{name} {verdict}: {', '.join(reasons)}"


def _failure(data: StepFailureData) -> str | None:
    if data.error_source == ErrorSource.INTERRUPT:
        return None
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    return _innermost(data.error) if data.error is not None else "without a reason"


def _innermost(error: SerializableErrorInfo) -> str:
    while error.cause is not None:
        error = error.cause
    return error.message.strip()
