"""One rank of the post-tuning job; DeepSpeed's launcher starts it, on every device one.

python -m pipelines.train_rank JOB.json
"""

import os
import socket
import sys
from pathlib import Path

from exvideo.errors import InputError


def main() -> int:
    from exvideo.training.job import TrainingJob
    from exvideo.training.train import run_rank

    try:
        path = Path(sys.argv[1])
        if not path.is_file():
            raise InputError(
                f"{socket.gethostname()} can't see {path}: set storage.scratch to a folder that "
                "all nodes share"
            )
        return run_rank(TrainingJob.read(path))
    except InputError as error:
        # The stage's program finds the reason by this mark in the log and says it itself.
        print(f"\nREFUSED: {error}", file=sys.stderr, flush=True)
        return 2


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written. To take torch and DeepSpeed down politely would take seconds of those that a
    # stop has for its checkpoint.
    os._exit(code)
