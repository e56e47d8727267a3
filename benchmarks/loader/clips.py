"""The clips that every format gets: noise of the size that SVD's encoders make of 512x512 px."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exvideo.latents.manifest import Encoding
from exvideo.latents.schema import TensorShapes

SHAPES = TensorShapes(latents=(128, 4, 64, 64), image_embeds=(1024,), cond_latents=(4, 4, 64, 64))
"""A clip of 128 frames of 512x512 by SVD's encoders."""

ENCODING = Encoding(
    base_id="noise",
    preprocessing="made",
    dtype="float32",
    frames_per_batch=8,
    noise_augmentations=4,
)


@dataclass(frozen=True)
class NoiseClip:
    number: int
    latents: np.ndarray
    cond_latents: np.ndarray
    image_embeds: np.ndarray
    noise_aug_strengths: np.ndarray
    first_frame: bytes
    """A lossless WebP picture."""

    @property
    def size(self) -> int:
        """Bytes of what is to be stored."""
        arrays = (self.latents, self.cond_latents, self.image_embeds, self.noise_aug_strengths)
        return sum(it.nbytes for it in arrays) + len(self.first_frame)


class NoiseClips:
    """In a file, so that no format's writing waits for dice."""

    def __init__(self, file: Path, count: int) -> None:
        from skimage import data

        from exvideo.latents.schema import lossless

        self._picture = lossless(data.astronaut())
        shape = (count, *SHAPES.latents)
        made = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
        rng = np.random.default_rng(0)
        for number in range(count):
            made[number] = 5 * rng.standard_normal(SHAPES.latents, np.float32)
        made.flush()
        self._file = file

    @property
    def latents(self) -> np.ndarray:
        """[clips, T, C, h, w], read from the file where they are used."""
        return np.load(self._file, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, number: int) -> NoiseClip:
        latents = np.array(self.latents[number])
        return NoiseClip(
            number=number,
            latents=latents,
            cond_latents=latents[:4].copy(),
            image_embeds=latents.ravel()[:1024].copy(),
            noise_aug_strengths=np.full(4, 0.05, np.float32),
            first_frame=self._picture,
        )

    def __iter__(self) -> Iterator[NoiseClip]:
        return (self[number] for number in range(len(self)))
