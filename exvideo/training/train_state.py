"""All that changes in a training: what a checkpoint holds and a start restores."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from exvideo.config import TrainingConfig
from exvideo.training.ema import averages
from exvideo.training.objective import LEVELS
from exvideo.training.partitions import (
    Engine,
    Slice,
    compute_with,
    moment_slices,
    set_updates,
    trained_shapes,
    weight_slices,
)


class Position(BaseModel):
    """Where a training stands. Data and noise are functions of it: nothing else has state."""

    model_config = ConfigDict(extra="forbid")

    step: int = 0
    """Steps done, skipped ones included."""
    skipped: int = 0
    """Of them, those whose loss or gradients were not finite."""
    skipped_in_a_row: int = 0
    losses: list[float] = []
    """Of the applied steps since the last logged row."""
    level_losses: list[float] = [0.0] * LEVELS
    """Their samples' losses, summed by the quarter of the noise distribution."""
    level_samples: list[float] = [0.0] * LEVELS

    def forget_losses(self) -> None:
        """A row has been logged."""
        self.losses = []
        self.level_losses, self.level_samples = [0.0] * LEVELS, [0.0] * LEVELS

    @property
    def updates(self) -> int:
        """Steps that have changed the weights; the learning rate follows them."""
        return self.step - self.skipped


class TrainState:
    """A rank's share of the tensors, and the position, which all ranks share."""

    def __init__(self, engine: Engine, config: TrainingConfig) -> None:
        self._engine = engine
        self.replicated: bool = engine.zero_optimization_stage() == 0
        """Without ZeRO every rank has all of everything."""
        self.weights = weight_slices(engine)
        self.averages = averages(self.weights, config)
        self.position = Position()
        # At stage 0 DeepSpeed has made a step of its own, with gradients of zero.
        set_updates(engine, 0)

    def slices(self) -> Mapping[str, list[Slice]]:
        """This rank's share of every kind of tensor; writing to them changes the training."""
        return {
            "weights": self.weights,
            "exp_avg": moment_slices(self._engine, "exp_avg"),
            "exp_avg_sq": moment_slices(self._engine, "exp_avg_sq"),
            **{name: average.slices for name, average in self.averages.items()},
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the trained parameters, by name."""
        return {name: tuple(shape) for name, shape in trained_shapes(self._engine).items()}

    def restored(self, position: Position) -> None:
        """Go on from `position`, the slices having been written; every rank must ask."""
        self.position = position
        set_updates(self._engine, position.updates)
        compute_with(self._engine, self.weights)
