"""The order in which training sees the clips: a pure function of the seed and the position.

No loader has a state to save, and any number of ranks reads one global order.
"""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=2)
def epoch_order(num_clips: int, seed: int, epoch: int) -> np.ndarray:
    """The seeded permutation of `range(num_clips)` for one epoch, int64 [num_clips], read-only."""
    # NumPy promises this stream of bits for ever; it makes no such promise for `permutation`.
    bits = np.random.PCG64(np.random.SeedSequence((seed, epoch))).random_raw(num_clips)
    order = np.argsort(bits, kind="stable")
    order.flags.writeable = False
    return order


def clip_index(seed: int, sample_index: int, num_clips: int) -> int:
    """The clip that the `sample_index`-th sample of a training shows, epoch after epoch."""
    if sample_index < 0 or num_clips < 1:
        raise ValueError(f"there is no sample {sample_index} of {num_clips} clips")
    epoch, position = divmod(sample_index, num_clips)
    return int(epoch_order(num_clips, seed, epoch)[position])
