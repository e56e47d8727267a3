"""The paper's claim in the small world, repeated: before and after post-tuning, and what else."""
