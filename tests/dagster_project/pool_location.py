"""A code location with the job that holds a slot and the sensor that finds abandoned runs."""

import dagster as dg

from dagster_project.sensors import abandoned_runs
from tests.dagster_project.pool_job import holding

defs = dg.Definitions(jobs=[holding], sensors=[abandoned_runs], executor=dg.in_process_executor)
