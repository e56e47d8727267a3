"""ExVideo: extend an image-to-video model to far longer clips by a cheap post-tuning."""
