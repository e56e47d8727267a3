"""The page and the pictures of the clips, logged with the training that they were made for."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from exvideo.receipt import Figure, read_receipt, stage_folder
from pipelines.stage import Job

if TYPE_CHECKING:
    from exvideo.tracking import TrackedRun

FOLDER = "curation"
"""Among the run's artifacts."""

LOGGED = ("report", "funnel", "histograms", "preview")


def log_curation(job: Job, run: "TrackedRun") -> dict[str, Figure]:
    """Log what the stage `clips` has drawn of the clips whose latents the job trains on.

    Returns where MLflow shows the page: nothing where the clips were made anew since.
    """
    from exvideo.tracking import artifact_page

    here = stage_folder(job.preset, "clips")
    receipt = read_receipt(here)
    trained_on = job.inputs["latent_shards"].receipt.inputs.get("clips")
    if receipt is None or receipt.digest != trained_on:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for name in LOGGED:
            drawn = here / receipt.folder / receipt.files[name]
            copy = Path(folder) / f"{name}{drawn.suffix}"
            copy.write_bytes(drawn.read_bytes())
            run.log_artifact(copy, FOLDER, kept_at=drawn)
    page = artifact_page(run.url(job.preset.tracking.ui_url), f"{FOLDER}/report.html")
    return {"curation report": page}
