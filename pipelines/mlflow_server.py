"""MLflow's server over the embedded store, which is created first where there is none.

python -m pipelines.mlflow_server --preset tiny --port 5000
"""

import argparse
import os
import sys

from pipelines.stage import add_preset_arguments, chosen_preset


def main() -> None:
    parser = argparse.ArgumentParser(prog="pipelines.mlflow_server", description=__doc__)
    add_preset_arguments(parser)
    parser.add_argument("--port", type=int, default=5000)
    arguments = parser.parse_args()
    # The database is created here, under a lock: MLflow's own first start is not safe beside
    # a training's.
    from exvideo.tracking import embedded_store

    store = embedded_store(chosen_preset(arguments))
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--backend-store-uri", store.tracking_uri, "--artifacts-destination"]
    command += [store.artifacts, "--host", "127.0.0.1", "--port", str(arguments.port)]
    command += ["--workers", "1"]
    os.execv(sys.executable, command)  # noqa: S606 - our own list, no shell


if __name__ == "__main__":
    main()
