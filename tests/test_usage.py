"""What processes use: held against what they say of themselves."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pytest

from exvideo.config import PricesConfig
from exvideo.usage import Meter, Usage, metered

BURN = """
import os, resource, subprocess, sys, time
while time.process_time() < 0.6: pass
"""
AND_A_CHILD = f"""
subprocess.run([sys.executable, "-c", {BURN!r}])
both = [resource.getrusage(it) for it in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(it.ru_utime + it.ru_stime for it in both))
"""
UNACCOUNTED = f"""
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
command = [sys.executable, "-c", {BURN!r} + "print('burnt', flush=True); sys.stdin.read()"]
subprocess.run(command)
"""


R = TypeVar("R")


def alone(measure: Callable[..., R], *args: object) -> R:
    """In a process of its own: below this one, daemons of other tests may live and work."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *args).result()


def _one_that_ends() -> tuple[float, float, float]:
    meter, own = Meter(), time.process_time()
    printed = subprocess.check_output([sys.executable, "-c", BURN + AND_A_CHILD])
    used = 3600 * meter.usage().cpu_hours
    return float(printed), used, time.process_time() - own


def _one_that_lives() -> tuple[float, float, float]:
    meter, own = Meter(), time.process_time()
    program = BURN + AND_A_CHILD + "sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        theirs = float(child.stdout.readline())
        used = 3600 * meter.usage().cpu_hours
    return theirs, used, time.process_time() - own


def test_processor_time_of_a_child_and_its_child_is_counted_once() -> None:
    theirs, used, own = alone(_one_that_ends)
    assert theirs > 1.2
    assert theirs <= used <= theirs + own + 0.3  # twice would be 0.6 more


def test_what_lives_is_counted_with_what_has_ended() -> None:
    theirs, used, own = alone(_one_that_lives)
    # The kernel counts a living process in hundredths of a second.
    assert theirs - 0.05 <= used <= theirs + own + 0.3  # twice would be 0.6 more


def test_one_that_the_kernel_counts_for_nobody_is_counted_as_far_as_it_was_seen() -> None:
    """Ray's daemon ignores SIGCHLD, so its workers' time never reaches whoever started it."""
    meter = Meter()
    with subprocess.Popen(
        [sys.executable, "-c", BURN + UNACCOUNTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == b"burnt\n"
        meter.look()
    assert 3600 * meter.usage().cpu_hours > 1.1


def _copies(folder: Path) -> Usage:
    """Of a program that copies a file and has another do so."""
    file = folder / "file"
    copies = f"""
import pathlib, subprocess, sys
content = pathlib.Path({str(file)!r}).read_bytes()
pathlib.Path(sys.argv[1]).write_bytes(content)
"""
    below = f"subprocess.run([sys.executable, '-c', {copies!r}, {str(folder / 'b')!r}], check=True)"
    file.write_bytes(bytes(50_000_000))
    meter = Meter()
    subprocess.run([sys.executable, "-c", copies + below, str(folder / "a")], check=True)
    return meter.usage()


def _two_peaks() -> tuple[float, float]:
    """Before a program with 300 MB, and after it."""
    with metered() as meter:
        before = meter.usage().peak_memory_gb
        program = "import sys; it = b'1' * 300_000_000; print(flush=True); sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout
            child.stdout.readline()
            meter.look()
        return before, meter.usage().peak_memory_gb


def test_what_a_child_and_its_child_read_and_write_is_counted_once(tmp_path: Path) -> None:
    used = alone(_copies, tmp_path)
    assert used.read_gb == pytest.approx(0.1, abs=0.02)  # Python reads itself, too
    assert used.written_gb == pytest.approx(0.1, abs=0.001)


def test_the_peak_of_memory_is_the_whole_trees_and_stays() -> None:
    before, after = alone(_two_peaks)
    assert after - before == pytest.approx(0.3, abs=0.05)


def test_attempts_add_up_but_for_their_peaks() -> None:
    one = Usage(wall_hours=1, cpu_hours=2, peak_memory_gb=3, rank_hours=4, gpu_hours=4)
    other = Usage(wall_hours=2, cpu_hours=2, peak_memory_gb=1, rank_hours=8, gpu_hours=8)
    assert Usage.total([one, other]) == Usage(
        wall_hours=3, cpu_hours=4, peak_memory_gb=3, rank_hours=12, gpu_hours=12
    )
    assert Usage.total([]) == Usage()


def test_money_is_shown_where_there_is_a_price() -> None:
    usage = Usage(wall_hours=2, cpu_hours=10, peak_memory_gb=3.14159, rank_hours=16, gpu_hours=16)
    assert usage.figures(PricesConfig()) == {
        "wall hours": 2,
        "CPU-hours": 10,
        "peak memory GB": 3.142,
        "rank-hours": 16,
        "GPU-hours": 16,
    }
    prices = PricesConfig(gpu_hour=2.5, cpu_hour=0.05, currency="EUR")
    assert usage.figures(prices)["estimated cost EUR"] == 40.5
    assert usage.cost(PricesConfig(cpu_hour=0.05)) == 0.5
