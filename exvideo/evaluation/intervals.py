"""How sure a mean over clips and seeds is, by the bootstrap; the same values, the same interval.

Two clips of one seed share its noise, and two seeds of one clip its content, so clips and seeds are
drawn again as wholes (the pigeonhole bootstrap; Owen, 2007), never single samples.
"""

from collections.abc import Mapping

import numpy as np

MIN_CLIPS = 5
"""With fewer, what is drawn again hardly differs, and an interval would promise too much."""

RESAMPLES = 4000
LEVEL = 0.95

Values = Mapping[tuple[str, int], float]
"""A metric of the samples that have it, by clip and seed."""


def interval(values: Values) -> tuple[float, float] | None:
    """Bounds that hold the mean 95 times in 100; None for fewer than `MIN_CLIPS` clips."""
    clips = sorted({clip for clip, _ in values})
    seeds = sorted({seed for _, seed in values})
    if len(clips) < MIN_CLIPS:
        return None
    table = np.zeros((len(clips), len(seeds)))
    known = np.zeros_like(table)
    for (clip, seed), value in values.items():
        place = clips.index(clip), seeds.index(seed)
        table[place], known[place] = value, 1
    rng = np.random.default_rng(0)
    of_clips, of_seeds = (
        rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float) for n in table.shape
    )
    totals, counts = (np.einsum("rc,cs,rs->r", of_clips, it, of_seeds) for it in (table, known))
    # A resample may draw only what a metric is undefined for.
    means = totals[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def differences(values: Values, reference: Values) -> dict[tuple[str, int], float]:
    """`values` less `reference` for the same clip and seed: with the first frame they share, most
    of what makes clips differ falls away."""
    return {key: value - reference[key] for key, value in values.items() if key in reference}
