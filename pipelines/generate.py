"""`exvideo generate`: a clip from a picture, or from a text, with a post-tuned model.

exvideo generate --image photo.png --model outputs/tiny/post_tuned_model --out clip.mp4
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upath import UPath

from exvideo.config import Preset
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import read_receipt, stage_folder
from pipelines.report import open_report
from pipelines.stage import add_preset_arguments, chosen_preset

if TYPE_CHECKING:
    from PIL import Image

    from exvideo.generation import Sampling

BASELINES = ("direct", "squeezed", "sliding_window", "autoregressive", "interpolated")


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        if arguments.out.suffix != ".mp4":
            raise InputError(f"--out {arguments.out} must end in .mp4")
        with open_report("generate") as progress:
            _generate(arguments, preset, progress)
    except InputError as error:
        print(f"exvideo generate: {error}", file=sys.stderr)
        return 2
    return 0


def _generate(arguments: argparse.Namespace, preset: Preset, progress: Progress) -> None:
    model = None if arguments.baseline else _model_path(arguments.model, preset)
    image = _image(arguments)
    progress.say("loading the model")
    from exvideo import generation
    from exvideo.models import load_pipeline
    from exvideo.video.write import write_mp4

    sampling = _sampling(arguments, preset, model)
    pipeline: Any
    if model is None:
        pipeline = load_pipeline(preset.model.base)
        pipeline.to(generation.best_device())
    else:
        pipeline = generation.load_model(model, _base(model, preset))
    num_frames = arguments.frames or preset.clips.num_frames
    if arguments.low_memory:
        generation.save_memory(pipeline)
    options: dict[str, Any] = {
        "sampling": sampling,
        "on_step": lambda done, total: progress.update(done, total, "steps"),
    }
    if arguments.size:
        options |= {"height": arguments.size[0], "width": arguments.size[1]}
    make = generation.BASELINES[arguments.baseline or "direct"]
    frames = make(pipeline, image, num_frames, **options)
    if arguments.second_pass:
        options |= {"height": arguments.second_pass[0], "width": arguments.second_pass[1]}
        frames = generation.second_pass(pipeline, frames, image, **options)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(arguments.out, frames, sampling.fps)
    count, height, width, _ = frames.shape
    progress.say(f"{count} frames of {width}x{height} pixels: {arguments.out}")


def _image(arguments: argparse.Namespace) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    if arguments.prompt:
        from exvideo.generation import first_frame

        return first_frame(arguments.prompt, arguments.text_to_image, seed=arguments.seed)
    try:
        return Image.open(arguments.image)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"--image {arguments.image} can't be read: {error}") from error


def _model_path(model: str | None, preset: Preset) -> str:
    """Where the model lies: as named, or the preset's last post-tuned one."""
    stage = stage_folder(preset, "post_tuned_model") if model is None else UPath(model)
    receipt = read_receipt(stage)
    if receipt is not None:
        return str(stage / receipt.folder)
    if model is None:
        raise InputError(
            f"there is no post-tuned model in {stage}: name one with --model, or run "
            f"`exvideo run post_tuned_model --preset {preset.name}` first"
        )
    return model


def _base(model: str, preset: Preset) -> Any:
    """An extension's file alone extends the preset's base; other forms name their own."""
    return preset.model.base if model.endswith(".safetensors") else None


def _sampling(arguments: argparse.Namespace, preset: Preset, model: str | None) -> "Sampling":
    """The preset's evaluation settings where the command line says nothing."""
    from exvideo.generation import Sampling
    from exvideo.generation.published_weights import PUBLISHED_SCALE
    from exvideo.models import read_metadata

    chosen = preset.evaluation
    published = False
    if model is not None and model.endswith(".safetensors"):
        published = read_metadata(model).scaling_factor == PUBLISHED_SCALE
    return Sampling(
        steps=arguments.steps or chosen.sampling_steps,
        guidance=tuple(
            arguments.guidance or (chosen.min_guidance_scale, chosen.max_guidance_scale)
        ),
        fps=arguments.fps or chosen.fps,
        motion_bucket_id=chosen.motion_bucket_id if arguments.motion is None else arguments.motion,
        noise_aug_strength=chosen.noise_aug_strength,
        decode_chunk_size=chosen.decode_chunk_size,
        seed=arguments.seed,
        published_weights=published,
    )


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not cross or not width.isdigit() or not height.isdigit():
        raise argparse.ArgumentTypeError(f"a size reads WIDTHxHEIGHT, not {text!r}")
    return int(height), int(width)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exvideo generate", description=__doc__)
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--image", type=Path, help="the picture that the clip starts from")
    start.add_argument("--prompt", help="a text, from which --text-to-image draws the first frame")
    parser.add_argument(
        "--text-to-image",
        default="stabilityai/stable-diffusion-xl-base-1.0",
        help="a diffusers text-to-image model, a folder or a repository (default: %(default)s)",
    )
    parser.add_argument(
        "--model",
        help="a post-tuned model's folder, an extension's .safetensors (its base is the "
        "preset's), or a pipeline in diffusers' layout (default: the preset's last model)",
    )
    parser.add_argument("--out", type=Path, required=True, help="the .mp4 to write")
    parser.add_argument("--frames", type=int, help="length of the clip")
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="of the frames (default: by the picture)"
    )
    parser.add_argument("--steps", type=int, help="of the sampler")
    parser.add_argument(
        "--guidance", type=float, nargs=2, metavar=("FIRST", "LAST"), help="at these frames"
    )
    parser.add_argument("--fps", type=int, help="of the clip, a condition for the model too")
    parser.add_argument("--motion", type=int, help="motion bucket, 0 to 255")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--second-pass", type=_size, metavar="WxH", help="draw the details again at this size"
    )
    parser.add_argument(
        "--baseline", choices=BASELINES, help="the preset's base without any training, instead"
    )
    parser.add_argument(
        "--low-memory", action="store_true", help="slower, in less GPU memory, the same clip"
    )
    add_preset_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
