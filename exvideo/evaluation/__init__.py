"""Evaluation: clips generated before, during and after post-tuning, measured by their flow."""
