"""Stage 4: the base model's extension, trained by a DeepSpeed job and tracked in MLflow.

python -m pipelines.post_tuned_model --preset tiny --set training.steps=200
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from exvideo.config import Precision, TrainingConfig
from exvideo.config.machine import training_faults
from exvideo.errors import InputError
from exvideo.receipt import Figure
from exvideo.sources.file_digests import sha256_of
from pipelines.curation_artifacts import log_curation
from pipelines.curves import Curves
from pipelines.latent_shards import SPEED
from pipelines.stage import Job, Outcome, Stage, main
from pipelines.training_identity import fingerprint, sections, work
from pipelines.training_limits import check_on_the_way, check_start
from pipelines.training_start import STARTED_FROM, fetch_start, started_from

if TYPE_CHECKING:
    from upath import UPath

    from exvideo.precision import Choice
    from exvideo.tracking import TrackedRun
    from exvideo.training.job import TrainingJob
    from exvideo.training.launch import StartedRanks
    from exvideo.training.metrics import Row
    from exvideo.training.rank_progress import Standing
    from exvideo.training.spending import Spending

RANK = "pipelines.train_rank"

FILES = {
    "extension": "extension.safetensors",
    "middle": "middle.safetensors",
    "metrics": "metrics.jsonl",
    "curve": "loss.png",
    "model": "model.json",
}


def run(job: Job) -> Outcome:
    """Train, or go on training, until the last step; publish the averaged extension."""
    from exvideo.training.curve import write_curve
    from exvideo.training.launch import follow
    from exvideo.training.metrics import read_metrics
    from exvideo.training.spending import Spending

    if faults := training_faults(job.preset.training):
        raise InputError("; ".join(faults))
    training, device = _training_job(job)
    spending = Spending(training.folder, training.training.ranks, job.meter)
    check_start(job.preset, training, spending, device)
    # The ranks first: they import for as long as MLflow does here. The copies last of all: ranks
    # that are told to stop write a checkpoint as they end.
    with (
        _terminable(),
        _copied(job, training) as copy,
        _ranks(job, training, spending) as ranks,
        _tracked(job, training) as tracked,
    ):
        job.progress.say(f"{training.training.ranks} ranks started; they log to {training.log}")
        job.progress.doing("the ranks load their libraries")
        curves = Curves(training, job.progress, tracked)
        page = log_curation(job, tracked)
        with _usage_logged(job, training, spending, tracked):
            tell, look = _watching(job, spending, curves, copy)
            follow(training, ranks, curves, tell, look)
            spending.end()
        job.progress.doing("publishing the model")
        curves.flush()
        rows = read_metrics(training.metrics)
        write_curve(rows, training.folder / FILES["curve"])
        _publish(job, training)
        for name in ("curve", "metrics", "model"):
            tracked.log_artifact(training.folder / FILES[name], "training")
        tracked.log_artifact(training.engine_config, "training")
        digest = sha256_of(training.extension)
        figures = {**_figures(job, rows, tracked), **page}
        figures["precision"] = training.training.precision
        if training.starts_from is not None:
            figures["began with"] = training.starts_from
        if training.snapshots.is_dir():
            figures["snapshots for exvideo average"] = str(training.snapshots)
        figures["model version"] = _register(job, training, tracked, figures, digest)
    return Outcome(digest, _files(training), figures, usage=spending.total())


@contextmanager
def _ranks(job: Job, training: "TrainingJob", spending: "Spending") -> Iterator["StartedRanks"]:
    """The ranks, whose hours count until the last one has ended."""
    from exvideo.training.launch import started_ranks

    with spending, started_ranks(training, RANK, job.progress.say) as ranks:
        spending.begin()
        yield ranks


def _watching(
    job: Job, spending: "Spending", curves: Curves, copy: Callable[[], None]
) -> tuple[Callable[["Standing"], None], Callable[[], None]]:
    """What `follow` calls with the ranks' standing, and now and then."""

    def tell(standing: "Standing") -> None:
        spending.heed(standing)
        curves.tell(standing)

    def look() -> None:
        copy()
        spending.look()
        check_on_the_way(job.preset, spending)

    return tell, look


