"""What of a run's event log is for a person to read, in the project's own words."""

import logging
import re

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.execution.plan.objects import ErrorSource, StepFailureData
from dagster._utils.error import SerializableErrorInfo

from dagster_project.pool_waits import WAITS_FOR
from exvideo.screen import Screen

_PASSING = re.compile(r"\w+: (\d+/\d+ .*|.* \([\d.]+ (s|min|h)\))")
"""A stage's count, or what it is doing and for how long: the next such line replaces this one."""


class Words:
    """Puts on a screen what a run's events say to people: stages' words, checks, failures."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._running: str | None = None

    def show(self, entry: dg.EventLogEntry) -> None:
        """The next event, in the order of the log."""
        if entry.is_dagster_event:
            self._show_event(entry.get_dagster_event())
        # What Dagster itself logs belongs to no running step.
        elif self._running is not None and entry.step_key == self._running:
            self._show_message(entry)

    def _show_event(self, event: dg.DagsterEvent) -> None:
        match event.event_type:
            case dg.DagsterEventType.STEP_START:
                self._running = event.step_key
                self._screen.doing(str(event.step_key))
            case dg.DagsterEventType.STEP_SUCCESS:
                self._running = None
            case dg.DagsterEventType.STEP_FAILURE:
                self._running = None
                if reason := _reason(event.step_failure_data):
                    stage = f"{event.step_key}: "
                    self._screen.say(f"{event.step_key} failed: {reason.removeprefix(stage)}")
            case dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                self._screen.say(_verdict(event.asset_check_evaluation_data))
            case dg.DagsterEventType.ENGINE_EVENT if WAITS_FOR in event.engine_event_data.metadata:
                self._screen.say(str(event.message))
                self._screen.doing(str(event.message))
            case dg.DagsterEventType.RUN_CANCELED:
                self._screen.say("the run is cancelled")
            case dg.DagsterEventType.RUN_FAILURE:
                data = event.job_failure_data
                if data.error is not None and data.first_step_failure_event is None:
                    self._screen.say(_raised(data.error))

    def _show_message(self, entry: dg.EventLogEntry) -> None:
        message = entry.user_message
        if int(entry.level) < logging.INFO or message.startswith("[pipes]"):
            return
        if _PASSING.fullmatch(message):
            self._screen.pass_by(message)
        elif message.startswith(str(entry.step_key)):
            self._screen.say(message)
        else:
            self._screen.say(f"{entry.step_key}: {message}")


def _verdict(check: dg.AssetCheckEvaluation) -> str:
    name = f"{check.asset_key.to_user_string()}: check {check.check_name}"
    if check.passed:
        return f"{name} passed"
    verdict = "warns" if check.severity == dg.AssetCheckSeverity.WARN else "failed"
    reasons = [check.description] if check.description else []
    reasons += [f"{figure} {value.value}" for figure, value in check.metadata.items()]
    return f"{name} {verdict}: {', '.join(reasons)}"


def _reason(data: StepFailureData) -> str | None:
    if data.error_source == ErrorSource.INTERRUPT:
        return None
    if data.error is not None and data.error.cls_name == DagsterAssetCheckFailedError.__name__:
        return None  # the check has told its verdict
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    return _raised(data.error) if data.error is not None else "without a reason"


def _raised(error: SerializableErrorInfo) -> str:
    """What the project's code raised, without what Dagster wraps around it."""
    while (error.cls_name or "").startswith("Dagster") and error.cause is not None:
        error = error.cause
    return error.message.strip()
