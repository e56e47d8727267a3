"""Clips as latents: encoding with the base model's VAE and CLIP, Parquet shards, and the loader."""
