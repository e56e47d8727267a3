"""Starts a command below the supervisor, as stages do, and waits for it.

    python -m tests.process.patient GRACE_S COMMAND [ARG ...]

What is deaf gets `GRACE_S` seconds: thirty, the product's own, would be waited for in each test.
"""

import sys
from collections.abc import Sequence

import pytest

from exvideo import supervised

SUPERVISOR = """
import sys
from exvideo import supervisor
supervisor.GRACE_S = {grace_s}
sys.exit(supervisor.main())
"""


def set_grace(grace_s: float, patch: pytest.MonkeyPatch) -> None:
    """Of the supervisors that this process starts."""

    def supervisor(lifeline: int, command: Sequence[str]) -> list[str]:
        program = [sys.executable, "-c", SUPERVISOR.format(grace_s=grace_s)]
        return [*program, "--lifeline", str(lifeline), "--", *command]

    patch.setattr(supervised, "supervisor", supervisor)


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        set_grace(float(sys.argv[1]), patch)
        sys.exit(supervised.run_supervised(sys.argv[2:]))
