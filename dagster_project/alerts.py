"""A failed run is told to whoever should know: Slack, any webhook, e-mail. Off by default.

Where to is said by the daemon's environment alone, so that no file and no run's page has a secret.
The variables don't begin with EXVIDEO_, for those go to a training's nodes. Dagster's own e-mail
sensor knows neither a relay without a password nor text that is not HTML, and its Slack sensor is
another package.
"""

import json
import os
import smtplib
import ssl
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from http.client import HTTPException
from urllib.parse import urlsplit

import dagster as dg

from dagster_project.preset import preset_config

TIMEOUT_S = 15.0
MOST_CHARACTERS = 2500
"""Of the reason: Slack cuts a text off at 3,000."""


@dataclass(frozen=True)
class RunFailure:
    """What is told."""

    job: str
    run_id: str
    preset: str
    reason: str
    url: str

    @property
    def title(self) -> str:
        preset = " ".join(self.preset.split())  # a header's line must stay one
        return f"{self.job} failed ({preset}, run {self.run_id[:8]})"


class AlertError(Exception):
    """Not all could be told."""


Send = Callable[[RunFailure], None]


def receivers(environment: Mapping[str, str]) -> dict[str, Send]:
    """Those that the environment names, by a name without secrets.

    `ALERT_SLACK` is an incoming webhook's URL, `ALERT_WEBHOOK` any URL that takes
    JSON, `ALERT_EMAIL` addresses with commas between them; an e-mail goes by
    `ALERT_SMTP`, such as `smtps://user@mail.example.org:465`, with `ALERT_SMTP_PASSWORD`.

    Raises `AlertError` for what can't be a receiver.
    """
    found: dict[str, Send] = {}
    if slack := environment.get("ALERT_SLACK"):
        _check_url("ALERT_SLACK", slack, ("http", "https"))
        found["Slack"] = lambda failure: post(slack, {"text": slack_text(failure)})
    if webhook := environment.get("ALERT_WEBHOOK"):
        _check_url("ALERT_WEBHOOK", webhook, ("http", "https"))
        found["webhook"] = lambda failure: post(webhook, webhook_document(failure))
    if addresses := environment.get("ALERT_EMAIL"):
        server = environment.get("ALERT_SMTP", "")
        _check_url("ALERT_SMTP", server, ("smtp", "smtp+starttls", "smtps"))
        password = environment.get("ALERT_SMTP_PASSWORD")
        if password and server.startswith("smtp:"):
            raise AlertError("ALERT_SMTP would send the password unencrypted: take smtps://")
        found["e-mail"] = lambda failure: mail(server, password, addresses.split(","), failure)
    return found


def tell(failure: RunFailure, to: Mapping[str, Send]) -> None:
    """Tell every receiver, whatever becomes of the others.

    Raises `AlertError` with those that could not be told; it holds no URL, which may be a secret.
    """
    failed = []
    for name, send in to.items():
        try:
            send(failure)
        except (OSError, HTTPException, smtplib.SMTPException) as error:
            failed.append(f"{name} ({type(error).__name__}: {error})")
    if failed:
        raise AlertError(f"run {failure.run_id}'s failure was not told to {'; '.join(failed)}")


def slack_text(failure: RunFailure) -> str:
    """Slack's own markup: a link, and the reason as it stands, its three characters escaped."""
    return f"*{_escaped(failure.title)}* <{failure.url}|open>\n```{_escaped(failure.reason)}```"


def webhook_document(failure: RunFailure) -> dict[str, str]:
    """Every fact under its own key."""
    return {"title": failure.title, **asdict(failure)}


def post(url: str, document: Mapping[str, str]) -> None:
    """Send JSON. Raises `OSError` or `HTTPException` where it is not taken."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)  # noqa: S310 - checked
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
        return


def mail(server: str, password: str | None, to: list[str], failure: RunFailure) -> None:
    """Send plain text. Raises `OSError` or `smtplib.SMTPException` where it is not taken."""
    at = urlsplit(server)
    host, user = at.hostname or "", at.username
    message = EmailMessage()
    message["From"] = user if user and "@" in user else f"exvideo@{host}"
    message["To"] = ", ".join(it.strip() for it in to)
    message["Subject"] = failure.title
    message.set_content(f"{failure.reason}\n\n{failure.url}\n")
    context = ssl.create_default_context()
    client = (
        smtplib.SMTP_SSL(host, at.port or 465, timeout=TIMEOUT_S, context=context)
        if at.scheme == "smtps"
        else smtplib.SMTP(host, at.port or 587, timeout=TIMEOUT_S)
    )
    with client:
        if at.scheme == "smtp+starttls":
            client.starttls(context=context)
        if user and password:
            client.login(user, password)
        client.send_message(message)


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=10)
def run_failure_alerts(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """A run's failure goes to Slack, a webhook and e-mail, where the environment names them."""
    to = receivers(os.environ)
    if not to:
        return dg.SkipReason("no receiver: set ALERT_SLACK, _WEBHOOK or _EMAIL")
    tell(_failure(context), to)
    return None


def _failure(context: dg.RunFailureSensorContext) -> RunFailure:
    run = context.dagster_run
    base = os.environ.get("EXVIDEO_DAGSTER_URL", "http://127.0.0.1:3000").rstrip("/")
    steps = []
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        told = data.user_failure_data.description if data.user_failure_data else None
        message = told or (data.error.message.strip() if data.error else "without a reason")
        steps.append(told or f"{event.step_key}: {message}")
    reason = "\n".join(steps) or context.failure_event.message or "without a reason"
    return RunFailure(
        job=run.job_name,
        run_id=run.run_id,
        preset=str(preset_config(run).get("name") or os.environ.get("EXVIDEO_PRESET", "tiny")),
        reason=reason[:MOST_CHARACTERS],
        url=f"{base}/runs/{run.run_id}",
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _check_url(variable: str, url: str, schemes: tuple[str, ...]) -> None:
    """Without the URL in the message: a webhook's is a secret."""
    at = urlsplit(url)
    if at.scheme not in schemes or not at.hostname or " " in url or not url.isprintable():
        raise AlertError(f"{variable} must be a URL that begins with {' or '.join(schemes)}://")
