"""A failed run is told to Slack, a webhook and by e-mail: local stand-ins take what is sent."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from dagster_project.alerts import (
    AlertError,
    RunFailure,
    receivers,
    run_failure_alerts,
    tell,
)
from dagster_project.definitions import road

FAILURE = RunFailure(
    job="whole_road",
    run_id="0123456789abcdef",
    preset="tiny",
    reason="clips: no video <a> & b\nin videos",
    url="http://127.0.0.1:3000/runs/0123456789abcdef",
)


@contextmanager
def web(status: int = 200) -> Iterator[tuple[str, list[dict]]]:
    """A web server that answers with `status`: its URL, and the documents that it was sent."""
    taken: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with serving(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/secret-path", taken


@contextmanager
def mail_server() -> Iterator[tuple[str, list[tuple[list[str], Message]]]]:
    """A mail relay: its URL, and the mails that it took with whom they are for."""
    taken: list[tuple[list[str], Message]] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            to: list[str] = []
            while line := self.rfile.readline().decode().strip():
                if line.upper().startswith("RCPT TO:"):
                    to.append(line[8:].strip("<>"))
                if line.upper() == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                    taken.append((to, message_from_string("".join(lines))))
                self.wfile.write(b"221 bye\r\n" if line.upper() == "QUIT" else b"250 well\r\n")

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"smtp://127.0.0.1:{port}", taken


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_slack_gets_a_text_with_a_link_in_its_own_markup() -> None:
    with web() as (url, taken):
        tell(FAILURE, receivers({"ALERT_SLACK": url}))
    assert taken == [
        {
            "text": "*whole_road failed (tiny, run 01234567)* "
            "<http://127.0.0.1:3000/runs/0123456789abcdef|open>\n"
            "```clips: no video &lt;a&gt; &amp; b\nin videos```"
        }
    ]


def test_a_webhook_gets_every_fact_under_its_own_key() -> None:
    with web() as (url, taken):
        tell(FAILURE, receivers({"ALERT_WEBHOOK": url}))
    assert taken == [
        {
            "title": "whole_road failed (tiny, run 01234567)",
            "job": "whole_road",
            "run_id": FAILURE.run_id,
            "preset": "tiny",
            "reason": FAILURE.reason,
            "url": FAILURE.url,
        }
    ]


def test_an_e_mail_is_plain_text_for_every_address() -> None:
    with mail_server() as (server, taken):
        named = {"ALERT_EMAIL": "a@example.org, b@example.org", "ALERT_SMTP": server}
        tell(FAILURE, receivers(named))
    [(to, message)] = taken
    assert to == ["a@example.org", "b@example.org"]
    assert message["Subject"] == "whole_road failed (tiny, run 01234567)"
    assert message.get_content_type() == "text/plain"
    assert message.get_payload().split("\r\n")[:4] == [
        "clips: no video <a> & b", "in videos", "", FAILURE.url
    ]  # fmt: skip


def test_one_that_takes_nothing_is_named_without_its_url_and_the_others_are_told() -> None:
    with web(status=500) as (broken, _), web() as (url, taken):
        to = receivers({"ALERT_SLACK": broken, "ALERT_WEBHOOK": url})
        with pytest.raises(AlertError, match=r"was not told to Slack \(HTTPError: .*500") as told:
            tell(FAILURE, to)
    assert len(taken) == 1
    assert "secret-path" not in str(told.value)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"ALERT_SLACK": "file:///etc/passwd"}, "ALERT_SLACK must be a URL"),
        ({"ALERT_WEBHOOK": "https://a/b c"}, "ALERT_WEBHOOK must be a URL"),
        ({"ALERT_EMAIL": "a@example.org"}, "ALERT_SMTP must be a URL"),
        (
            {
                "ALERT_EMAIL": "a@example.org",
                "ALERT_SMTP": "smtp://me@mail.example.org",
                "ALERT_SMTP_PASSWORD": "secret",
            },
            "would send the password unencrypted",
        ),
    ],
)
def test_what_can_be_no_receiver_is_refused_without_repeating_it(
    environment: dict[str, str], complaint: str
) -> None:
    with pytest.raises(AlertError, match=complaint) as refused:
        receivers(environment)
    assert not any(it in str(refused.value) for it in environment.values())


@dg.op
def refuse() -> None:
    raise dg.Failure("clips: no video in videos", allow_retries=False)


@dg.job
def refused() -> None:
    refuse()


def sensor_tick(instance: dg.DagsterInstance) -> object:
    """The sensor's answer to a run that has failed."""
    result = refused.execute_in_process(instance=instance, raise_on_error=False)
    [failed] = [it for it in result.all_events if it.event_type_value == "PIPELINE_FAILURE"]
    context = dg.build_run_status_sensor_context(
        "run_failure_alerts", failed, instance, result.dagster_run
    )
    return run_failure_alerts(context.for_run_failure())


def test_a_failed_run_is_told_with_its_steps_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXVIDEO_DAGSTER_URL", "http://dagster.example.org")
    with web() as (url, taken), dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv("ALERT_WEBHOOK", url)
        sensor_tick(instance)
        [run] = instance.get_runs()
    assert taken[0]["reason"] == "clips: no video in videos"
    assert taken[0]["job"] == "refused"
    assert taken[0]["url"] == f"http://dagster.example.org/runs/{run.run_id}"


def test_without_a_receiver_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLACK", "WEBHOOK", "EMAIL"):
        monkeypatch.delenv(f"ALERT_{name}", raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        answer = sensor_tick(instance)
    assert isinstance(answer, dg.SkipReason)
    assert "no receiver" in str(answer.skip_message)


def test_the_daemon_runs_the_sensor() -> None:
    sensor = road().get_sensor_def("run_failure_alerts")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
