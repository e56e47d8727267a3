"""The stage with its input made: real shards, a receipt and a preset, in a folder of one's own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from upath import UPath

from exvideo.config import PRESETS, Preset, load_preset
from exvideo.latents.manifest import Encoding, LatentClip, Sidecar, manifest_of, write_manifest
from exvideo.latents.schema import LatentRow, Statistics, TensorShapes, arrow_schema, lossless
from exvideo.latents.shard import open_shard, write_sidecar
from exvideo.receipt import Receipt, stage_folder, write_receipt
from pipelines.post_tuned_model import STAGE
from pipelines.stage import run_stage
from tests.latents.rows import first_frame, source_clip
from tests.told import Told
from tests.training.tiny import BASE, NUM_FRAMES, MadeClips, training_config

ROOT = Path(__file__).parent.parent.parent


TRAINED_ON = 5
"""Clips; two more are held out."""


def write_latents(folder: UPath, left_out: int = 0) -> tuple[str, str]:
    """Seven clips, of which the manifest may leave some out; returns its name and digest."""
    folder.mkdir(parents=True, exist_ok=True)
    made = MadeClips(7).clips
    rows = [
        LatentRow(
            clip_id=clip["clip_id"],
            noise_aug_strengths=clip["noise_aug_strengths"].numpy(),
            first_frame=lossless(first_frame(clip["clip_id"])),
            **{
                name: clip[name].numpy().astype(np.float16)
                for name in ("image_embeds", "cond_latents", "latents")
            },
        )
        for clip in made
    ]
    shapes = TensorShapes(
        latents=rows[0].latents.shape,
        image_embeds=rows[0].image_embeds.shape,
        cond_latents=rows[0].cond_latents.shape,
    )
    encoding = Encoding(
        base_id="made",
        preprocessing="made",
        dtype="float32",
        frames_per_batch=2,
        noise_augmentations=2,
    )
    with open_shard(
        folder, "shard-0", arrow_schema(shapes, {"encoding": encoding.model_dump()})
    ) as writer:
        for row in rows:
            writer.write(row, source_clip(row.clip_id))
    sidecar = Sidecar(
        encoding=encoding,
        shapes=shapes,
        scaling_factor=MadeClips.scaling_factor,
        encoded_with={},
        shard=writer.shard,
        missing=(),
        statistics=Statistics.merged(row.statistics() for row in rows),
    )
    write_sidecar(folder, sidecar)
    clips = [
        LatentClip(
            clip_id=row.clip_id,
            split="held_out" if index >= TRAINED_ON else "train",
            fps=24.0,
            motion_bucket_id=100,
        )
        for index, row in enumerate(rows)
        if not TRAINED_ON - left_out <= index < TRAINED_ON
    ]
    return write_manifest(folder, manifest_of(clips, [sidecar], "0" * 64))


class StageRun:
    """A data root with latent shards, and the stage's program over it."""

    def __init__(self, root: Path, **training: Any) -> None:
        self.root = root
        self.preset_file = root / "preset.yaml"
        document = yaml.safe_load((PRESETS / "tiny.yaml").read_text())
        document["name"] = "test"
        document["storage"] = {"root": str(root), "min_free_gb": 0}
        document["clips"]["num_frames"] = NUM_FRAMES
        document["evaluation"]["grid_frames"] = 2
        document["model"]["base"] = BASE.model_dump()
        document["training"] = training_config(**training).model_dump(mode="json")
        root.mkdir(parents=True)
        self.preset_file.write_text(yaml.safe_dump(document))
        self.give_latents()

    def give_latents(self, left_out: int = 0) -> None:
        """The stage's input, without the last clips to train on."""
        shards = stage_folder(self.preset, "latent_shards")
        name, digest = write_latents(shards / "made", left_out)
        write_receipt(
            shards,
            Receipt(
                stage="latent_shards",
                key="made",
                folder="made",
                digest=digest,
                files={"manifest": name},
                figures={"training clips": TRAINED_ON - left_out},
                seconds=0,
            ),
        )

    def change(self, setting: str, to: str) -> None:
        """Edit the preset's file."""
        text = self.preset_file.read_text()
        assert setting in text
        self.preset_file.write_text(text.replace(setting, to))

    @property
    def preset(self) -> Preset:
        return load_preset(str(self.preset_file))

    @property
    def receipt(self) -> Receipt:
        path = stage_folder(self.preset, "post_tuned_model") / "receipt.json"
        return Receipt.model_validate_json(path.read_bytes())

    def output(self, name: str) -> Path:
        folder = stage_folder(self.preset, "post_tuned_model")
        return Path(str(folder / self.receipt.folder / self.receipt.files[name]))

    def scratch(self, file: str) -> Path | None:
        found = list((self.root / "test" / "scratch" / "post_tuned_model").glob(f"*/{file}"))
        return found[0] if found else None

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """The stage's program, as a person starts it."""
        command = [sys.executable, "-m", "pipelines.post_tuned_model"]
        return subprocess.Popen(
            [*command, "--preset", str(self.preset_file)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run_here(self) -> str:
        """The stage in this process, where `trained_here` makes that the only rank; its words."""
        told = Told()
        run_stage(STAGE, self.preset, told)
        return "\n".join(told.said)

    def rows(self) -> list[dict]:
        return [json.loads(line) for line in self.output("metrics").read_text().splitlines()]
