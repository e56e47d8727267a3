"""The trainings, each kept in the work folder by its key."""

from pathlib import Path

from exvideo.config import Preset
from exvideo.receipt import digest_of, read_receipt, stage_folder
from exvideo.training.job import TrainingJob
from exvideo.training.launch import follow, started_ranks

RANK = "pipelines.train_rank"


def training_job(preset: Preset, precision: str, work: Path) -> TrainingJob:
    """The preset's training on its stages' latents; its folder is named by all it depends on."""
    here = stage_folder(preset, "latent_shards")
    receipt = read_receipt(here)
    if receipt is None:
        raise FileNotFoundError(f"{here} has no receipt: the stage latent_shards has not run")
    training = preset.training.model_copy(update={"precision": precision})
    settings = [training.model_dump(), preset.model.model_dump(), receipt.digest]
    return TrainingJob(
        training=training,
        model=preset.model,
        num_frames=preset.clips.num_frames,
        latents=str(here / receipt.folder / receipt.files["manifest"]),
        data_digest=receipt.digest,
        folder=work / "trainings" / key_of(settings),
    )


def key_of(settings: object) -> str:
    """A folder's or file's name for these settings."""
    return digest_of(settings)[:16]


def train(job: TrainingJob) -> None:
    """Run what is missing of a training; one that was cut short goes on from its checkpoint."""
    if finished(job):
        return
    with started_ranks(job, RANK, print) as ranks:
        follow(job, ranks, lambda _: None, lambda _: None, lambda: None)


def finished(job: TrainingJob) -> bool:
    """model.json is the last file that a training writes."""
    return job.description.is_file() and job.extension.is_file()
