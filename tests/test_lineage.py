"""From a generated clip to the licences of the videos behind its model, over made stages."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

from exvideo.clips.manifest import Clip, ClipPiece, write_clips
from exvideo.errors import InputError
from exvideo.latents.manifest import manifest_of, write_manifest
from exvideo.lineage import Origin, trace
from exvideo.receipt import Receipt, write_receipt
from exvideo.sources.manifest import SourceVideo, write_source_videos
from exvideo.video.write import write_mp4
from pipelines.cli import main
from tests.latents.rows import clip as latent_clip
from tests.latents.rows import write_shard

MODEL = "5" * 64


@dataclass(frozen=True)
class Road:
    root: UPath
    data: str
    model: Path
    grid: Path
    latents: Path
    sources: Path


def video(name: str, licence: str) -> SourceVideo:
    return SourceVideo(
        video_id=name, piece=0, path=name, sha256=name * 64, size_bytes=1, source="hub",
        licence_claimed=licence,
    )  # fmt: skip


def clip(clip_id: str, *videos: str) -> Clip:
    pieces = [ClipPiece(path=it, sha256=it * 64, start_frame=0, num_frames=4) for it in videos]
    return Clip(
        clip_id=clip_id, video_id=videos[0], source="hub", status="kept", pieces=pieces,
        num_frames=4, height=8, width=8, fps=29.97, motion_score=0.1,
    )  # fmt: skip


def output(root: UPath, stage: str, digest: str, **inputs: str) -> UPath:
    folder = root / "tiny" / stage / "0123456789ab"
    receipt = Receipt(
        stage=stage, key="k", folder=folder.name, inputs=inputs, digest=digest, files={},
        figures={}, seconds=1,
    )  # fmt: skip
    write_receipt(folder, receipt)
    return folder


@pytest.fixture
def road(tmp_path: Path) -> Road:
    """Clip a is of two videos, c of one; the clip x has no latents."""
    root = UPath(tmp_path)
    sources = output(root, "source_videos", "s")
    listed = write_source_videos(sources, [video("1", "CC0"), video("2", "CC BY"), video("3", "?")])
    clips = write_clips(
        output(root, "clips", "c"), [clip("a", "1", "2"), clip("c", "2"), clip("x", "3")]
    )
    shards = root / "tiny" / "latent_shards" / "0123456789ab"
    shards.mkdir(parents=True)
    sidecars = [write_shard(shards, "shard-0", ["a"]), write_shard(shards, "shard-1", ["c"])]
    made = manifest_of([latent_clip("a"), latent_clip("c")], sidecars, clips.digest)
    name, data = write_manifest(shards, made)
    model = output(root, "post_tuned_model", MODEL, latent_shards=data)
    grid = output(root, "evaluation_grid", "g", post_tuned_model=MODEL) / "grid.png"
    grid.write_bytes(b"\x89PNG")
    return Road(
        root, data, Path(str(model)), Path(str(grid)), Path(str(shards / name)),
        Path(str(sources / listed.name)),
    )  # fmt: skip


def generated(folder: Path, origin: Origin | None) -> Path:
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    write_mp4(folder / "clip.mp4", frames, 8, comment=origin.comment() if origin else None)
    return folder / "clip.mp4"


def test_a_generated_clip_leads_to_the_licences_of_what_its_model_has_seen(
    road: Road, tmp_path: Path
) -> None:
    found = trace(generated(tmp_path, Origin(model=MODEL, data=road.data)), road.root)
    assert found.breaks == ()
    assert found.model_folder == str(road.model)
    assert [Path(it).name for it in found.shards] == ["shard-0.parquet", "shard-1.parquet"]
    assert found.clips == ("a", "c")
    seen = [(it.path, it.licence_claimed, it.clips) for it in found.sources]
    assert seen == [("1", "CC0", 1), ("2", "CC BY", 2)], "3 has given no latents"
    assert found.licences() == {"CC0": 1, "CC BY": 1}


def test_a_report_says_it_in_a_few_lines(road: Road) -> None:
    told = dict(trace(road.grid, road.root).summary())
    assert told["model"] == MODEL
    assert told["data"] == f"latents {road.data}, 2 shards"
    assert told["clips"].startswith("2 of ")
    assert (told["source files"], told["licences claimed"]) == ("2", "1 files: CC0; 1 files: CC BY")
    road.latents.unlink()
    assert "has the digest" in dict(trace(road.grid, road.root).summary())["the chain is broken"]


def test_a_grid_and_a_model_lead_there_too(road: Road) -> None:
    for file in (road.grid, road.model):
        found = trace(file, road.root)
        assert (found.model, found.data, found.breaks) == (MODEL, road.data, ())
        assert len(found.sources) == 2


def test_a_model_that_is_gone_is_named_and_the_data_are_found_all_the_same(
    road: Road, tmp_path: Path
) -> None:
    (road.model / "receipt.json").unlink()
    found = trace(generated(tmp_path, Origin(model=MODEL, data=road.data)), road.root)
    assert found.breaks == (f"no post_tuned_model below {road.root} has the digest {MODEL[:12]}",)
    assert len(found.sources) == 2


def test_a_manifest_that_was_changed_is_a_break(road: Road) -> None:
    road.latents.write_text(road.latents.read_text().replace('"a"', '"b"'))
    [broken] = trace(road.grid, road.root).breaks
    assert "has been changed: its content is not what its name says" in broken


def test_a_missing_manifest_of_clips_or_sources_is_a_break_by_its_name(road: Road) -> None:
    road.sources.unlink()
    found = trace(road.grid, road.root)
    assert "lists 2 files with these contents, such as 1" in found.breaks[0]
    assert found.licences() == {"unknown": 2}
    road.latents.unlink()
    [broken] = trace(road.grid, road.root).breaks
    assert broken == f"no manifest of latents below {road.root} has the digest {road.data[:12]}"


@pytest.mark.parametrize("said", [None, "not JSON", '{"exvideo": {"model": 1}}'])
def test_a_video_that_says_nothing_of_its_origin_is_refused(
    road: Road, tmp_path: Path, said: str | None
) -> None:
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    write_mp4(tmp_path / "clip.mp4", frames, 8, comment=said)
    with pytest.raises(InputError, match="says nothing of its origin"):
        trace(tmp_path / "clip.mp4", road.root)


def test_the_command_prints_a_table_or_json_and_fails_where_the_chain_is_broken(
    road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lineage", str(road.grid), "--set", f"storage.root={road.root}"]
    assert main(words) == 0
    assert "2 files: 1 CC0, 1 CC BY" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == ["a", "c"]
    road.latents.unlink()
    assert main(words) == 1
    assert "the chain is broken: no manifest of latents" in capsys.readouterr().out
