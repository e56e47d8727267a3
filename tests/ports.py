"""Ports for the servers that tests start."""

import os
import random
import socket

BELOW = 32768
"""Linux gives the ports from here on to whoever connects, at any time."""

_draw = random.Random(os.getpid())


def free_port() -> int:
    """A port that nobody listens on now, nor gets by chance before it is bound."""
    while True:
        port = _draw.randrange(20_000, BELOW)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
