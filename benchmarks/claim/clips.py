"""The first frames, the generated clips and their numbers, each kept by its key."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claim.trainings import key_of
from exvideo.clips.manifest import read_clips
from exvideo.clips.read import read_clip
from exvideo.config import Preset
from exvideo.evaluation import metrics
from exvideo.evaluation.flow import Raft, dis_flow
from exvideo.evaluation.held_out import choose_held_out
from exvideo.evaluation.samples import read_frames, save_frames
from exvideo.receipt import read_receipt, stage_folder
from exvideo.video.decoder import Decoder
from exvideo.world.spec import random_spec

HALF_SWING = 8
"""Pairs of frames in which the world's camera goes one way at 24 frames a second."""

FPS = 24
"""Of the world's clips and of the generated ones."""

Values = dict[str, float]


def real_clips(preset: Preset, work: Path) -> dict[str, np.ndarray]:
    """The held-out rendered clips by their id, uint8 [T, H, W, 3]; others don't swing."""
    clips = stage_folder(preset, "clips")
    videos = stage_folder(preset, "source_videos")
    receipts = read_receipt(clips), read_receipt(videos)
    if receipts[0] is None or receipts[1] is None:
        raise FileNotFoundError(f"{clips} or {videos} has no receipt: its stage has not run")
    manifest = clips / receipts[0].folder / receipts[0].files["manifest"]
    rendered = [it for it in read_clips(manifest) if it.video_id.startswith("rendered/")]
    found = {}
    with Decoder(preset.clips.decode_timeout_s) as decoder:
        for clip in choose_held_out(rendered, preset.evaluation.clips):
            path = work / "real" / f"{clip.clip_id}.npy"
            if not path.exists():
                folder = videos / receipts[1].folder
                save_frames(path, read_clip(clip, folder, decoder))
            found[clip.clip_id] = read_frames(path)
    return found


def generated(
    folder: Path,
    settings: dict[str, Any],
    first_frames: Sequence[np.ndarray],
    load: Callable[[], Callable[[np.ndarray], np.ndarray]],
) -> list[Path]:
    """A clip for each first frame, uint8 [T, H, W, 3] in a file named by all it depends on.

    Args:
        settings: what the clips depend on besides the first frame.
        load: gives what generates; called once, and only where a clip is missing.
    """
    generate = None
    paths = []
    for image in first_frames:
        shown = hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
        path = folder / f"{key_of([settings, shown])}.npy"
        if not path.exists():
            generate = generate or load()
            save_frames(path, generate(image))
        paths.append(path)
    return paths


def measured(path: Path, given: np.ndarray, raft: Raft | None = None) -> Values:
    """A clip's numbers, kept beside it, by DIS, or by RAFT where one is given."""
    estimator = "dis" if raft is None else f"raft-{raft.iterations}"
    kept = path.with_suffix(f".{estimator}.json")
    if kept.exists():
        return json.loads(kept.read_text())
    frames = read_frames(path)
    if raft is None:
        flow = dis_flow(frames)
        visible = np.ones((len(flow), *flow.shape[2:]), bool)
    else:
        flow, visible = raft.both_ways(frames)
    values = values_of(frames, flow, visible, given)
    part = kept.with_name(kept.name + ".part")
    part.write_text(json.dumps(values))
    part.replace(kept)
    return values


def values_of(
    frames: np.ndarray, flow: np.ndarray, visible: np.ndarray, given: np.ndarray
) -> Values:
    """The claim's metrics; one that a clip doesn't have is left out."""
    camera = metrics.camera_flow(flow, visible)
    values = {
        "camera jitter": metrics.camera_jitter(camera),
        "jitter": metrics.jitter(flow),
        "straightness": metrics.piecewise_straightness(camera, HALF_SWING),
        "path agreement": metrics.path_agreement(camera, world_path(len(frames))),
        "speed": float(metrics.flow_speed(flow).mean()),
        "warped error": metrics.warping_error(frames, flow),
        "first frame": metrics.psnr(frames[0], given),
    }
    return {name: float(it) for name, it in values.items() if np.isfinite(it)}


def world_path(frames: int) -> np.ndarray:
    """The picture's shift in the world's clips of this many frames, [T, 2], up to their speeds.

    All of them swing alike. The picture goes the other way than the camera over it.
    """
    spec = random_spec(0, ("any",), fps=FPS)
    camera = [spec.pose(spec.path_time(frame / FPS))[1] for frame in range(frames)]
    return -np.array([[place.real, place.imag] for place in camera])
