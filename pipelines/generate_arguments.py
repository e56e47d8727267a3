"""What `exvideo generate` takes. Numbers have the ranges of the preset's keys that they replace."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from exvideo.config import ClipsConfig, EvaluationConfig, TrainingConfig
from pipelines.stage import add_preset_arguments

BASELINES = ("direct", "squeezed", "sliding_window", "autoregressive", "interpolated")

MAX_SIDE = 8192


def parser() -> argparse.ArgumentParser:
    """The command line of `exvideo generate`."""
    parser = argparse.ArgumentParser(
        prog="exvideo generate",
        description="A clip from a picture, or from a text, with a post-tuned model.",
    )
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--image", type=Path, help="the picture that the clip starts from")
    start.add_argument(
        "--prompt", type=_text, help="a text, from which --text-to-image draws the first frame"
    )
    parser.add_argument(
        "--text-to-image",
        type=_text,
        default="stabilityai/stable-diffusion-xl-base-1.0",
        help="a diffusers text-to-image model, a folder or a repository (default: %(default)s)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--model",
        type=_text,
        help="a post-tuned model's folder, an extension's .safetensors (its base is the "
        "preset's), or a pipeline in diffusers' layout (default: the preset's last model)",
    )
    which.add_argument(
        "--baseline", choices=BASELINES, help="the preset's base without any training, instead"
    )
    parser.add_argument("--out", type=Path, required=True, help="the .mp4 to write")
    parser.add_argument("--size", type=_size, metavar="WxH", help="by default by the picture")
    parser.add_argument(
        "--second-pass", type=_size, metavar="WxH", help="draw the details again at this size"
    )
    _add_numbers(parser)
    parser.add_argument(
        "--low-memory", action="store_true", help="slower, in less GPU memory, the same clip"
    )
    add_preset_arguments(parser)
    return parser


def _add_numbers(parser: argparse.ArgumentParser) -> None:
    evaluation = EvaluationConfig
    parser.add_argument("--frames", type=_as(ClipsConfig, "num_frames"), help="the clip's length")
    parser.add_argument("--steps", type=_as(evaluation, "sampling_steps"), help="of the sampler")
    parser.add_argument(
        "--guidance",
        type=_as(evaluation, "max_guidance_scale"),
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="at these frames, linear in between; at most 1 is none",
    )
    parser.add_argument(
        "--fps",
        type=_as(evaluation, "fps"),
        help="of the clip, a condition for the model too",
    )
    parser.add_argument(
        "--motion", type=_as(evaluation, "motion_bucket_id"), help="motion bucket, 0 to 255"
    )
    parser.add_argument(
        "--seed", type=_as(TrainingConfig, "seed"), default=0, help="(default: %(default)s)"
    )


def _as(section: type[BaseModel], key: str) -> Callable[[str], Any]:
    """Reads an argument as the preset would read this key."""
    field = section.model_fields[key]
    ranged: Any = Annotated[field.annotation, *field.metadata]
    adapter: TypeAdapter[Any] = TypeAdapter(ranged, config=ConfigDict(allow_inf_nan=False))

    def read(text: str) -> Any:
        try:
            return adapter.validate_strings(text)
        except ValidationError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error.errors()[0]['msg']}") from error

    return read


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("there is nothing in it")
    return text


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not cross or not width.isdecimal() or not height.isdecimal():
        raise argparse.ArgumentTypeError(f"a size reads WIDTHxHEIGHT, not {text!r}")
    if not all(8 <= int(side) <= MAX_SIDE for side in (width, height)):
        raise argparse.ArgumentTypeError(f"{text}: a side has 8 to {MAX_SIDE} pixels")
    return int(height), int(width)
