"""Ray on this machine for the length of a block, or the cluster that RAY_ADDRESS names.

On a cluster every node needs this package's environment and reach to the data root; Ray's own
variables (RAY_AUTH_MODE and the token with it) decide how it lets us in.
"""

import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from exvideo.errors import InputError

OBJECT_STORE_BYTES = 100 << 20
"""Only receipts pass through Ray; by default it would claim a third of the memory."""

START_TRIES = 3
"""Ray gives its daemons 30 s and no option; a machine that is busy with other things needs more."""

END_S = 10.0
"""What Ray's processes may take to end after they were killed."""

ANSWER_S = 10.0
"""What a cluster may take to answer at all; Ray itself would try for many minutes, silently."""

_log = logging.getLogger(__name__)


def joins_cluster() -> bool:
    """Whether Ray runs elsewhere."""
    return bool(os.environ.get("RAY_ADDRESS"))


def store_is_away(error: BaseException) -> bool:
    """Whether an object store cannot be reached, which for botocore is no OSError."""
    return any(kind.__module__ == "botocore.exceptions" for kind in type(error).__mro__)


@contextmanager
def ray_cluster(num_cpus: int) -> Iterator[None]:
    """Connect to Ray for the length of the block.

    `num_cpus` is what a local cluster offers its workers, however many cores there are. It
    listens on the loopback interface only, and no process of it outlives the block.

    Raises `InputError` where nobody answers at RAY_ADDRESS, or does not let us in.
    """
    # Ray reads its variables when it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not joins_cluster():
        # Without it, Ray takes the loopback address for a mistake and another in its place.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if joins_cluster():
        with _own_sigterm():
            _join(os.environ["RAY_ADDRESS"], **quiet)
        try:
            yield
        finally:
            ray.shutdown()
        return
    others = set(psutil.Process().children(recursive=True))
    # Below the folder lie sockets, whose paths may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        try:
            with _own_sigterm():
                _start(others, num_cpus=num_cpus, _temp_dir=folder, **quiet)
            yield
        finally:
            _end(others)


def _join(address: str, **options: Any) -> None:
    import ray

    _check_answers(address)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        if "authentication" not in f"{error} {error.__cause__}".lower():
            raise
        raise InputError(
            f"the Ray cluster at RAY_ADDRESS={address} does not let this process in: set "
            "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to the cluster's token "
            "(`ray get-auth-token` there prints it)"
        ) from error


def _check_answers(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return  # such as `auto`: Ray finds the address itself
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise InputError(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({error}): name one that runs "
            "(`ray status` there shows it), or unset it to run on this machine"
        ) from error


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it starts; who had a handler of their own keeps it."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _start(others: set[psutil.Process], **options: Any) -> None:
    import ray

    for trial in range(1, START_TRIES + 1):
        try:
            ray.init(
                address="local",  # never somebody else's cluster on the same machine
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                **options,
            )
            return
        except Exception as error:  # Ray raises no more special one
            _end(others)
            if trial == START_TRIES:
                raise
            _log.warning("Ray does not start, trying again: %s", error)


def _end(others: set[psutil.Process]) -> None:
    """End Ray and see every process go that was started with it."""
    import ray

    started = set(psutil.Process().children(recursive=True)) - others
    ray.shutdown()
    # Workers that find their cluster gone would still take seconds to unload their libraries.
    for process in started:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(started, timeout=END_S)
