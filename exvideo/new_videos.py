"""Which video files the last model has not seen."""

from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from exvideo.config import LocalSource, Preset, data_root
from exvideo.receipt import digest_of, read_receipt, stage_folder


@dataclass(frozen=True)
class NewVideos:
    """What waits for the next training."""

    count: int
    asked: int
    """`retraining.min_new_videos`."""
    since: str
    """What they are new since, for people."""
    digest: str
    """Of the files: the same ones, the same digest."""

    @property
    def enough(self) -> bool:
        return self.count >= self.asked

    def __str__(self) -> str:
        return (
            f"{self.count} new video files since {self.since}; "
            f"retraining.min_new_videos is {self.asked}"
        )


def new_videos(preset: Preset) -> NewVideos:
    """Count the source's files that the last post-tuned model's clips don't come from.

    Only the user's own folders grow; another source is new until a model has seen it. A file is
    told by its path: one that was written over is not new here. Raises `InputError` where
    `source.paths` leads to nothing.
    """
    from exvideo.sources.local import claimed_videos

    seen, since = _seen(preset)
    if isinstance(preset.source, LocalSource):
        files = claimed_videos(preset.source.paths)
    else:
        files = {f"the source {preset.source.kind}"}
        seen = files if seen else set()
    new = sorted(files - seen)
    return NewVideos(len(new), preset.retraining.min_new_videos, since, digest_of(new))


def _seen(preset: Preset) -> tuple[set[str], str]:
    """Every file that was looked at for the last model's clips, and that model for people."""
    model = read_receipt(stage_folder(preset, "post_tuned_model"))
    if model is None:
        return set(), "the beginning: there is no model yet"
    since = f"the model of {model.created:%d %B %Y, %H:%M} UTC"
    data = model.inputs.get("latent_shards", "unknown")
    root = UPath(data_root(preset)) / preset.name
    manifest = next(iter(root.glob(f"latent_shards/*/manifest-{data[:12]}.json")), None)
    if manifest is None:
        return set(), f"{since}, whose data are not to be found"
    from exvideo.latents.manifest import read_manifest

    name = f"manifest-{read_manifest(manifest).clips_manifest[:12]}.parquet"
    clips = next(iter(root.glob(f"clips/*/{name}")), None)
    if clips is None:
        return set(), f"{since}, whose clips are not to be found"
    with clips.open("rb") as file:
        pieces = pq.read_table(file, columns=["pieces"])["pieces"]
    paths = pc.struct_field(pc.list_flatten(pieces), "path")
    return set(pc.unique(paths).to_pylist()), since