@contextmanager
def _usage_logged(
    job: Job, training: "TrainingJob", spending: "Spending", tracked: "TrackedRun"
) -> Iterator[None]:
    """MLflow has what the training has used so far, also where a limit has stopped it."""
    from mlflow.exceptions import MlflowException

    from exvideo.training.metrics import read_metrics

    def log() -> None:
        steps = [row["step"] for row in read_metrics(training.metrics)]
        figures = spending.total().figures(job.preset.prices)
        tracked.log_metrics(
            [(max(steps, default=0), {f"usage/{name}": it for name, it in figures.items()})]
        )

    try:
        yield
    except InputError:
        try:
            log()
        except MlflowException as error:  # what stopped the training matters more
            job.progress.say(f"MLflow does not take what was used: {error}")
        raise
    log()


def _files(training: "TrainingJob") -> dict[str, str]:
    averages = {f"extension {name}": path.name for name, path in training.averages.items()}
    return FILES | averages


def _register(
    job: Job,
    training: "TrainingJob",
    tracked: "TrackedRun",
    figures: dict[str, Figure],
    digest: str,
) -> str:
    """A version of the preset's model in MLflow: where its weights lie, and what it is."""
    base, name = job.preset.model.base.path, job.preset.tracking.experiment
    weights = str(job.output / FILES["extension"])
    begun = f" from the weights {training.starts_from[:12]} on" if training.starts_from else ""
    card = f"""{base}, extended to {training.num_frames} frames by {figures["steps"]} steps{begun}.

| validation loss | |
|---|---|
| before | {figures["validation loss before"]:.4f} |
| after | {figures["validation loss after"]:.4f} |

`exvideo generate --model {job.output} --image photo.png --out clip.mp4`
"""
    tags = {
        "sha256": digest,
        "weights": weights,
        "base": base,
        "num_frames": str(training.num_frames),
        "steps": str(figures["steps"]),
        "data_digest": training.data_digest,
        STARTED_FROM: training.starts_from or "",
    }
    return f"{name} {tracked.register_model(name, 'training', card, tags)}"


def _training_job(job: Job) -> tuple["TrainingJob", str]:
    """The job with its precision chosen, and for which device.

    A training that goes on keeps what it began with, and no device is asked.
    """
    from exvideo.training.checkpoint_copies import fetch_newest
    from exvideo.training.job import TrainingJob

    shards = job.inputs["latent_shards"]
    folder = _folder(job)
    if job.preset.training.copy_checkpoints:
        fetch_newest(_store(job, folder), folder, job.progress.say)
    begun = TrainingJob.begun(folder)
    if begun is None:
        job.progress.doing("asking the device for its precision")
        choice = _choose_precision(job.preset.training)
        job.progress.say(f"training in {choice.reason}")
        precision: Precision = choice.precision
        device = choice.device
    else:
        precision, device = begun.training.precision, ""
        job.progress.say(f"training in {precision}, as this training began")
    evaluation = job.preset.evaluation
    start = started_from(job.preset, shards.receipt.digest)
    made = TrainingJob(
        training=job.preset.training.model_copy(update={"precision": precision}),
        model=job.preset.model,
        num_frames=job.preset.clips.num_frames,
        sampling_steps=evaluation.sampling_steps,
        guidance=(evaluation.min_guidance_scale, evaluation.max_guidance_scale),
        latents=str(shards.file("manifest")),
        data_digest=shards.receipt.digest,
        starts_from=start.sha256 if start else None,
        folder=folder,
    )
    if start is not None:
        job.progress.say(f"this training begins with version {start.number}'s weights")
        fetch_start(start, job.preset, made.start)
    return made, device


def _choose_precision(config: TrainingConfig) -> "Choice":
    """For the devices that will compute, which may be another machine's."""
    from exvideo.precision import choose_precision_apart
    from exvideo.training.nodes import choose_nodes_precision

    choose = choose_precision_apart if config.nodes is None else choose_nodes_precision
    return choose(config.precision)


