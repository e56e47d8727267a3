"""The road's Dagster assets and the checks between them."""
