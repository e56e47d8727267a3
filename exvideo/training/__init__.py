"""Training: the objective, the DeepSpeed loop, its checkpoints and averaged weights."""