@contextmanager
def _copied(job: Job, training: "TrainingJob") -> Iterator[Callable[[], None]]:
    """Something to call now and then, which copies checkpoints; the last one goes with the block's
    end, also after a stop.
    """
    from exvideo.training.checkpoint_copies import CheckpointCopies

    if not training.training.copy_checkpoints:
        yield lambda: None
        return
    copies = CheckpointCopies(training, _store(job, training.folder), job.progress.say)
    try:
        yield copies.look
    finally:
        copies.finish()


def _store(job: Job, folder: Path) -> "UPath":
    """Where the checkpoints of the training in `folder` are copied to."""
    return job.output.parent / "checkpoints" / folder.relative_to(job.scratch.absolute().parent)


def _folder(job: Job) -> Path:
    """Where this training goes on, or begins: a longer one of the same settings keeps its own."""
    from exvideo.training.job import newest_step

    folder, steps = job.scratch.absolute(), job.preset.training.steps
    made = newest_step(folder)
    if made is None or made <= steps:
        return folder
    job.progress.say(f"a training of these settings is at step {made} already: a shorter one apart")
    return folder / f"{steps}-steps"


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM unwinds the stack as Ctrl-C does, so that everything here is ended in order."""

    def stop(signum: int, _frame: object) -> None:
        signal.signal(signum, signal.SIG_IGN)  # one is enough, and must not break the ending
        raise SystemExit(128 + signum)

    before = {it: signal.signal(it, stop) for it in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def _tracked(job: Job, training: "TrainingJob") -> Iterator["TrackedRun"]:
    """The job's MLflow run; whatever ends the block, the run's status says it."""
    job.progress.doing("opening the MLflow run")
    from exvideo.tracking import STAGE_KEY, TrackedRun, dagster_tags, settle_runs

    preset = job.preset
    apart = training.folder != job.scratch.absolute()
    latents = job.inputs["latent_shards"].receipt.figures
    key = f"{job.work}-{training.training.steps}" if apart else job.work
    try:
        run = TrackedRun.open_or_resume(preset, key, f"{preset.name}-{key[:12]}", dagster_tags())
    except (SystemExit, KeyboardInterrupt):
        # Its ranks may be at work already, and MLflow may have made the run without our knowing.
        settle_runs(preset, STAGE_KEY, key, "KILLED")
        raise
    try:
        job.progress.say(f"MLflow run: {run.url(preset.tracking.ui_url)}")
        run.log_parameters(preset.model_copy(update={"training": training.training}))
        run.log_document(preset.model_dump(mode="json"), "training/preset.yaml")
        run.log_dataset(
            "latent_shards",
            training.data_digest,
            training.latents,
            {
                "clips": latents.get("training clips", 0),
                **{it: latents[it] for it in SPEED if it in latents},
            },
        )
        with run.system_metrics(training.training.steps):
            yield run
    except (SystemExit, KeyboardInterrupt):
        # At once: whoever stops us may not wait until the ranks have written their checkpoint.
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def _publish(job: Job, training: "TrainingJob") -> None:
    """Copy what the ranks left in their local folder to the stage's output."""
    for file in _files(training).values():
        target = job.output / file
        target.fs.put_file(str(training.folder / file), target.path)


def _figures(job: Job, rows: list["Row"], run: "TrackedRun") -> dict[str, Figure]:
    training = [row for row in rows if "loss" in row]
    validation = [row["validation_loss"] for row in rows if "validation_loss" in row]
    seconds = sum(row["seconds_per_step"] for row in training) / len(training)
    return {
        "steps": rows[-1]["step"],
        "loss": training[-1]["loss"],
        "validation loss before": validation[0],
        "validation loss after": validation[-1],
        "seconds per step": round(seconds, 3),
        "clips per second": round(training[-1]["clips_per_second"], 3),
        "skipped steps": int(training[-1]["skipped_steps"]),
        "mlflow_run_id": run.run_id,
        "MLflow run": run.url(job.preset.tracking.ui_url),
    }


STAGE = Stage(
    name="post_tuned_model",
    version=2,
    inputs=("latent_shards",),
    sections=sections,
    run=run,
    fingerprint=fingerprint,
    work=work,
)

if __name__ == "__main__":
    sys.exit(main(STAGE))
