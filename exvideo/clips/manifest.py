"""The manifest of clips: one row a candidate. Clips are virtual: nothing is re-encoded."""

import sys
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator
from upath import UPath

from exvideo.manifest import Manifest, read_manifest, write_manifest


class ClipPiece(BaseModel):
    """The frames that one file gives to a clip: `num_frames`, stride apart, from `start_frame`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    """As in the manifest of source videos."""
    sha256: str
    start_frame: int
    num_frames: int


class Clip(BaseModel):
    """A window over one source video, or a file that gave none."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    clip_id: str
    """16 hex digits of a digest over the pieces' content, the window, the crop and the size."""
    video_id: str
    source: str
    status: Literal["kept", "rejected"]
    reason: str | None = None
    """Why it was rejected: a kind, a colon and the particulars."""
    split: Literal["train", "held_out"] = "train"
    pieces: list[ClipPiece]
    stride: int = 1
    fps: float | None = None
    """Frames a second after the stride, the video's true ones or assumed."""
    crop_top: int = 0
    crop_left: int = 0
    crop_height: int = 0
    crop_width: int = 0
    """The crop in the video's own pixels."""
    num_frames: int
    height: int
    width: int
    motion_score: float | None = None
    """Mean temporal standard deviation of pixels in [-1, 1]."""
    contrast: float | None = None
    """Mean spatial standard deviation of pixels in [-1, 1]."""
    motion_bucket_id: int | None = None
    flow_speed: float | None = None
    """Mean optical flow magnitude, px a frame at the clip's size."""
    scores: dict[str, float] = Field(default_factory=dict)
    """By filter, where it applies; none of a clip that was not looked at."""
    signature: str | None = None
    """What near-duplicates are found by; see `exvideo.clips.signature`."""
    caption: str = ""
    """What it shows, in words; empty where nobody said it."""
    licence: str = ""
    """Under which the source may be used; empty where it is not known."""

    @field_validator("scores", mode="before")
    @classmethod
    def _from_map(cls, value: Any) -> Any:
        """Arrow gives a map as pairs; the few names are the same objects in all clips."""
        return {sys.intern(name): score for name, score in dict(value or {}).items()}

    def rejected(self, reason: str) -> "Clip":
        """The same clip with a reason against it."""
        return self.model_copy(update={"status": "rejected", "reason": reason})

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width."""
        return self.num_frames, self.height, self.width

    @property
    def reason_kind(self) -> str | None:
        """The reason without its particulars, such as `still`."""
        return self.reason.partition(":")[0] if self.reason else None


SCHEMA = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("split", pa.string(), nullable=False),
        pa.field(
            "pieces",
            pa.list_(
                pa.struct(
                    [
                        pa.field("path", pa.string(), nullable=False),
                        pa.field("sha256", pa.string(), nullable=False),
                        pa.field("start_frame", pa.int32(), nullable=False),
                        pa.field("num_frames", pa.int32(), nullable=False),
                    ]
                )
            ),
            nullable=False,
        ),
        pa.field("stride", pa.int32(), nullable=False),
        pa.field("fps", pa.float32()),
        pa.field("crop_top", pa.int32(), nullable=False),
        pa.field("crop_left", pa.int32(), nullable=False),
        pa.field("crop_height", pa.int32(), nullable=False),
        pa.field("crop_width", pa.int32(), nullable=False),
        pa.field("num_frames", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("motion_score", pa.float32()),
        pa.field("contrast", pa.float32()),
        pa.field("motion_bucket_id", pa.int32()),
        pa.field("flow_speed", pa.float32()),
        pa.field("scores", pa.map_(pa.string(), pa.float64())),
        pa.field("signature", pa.string()),
        pa.field("caption", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
    ]
)


def write_clips(folder: UPath, clips: list[Clip]) -> Manifest:
    """Write the manifest, in the order given."""
    return write_manifest(folder, clips, SCHEMA)


def read_clips(path: UPath) -> list[Clip]:
    """The rows of a manifest, kept and rejected."""
    return read_manifest(path, Clip)
