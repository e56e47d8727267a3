"""The noise of the validation: the same in trainings of other seeds, another for another clip."""

import torch

from exvideo.training.validation import _fixed_draw
from tests.training.tiny import MadeClips, training_config


def test_trainings_of_other_seeds_are_validated_by_the_same_noise() -> None:
    clip = MadeClips(1)[0]
    first, other = (_fixed_draw(clip, 5, 2, training_config(seed=seed)) for seed in (3, 4))
    assert torch.equal(first.noise, other.noise)
    assert (first.sigma, first.augmentation) == (other.sigma, other.augmentation)


def test_each_clip_has_noise_of_its_own() -> None:
    clip, config = MadeClips(1)[0], training_config()
    assert not torch.equal(
        _fixed_draw(clip, 0, 0, config).noise, _fixed_draw(clip, 1, 0, config).noise
    )
