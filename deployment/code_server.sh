#!/bin/sh
# Dagster's code server, and in the same container Ray's head: a run's stages start here, and who
# drives Ray must be on one of its nodes. The head offers no cores; workers bring theirs.
set -eu
ray start --head --port="${RAY_ADDRESS##*:}" --num-cpus=0 --include-dashboard=false \
    --object-store-memory=200000000 --disable-usage-stats
exec dagster api grpc --module-name dagster_project.definitions --host "$CODE_BIND" \
    --port "$CODE_PORT"
