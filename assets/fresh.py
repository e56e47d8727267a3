"""When an asset counts as old, and which ones Dagster makes anew by itself."""

from datetime import timedelta

import dagster as dg

FRESH = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(days=14), fail_window=timedelta(days=35)
)
"""Of data and model: weeks without a new one are a warning, five of them are told as a failure."""

DAILY = dg.AutomationCondition.on_cron("0 2 * * *")
"""Of what costs seconds to look at. The sensor `cheap_assets` asks for it, once it is on."""
