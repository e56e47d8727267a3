"""What tells one network's weights from another's."""

import hashlib
from pathlib import Path


def weights_digest(*paths: Path) -> str:
    """SHA-256 over files' own ones; a folder stands for its safetensors, by name."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
