"""`exvideo generate`: a clip from a picture, or from a text, with a post-tuned model.

exvideo generate --image photo.png --model outputs/tiny/post_tuned_model --out clip.mp4
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upath import UPath

from exvideo.config import Preset
from exvideo.config.base_folder import UNET_CONFIG, frame_unit_of, known_folder
from exvideo.config.places import unwritable
from exvideo.errors import InputError
from exvideo.progress import Progress
from exvideo.receipt import read_receipt, stage_folder
from pipelines.generate_arguments import parser
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
    model = None if arguments.baseline else _model_path(arguments.model, preset)
    num_frames = arguments.frames or preset.clips.num_frames
    image = _picture(arguments.image) if arguments.image else None
    progress.doing("loading the model")
    from exvideo import generation
    from exvideo.models import load_pipeline
    from exvideo.video.write import write_mp4

    _check_against_model(arguments, preset, model, num_frames)
    if image is None:
        image = generation.first_frame(
            arguments.prompt, arguments.text_to_image, seed=arguments.seed
        )
    sampling = _sampling(arguments, preset)
    pipeline: Any
    if model is None:
        pipeline = load_pipeline(preset.model.base)
        pipeline.to(generation.best_device())
    else:
        pipeline = generation.load_model(model, _base(model, preset))
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
    write_mp4(arguments.out, frames, sampling.fps)
    count, height, width, _ = frames.shape
    progress.say(f"{count} frames of {width}x{height} pixels: {arguments.out}")


def _check_against_model(
    arguments: argparse.Namespace, preset: Preset, model: str | None, num_frames: int
) -> None:
    """Refuse sizes and lengths that the model can't take, before its weights are loaded."""
    from exvideo.generation.frame_size import check_size
    from exvideo.models import read_metadata

    folder, extension = _parts(preset, model)
    if folder is not None and (folder / UNET_CONFIG).is_file():
        for height, width in filter(None, (arguments.size, arguments.second_pass)):
            check_size(height, width, frame_unit_of(folder))
    if extension is not None and num_frames > (longest := read_metadata(extension).num_frames):
        raise InputError(
            f"the model in {extension} is extended to {longest} frames, not to {num_frames}: ask "
            f"for fewer with --frames {longest}"
        )


def _parts(preset: Preset, model: str | None) -> tuple[Path | None, Path | None]:
    """The folder of the base's configurations and the extension's file, where there are any."""
    from exvideo.generation.load import model_description

    if model is None:
        return known_folder(preset.model.base), None
    path = Path(model)
    if described := model_description(path):
        return known_folder(described.base), path / described.extension
    if path.suffix == ".safetensors":
        return known_folder(preset.model.base), path
    return path, None


def _picture(path: Path) -> "Image.Image":
    from PIL import Image

    try:
        picture = Image.open(path)
        picture.load()  # a file that breaks off is noticed here
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"--image {path} can't be read: {error}") from error
    return picture


def _model_path(model: str | None, preset: Preset) -> str:
    """Where the model lies: as named, or the preset's last post-tuned one."""
    if model is None:
        stage = stage_folder(preset, "post_tuned_model")
    else:
        model = os.path.expanduser(model)  # noqa: PTH111 - a Path would drop the ./ of a local folder
        stage = UPath(Path(model))
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
