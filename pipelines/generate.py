"""`exvideo generate`: a clip from a picture, or from a text, with a post-tuned model.

exvideo generate --image photo.png --model outputs/tiny/post_tuned_model --out clip.mp4
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exvideo.config import Preset
from exvideo.config.base_folder import known_folder
from exvideo.config.places import unwritable
from exvideo.errors import InputError
from exvideo.progress import Progress
from pipelines.generate_arguments import parser
from pipelines.named_model import check_length, check_sizes, named_model, origin
from pipelines.report import open_report
from pipelines.stage import chosen_preset

if TYPE_CHECKING:
    from PIL import Image

    from exvideo.generation import Sampling


def main(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    try:
        preset = chosen_preset(arguments)
        _check(arguments)
        with open_report("generate") as progress:
            _generate(arguments, preset, progress)
    except InputError as error:
        print(f"exvideo generate: {error}", file=sys.stderr)
        return 2
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what does not depend on the model, before anything is loaded."""
    out = arguments.out
    if out.suffix != ".mp4":
        raise InputError(f"--out {out} must end in .mp4")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder: name a file in it")
    if existing := unwritable(out.parent):
        raise InputError(f"--out {out}: {existing} is no folder that can be written to")
    first, last = arguments.guidance or (0, 0)
    if last < first:
        raise InputError(f"--guidance {first:g} {last:g}: the last must not be below the first")


def _generate(arguments: argparse.Namespace, preset: Preset, progress: Progress) -> None:
    model = None if arguments.baseline else named_model(arguments.model, preset)
    num_frames = arguments.frames or preset.clips.num_frames
    image = _picture(arguments.image) if arguments.image else None
    progress.doing("loading the model")
    from exvideo import generation
    from exvideo.video.write import write_mp4

    # Before any weights are loaded.
    sizes = [it for it in (arguments.size, arguments.second_pass) if it]
    check_sizes(model.folder if model else known_folder(preset.model.base), sizes)
    if model:
        check_length(model, num_frames, "--frames ")
    if image is None:
        image = generation.first_frame(
            arguments.prompt, arguments.text_to_image, seed=arguments.seed
        )
    sampling = _sampling(arguments, preset)
    if model is None:
        pipeline = generation.load_base(preset.model.base)
    else:
        pipeline = generation.load_model(model.path, model.given_base)
        sampling = replace(sampling, published_weights=generation.is_published(pipeline))
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
    comment = origin(model, arguments.seed) if model else None
    write_mp4(arguments.out, frames, sampling.fps, comment=comment)
    count, height, width, _ = frames.shape
    progress.say(f"{count} frames of {width}x{height} pixels: {arguments.out}")


def _picture(path: Path) -> "Image.Image":
    from PIL import Image

    try:
        picture = Image.open(path)
        picture.load()  # a file that breaks off is noticed here
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"--image {path} can't be read: {error}") from error
    return picture


def _sampling(arguments: argparse.Namespace, preset: Preset) -> "Sampling":
    """The preset's evaluation settings where the command line says nothing."""
    from exvideo.generation import Sampling

    chosen = preset.evaluation
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
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
