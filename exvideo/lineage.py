"""From a file that a model has made back to the model, its data, and the videos behind these.

Every step is named by a digest, so that what is found is what was used: a generated MP4 and each
stage's output say what they are made from, and manifests are named by their content. A step that
can't be found is a break, which is told with what was looked for and where.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from upath import UPath

from exvideo.errors import InputError
from exvideo.receipt import Receipt, read_receipt


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Origin(_Record):
    """What a generated clip says of itself, in the MP4's comment."""

    model: str
    """SHA-256 of the extension's file."""
    data: str | None
    """Digest of the manifest of latents that it was trained on."""
    base: str | None = None
    seed: int | None = None

    def comment(self) -> str:
        """For `exvideo.video.write.write_mp4`."""
        return json.dumps({"exvideo": self.model_dump()}, sort_keys=True)


class SourceFile(_Record):
    """A video file that clips of the training were cut from."""

    path: str
    sha256: str
    source: str | None
    licence_claimed: str | None
    """What the publisher says; None where no manifest of sources lists the file any more."""
    clips: int
    """Kept clips that show frames of it and that were trained on or held out."""


class Lineage(_Record):
    """Everything behind one file."""

    file: str
    model: str | None = None
    model_folder: str | None = None
    began_with: str | None = None
    """The model whose weights its training went on from, with data of its own."""
    data: str | None = None
    shards: tuple[str, ...] = ()
    clips_manifest: str | None = None
    clips: tuple[str, ...] = ()
    """Ids of the clips that have latents."""
    sources: tuple[SourceFile, ...] = ()
    breaks: tuple[str, ...] = ()

    def licences(self) -> dict[str, int]:
        """How many source files claim each licence."""
        return dict(Counter(it.licence_claimed or "unknown" for it in self.sources))

    def summary(self) -> list[tuple[str, str]]:
        """What a report says of it, by name."""
        licences = (f"{count} files: {name}" for name, count in self.licences().items())
        told = [
            ("model", self.model),
            ("began with", self.began_with),
            ("data", self.data and f"latents {self.data}, {len(self.shards)} shards"),
            ("clips", self.clips_manifest and f"{len(self.clips)} of {self.clips_manifest}"),
            ("source files", str(len(self.sources)) if self.sources else None),
            ("licences claimed", "; ".join(licences)),
            *(("the chain is broken", it) for it in self.breaks),
        ]
        return [(name, text) for name, text in told if text]


def trace(file: Path, root: UPath) -> Lineage:
    """Follow `file` back through what the stages have left below `root`.

    `file` is a generated MP4, a file of an evaluation's or a model's folder, or such a folder.
    Raises `InputError` for a file that says nothing of its origin.
    """
    model, data = _origin(file)
    return trace_model(model, data, root, str(file))


def trace_model(model: str, data: str | None, root: UPath, file: str = "") -> Lineage:
    """As `trace`, from a model's digest, and the data's where they are known."""
    found = Lineage(file=file, model=model, data=data)
    breaks: list[str] = []
    if receipt := _output(root, "post_tuned_model", model):
        folder, told = receipt
        known = told.inputs.get("latent_shards")
        began = told.figures.get("began with")
        update = {"model_folder": str(folder), "data": known or data}
        found = found.model_copy(update={**update, "began_with": began and str(began)})
    else:
        breaks.append(f"no post_tuned_model below {root} has the digest {model[:12]}")
    return _data(found, root, breaks)


def _data(found: Lineage, root: UPath, breaks: list[str]) -> Lineage:
    from exvideo.clips.manifest import read_clips
    from exvideo.latents.manifest import read_manifest

    if found.data is None:
        breaks.append("neither the file nor the model names the data that it was trained on")
        return found.model_copy(update={"breaks": tuple(breaks)})
    path = _named(root, "latent_shards", f"manifest-{found.data[:12]}.json")
    if path is None:
        breaks.append(f"no manifest of latents below {root} has the digest {found.data[:12]}")
        return found.model_copy(update={"breaks": tuple(breaks)})
    if hashlib.sha256(path.read_bytes()).hexdigest() != found.data:
        breaks.append(f"{path} has been changed: its content is not what its name says")
        return found.model_copy(update={"breaks": tuple(breaks)})
    latents = read_manifest(path)
    found = found.model_copy(
        update={
            "shards": tuple(str(path.parent / it.file) for it in latents.shards),
            "clips_manifest": latents.clips_manifest,
            "clips": tuple(it.clip_id for it in latents.clips),
        }
    )
    path = _named(root, "clips", f"manifest-{latents.clips_manifest[:12]}.parquet")
    if path is None:
        breaks.append(
            f"no manifest of clips below {root} has the digest {latents.clips_manifest[:12]}"
        )
        return found.model_copy(update={"breaks": tuple(breaks)})
    clips = read_clips(path)
    used = set(found.clips)
    cut = Counter(
        (piece.path, piece.sha256)
        for clip in clips
        if clip.clip_id in used
        for piece in clip.pieces
    )
    sources = tuple(_sources(cut, root))
    if unlisted := [it.path for it in sources if it.licence_claimed is None]:
        breaks.append(
            f"no manifest of source videos below {root} lists {len(unlisted)} files with these "
            f"contents, such as {unlisted[0]}"
        )
    return found.model_copy(update={"sources": sources, "breaks": tuple(breaks)})


def _sources(cut: Counter[tuple[str, str]], root: UPath) -> Iterator[SourceFile]:
    from exvideo.sources.manifest import read_source_videos

    listed = {
        (video.path, video.sha256): video
        for path in root.glob("*/source_videos/*/manifest-*.parquet")
        for video in read_source_videos(path)
    }
    for (path, sha256), clips in sorted(cut.items()):
        video = listed.get((path, sha256))
        yield SourceFile(
            path=path,
            sha256=sha256,
            source=video.source if video else None,
            licence_claimed=video.licence_claimed if video else None,
            clips=clips,
        )


def _origin(file: Path) -> tuple[str, str | None]:
    """The model's digest, and the data's where the file itself says it."""
    if file.suffix.lower() == ".mp4" and file.is_file() and (origin := _comment(file)):
        return origin.model, origin.data
    if not file.exists():
        raise InputError(f"there is no {file}")
    folder = UPath(file if file.is_dir() else file.parent)
    receipt = read_receipt(folder)
    if receipt is None:
        raise InputError(
            f"{file} says nothing of its origin: it is neither a clip that `exvideo generate` has "
            "made nor in a folder of the stages post_tuned_model and evaluation_grid"
        )
    if receipt.stage == "post_tuned_model":
        return receipt.digest, receipt.inputs.get("latent_shards")
    model = receipt.inputs.get("post_tuned_model")
    if model is None:
        raise InputError(f"{folder} is an output of {receipt.stage}, which no model has made")
    return model, None


def _comment(file: Path) -> Origin | None:
    import av

    try:
        with av.open(str(file)) as container:
            comment = json.loads(container.metadata.get("comment", ""))
        return Origin.model_validate(comment["exvideo"])
    except (av.FFmpegError, ValueError, KeyError, TypeError, ValidationError):
        return None  # another program's, or no video


def _output(root: UPath, stage: str, digest: str) -> tuple[UPath, Receipt] | None:
    for path in root.glob(f"*/{stage}/*/receipt.json"):
        receipt = read_receipt(path.parent)
        if receipt is not None and receipt.digest == digest:
            return path.parent, receipt
    return None


def _named(root: UPath, stage: str, name: str) -> UPath | None:
    """A manifest by the name that its content gives it."""
    return next(iter(sorted(root.glob(f"*/{stage}/*/{name}"))), None)
