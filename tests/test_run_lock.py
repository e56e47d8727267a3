"""One run at a time on one output."""

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

from exvideo.config import load_preset
from exvideo.progress import Silent
from exvideo.receipt import Receipt
from exvideo.run_lock import among_runs, only_run
from pipelines.stage import Job, Outcome, Stage, run_stage

HOLDER = """
import sys
from pathlib import Path
from exvideo.progress import Silent
from exvideo.run_lock import only_run
with only_run(Path(sys.argv[1]), Silent()):
    print("holds", flush=True)
    sys.stdin.read()
"""


class Listener(Silent):
    """Remembers what it is told, and tells when it is told to wait."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.waits = threading.Event()

    def say(self, message: str) -> None:
        self.said.append(message)
        if message.startswith("waiting"):
            self.waits.set()


def test_of_two_runs_started_at_once_one_works_and_the_other_finds_it_done(tmp_path: Path) -> None:
    preset = load_preset("tiny", {"storage.root": str(tmp_path)})
    listeners = [Listener(), Listener()]
    receipts: list[Receipt] = []
    calls: list[str] = []

    def run(job: Job) -> Outcome:
        calls.append(job.key)
        # Ends only when the other one has said that it waits.
        other = next(it for it in listeners if it is not job.progress)
        assert other.waits.wait(60)
        return Outcome(digest="d")

    stage = Stage(name="clips", version=1, inputs=(), sections=lambda _: 0, run=run)

    def start(listener: Listener) -> None:
        receipts.append(run_stage(stage, preset, listener))

    threads = [threading.Thread(target=start, args=(listener,)) for listener in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert receipts[0] == receipts[1]
    (told,) = [it.said for it in listeners if it.waits.is_set()]
    assert "waiting for the run that writes here now: process" in told[0]
    assert "up to date" in told[1]


def test_a_killed_run_holds_nothing_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holds\n"
        holder.kill()
    listener = Listener()
    with only_run(tmp_path / "lock", listener):
        assert listener.said == []


def test_a_holder_that_has_not_yet_written_its_name_is_waited_for(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    listener = Listener()

    def wait() -> None:
        with only_run(lock, listener):
            pass

    waiting = threading.Thread(target=wait)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting.start()
        assert not listener.waits.wait(0.3)
        file.write("process 7")
        file.flush()
        assert listener.waits.wait(60)
    waiting.join()
    assert "writes here now: process 7 (" in listener.said[0]


def test_many_may_hold_it_together_and_who_needs_it_alone_waits_for_them(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    many, alone = Listener(), Listener()

    def wait() -> None:
        with only_run(lock, alone):
            pass

    waiting = threading.Thread(target=wait)
    with among_runs(lock, many), among_runs(lock, many):
        assert many.said == []
        waiting.start()
        assert alone.waits.wait(60)
    waiting.join()
