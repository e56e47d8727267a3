"""Clips: windows over source videos, of one size and length, each kept or rejected for a reason."""
