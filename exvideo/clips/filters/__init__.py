"""Filters: each gives a clip one score, and a rule that holds the score against a threshold.

docs/curation.md lists them, and says how to add one.
"""
