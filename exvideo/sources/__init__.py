"""Source videos: where files come from, and the manifest that lists them."""
