"""Video files: decoding in a process of its own, and writing."""
