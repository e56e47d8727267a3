"""Folders of videos, each measured alike: found, measured, reported, drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from upath import UPath

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import write_atomically
from exvideo.sources.local import SUFFIXES, find_local

if TYPE_CHECKING:
    from exvideo.evaluation.flow import Raft
    from exvideo.evaluation.folder import FolderNumbers
    from exvideo.evaluation.networks import Networks


def measured_folders(
    found: Mapping[str, Sequence[Path]],
    raft: "Raft",
    networks: "Networks",
    progress: Progress,
    *,
    needed: str,
    num_frames: int,
    period: int | None,
    timeout_s: float,
) -> tuple[list["FolderNumbers"], list[str]]:
    """Every folder's numbers, and what is wrong with those that can't be measured.

    Raises `InputError` where it is the folder `needed`.
    """
    from exvideo.evaluation.folder import measure_folder

    measured: list[FolderNumbers] = []
    failed: list[str] = []
    for folder, files in found.items():
        progress.doing(f"measuring {folder}")
        try:
            numbers = measure_folder(
                folder,
                files,
                raft,
                progress,
                num_frames=num_frames,
                period=period,
                timeout_s=timeout_s,
                networks=networks,
            )
        except InputError as error:
            if folder == needed:
                raise
            failed.append(str(error))
        else:
            measured.append(numbers)
    return measured, failed


def found_folders(
    named: Sequence[str], models: bool
) -> tuple[dict[str, Sequence[Path]], list[str]]:
    """Each folder's videos, and what is wrong with models' folders that have none."""
    found: dict[str, Sequence[Path]] = {}
    failed = []
    for folder in named:
        below = _models(folder) if models else []
        for it in below or [folder]:
            if it in found:
                raise InputError(f"{it} is named twice")
            try:
                found[it] = _videos(it)
            except InputError as error:
                if not below:
                    raise
                failed.append(str(error))
    if not found:
        raise InputError("; ".join(failed))
    return found, failed


def _models(folder: str) -> list[str]:
    """The folders in a folder of models; none where it is a folder of videos."""
    path = Path(folder).expanduser()
    below = sorted(path.iterdir()) if path.is_dir() else []
    models = [it for it in below if it.is_dir() and not it.name.startswith(".")]
    if models and (beside := [it.name for it in below if it.suffix.lower() in SUFFIXES]):
        raise InputError(
            f"{folder} holds both folders and videos ({beside[0]}): with --models, put the videos "
            "into a folder of their own, or leave --models out"
        )
    return [str(it) for it in models]


def write_folder_report(
    path: Path,
    numbers: "FolderNumbers",
    files: Sequence[Mapping[str, Path]],
    timeout_s: float,
    lineage: Sequence[tuple[str, str]] = (),
) -> None:
    """The page of `numbers` and what they were compared with; `lineage` as the page takes it."""
    from exvideo.code_version import code_version
    from exvideo.evaluation.folder_report import folder_report
    from exvideo.evaluation.report_page import report_page
    from exvideo.video.decoder import Decoder

    with Decoder(timeout_s) as decoder:
        facts = [("code", code_version())]
        report = folder_report(numbers, files, decoder, facts, lineage)
        write_atomically(UPath(path), report_page(report))


def write_figure(
    path: Path,
    numbers: "FolderNumbers",
    files: Sequence[Mapping[str, Path]],
    raft: "Raft",
    preset: Preset,
    title: str,
) -> None:
    """A picture of `numbers` and their comparisons, and a video of its name beside it."""
    from exvideo.evaluation.folder_figure import write_folder_figure
    from exvideo.video.decoder import Decoder

    config = preset.evaluation
    with Decoder(preset.clips.decode_timeout_s) as decoder:
        write_folder_figure(
            path,
            numbers,
            files,
            decoder,
            raft,
            scenes=config.grid_clips,
            columns=config.grid_frames,
            title=title,
        )


def files_by_name(measured: Sequence[Sequence[Path]], folders: int) -> list[dict[str, Path]]:
    """The measured folders' videos, then none of those of which only the numbers are known."""
    found = [{it.stem: it for it in files} for files in measured]
    return found + [{} for _ in range(folders - len(found))]


def _videos(folder: str) -> Sequence[Path]:
    try:
        return [Path(file.path) for file in find_local([folder]).files]
    except InputError as error:
        raise InputError(str(error).removeprefix("source.paths: ")) from error
