"""What every rank of a post-tuning job is told, and where it writes."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from exvideo.config import ModelConfig, TrainingConfig


class TrainingJob(BaseModel):
    """One post-tuning job: all of it a function of these values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    training: TrainingConfig
    model: ModelConfig
    num_frames: int
    sampling_steps: int = 25
    """Of the clips that are drawn at validations."""
    guidance: tuple[float, float] = (1.0, 3.0)
    """Of these clips, at the first and the last frame."""
    latents: str
    """The latent manifest's path or URL; the shards lie beside it."""
    data_digest: str
    starts_from: str | None = None
    """SHA-256 of the extension that the training begins with, `start`; None for the base alone."""
    folder: Path
    """A local folder."""

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def start(self) -> Path:
        return self.folder / "start.safetensors"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def standing(self) -> Path:
        """What the ranks are at."""
        return self.folder / "standing.json"

    @property
    def middle(self) -> Path:
        """The averaged extension after half the steps."""
        return self.folder / "middle.safetensors"

    @property
    def extension(self) -> Path:
        """The averaged extension after all steps."""
        return self.folder / "extension.safetensors"

    @property
    def averages(self) -> dict[str, Path]:
        """The files of the averages with other decays, by their names."""
        names = [f"ema-{decay:g}" for decay in self.training.more_ema_decays]
        return {name: self.folder / f"extension.{name}.safetensors" for name in names}

    @property
    def snapshots(self) -> Path:
        """The folder of the power-function averages' snapshots."""
        return self.folder / "snapshots"

    def snapshot(self, name: str, step: int) -> Path:
        return self.snapshots / f"{name}.step-{step:08d}.safetensors"

    @property
    def samples(self) -> Path:
        """The folder of the clips that were drawn at validations."""
        return self.folder / "samples"

    def sample(self, step: int, clip_id: str, ending: str) -> Path:
        return self.samples / f"step-{step:08d}-{clip_id}{ending}"

    @property
    def description(self) -> Path:
        """model.json: what the extension belongs to and how to load it."""
        return self.folder / "model.json"

    @property
    def engine_config(self) -> Path:
        """deepspeed.json: what DeepSpeed was told."""
        return self.folder / "deepspeed.json"

    @property
    def log(self) -> Path:
        """What the ranks and their launcher print."""
        return self.folder / "log.txt"

    def write(self) -> Path:
        """Write the job for its ranks to read; returns the file's path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "job.json"
        path.write_text(self.model_dump_json(indent=2))
        return path

    @classmethod
    def begun(cls, folder: Path) -> Self | None:
        """The job that has left a checkpoint in `folder`, if there is one."""
        path = folder / "job.json"
        return cls.read(path) if path.is_file() and newest_step(folder) is not None else None

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls.model_validate_json(path.read_bytes())


def newest_step(folder: Path) -> int | None:
    """The step of the newest whole checkpoint of the job in `folder`, None without one."""
    whole = [manifest.parent.name for manifest in folder.glob("checkpoints/step-*/manifest.json")]
    return int(max(whole).removeprefix("step-")) if whole else None
