"""One program a stage, and the presets they read."""
