"""Dagster's view of the road: definitions, resources, jobs, schedules and sensors."""
