"""Any folder of videos: measured, named where that fails, compared with another."""

import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from exvideo.evaluation import folder_figure
from exvideo.evaluation.flow import Raft, dis_flow
from exvideo.evaluation.folder import FolderNumbers
from exvideo.video.decoder import Decoder
from exvideo.video.write import write_mp4
from pipelines.measure import main
from tests.evaluation.test_report_page import data

SIZE, FRAMES = 64, 8
FAST = ["--set", "evaluation.flow.iterations=2"]


def video(path: Path, steps: list[float], seed: int = 0, fps: int = 24) -> None:
    """A texture that moves by so many pixels to the right from each frame to the next."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.normal(size=(SIZE, 4 * SIZE)), 2, mode="wrap")
    texture = np.uint8(np.clip(128 + 400 * texture, 0, 255))
    places = np.rint(np.cumsum([SIZE, *steps])).astype(int)
    frames = [np.repeat(texture[:, x : x + SIZE, None], 3, 2) for x in places]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, np.stack(frames), fps=fps)


def measured(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main([*words, *FAST])
    said = capsys.readouterr()
    return code, said.out, said.err


@dataclass(frozen=True)
class Compared:
    """What comparing the shaking folder with the steady one gave."""

    said: str
    numbers: dict[str, Any]
    page: dict[str, Any]
    root: Path


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Five textures that shake, against steady pans over the same five."""
    root = tmp_path_factory.mktemp("videos")
    for seed in range(5):
        video(root / "steady" / f"{seed}.mp4", [2.0] * (FRAMES - 1), seed)
        shaken = [2.0 + 2 * (-1) ** it for it in range(FRAMES - 1)]
        video(root / "shaken" / f"{seed}.mp4", shaken, seed)
    numbers, html = root / "numbers.json", root / "report.html"
    words = [str(root / "shaken"), "--against", str(root / "steady")]
    with redirect_stdout(StringIO()) as said:
        assert main([*words, "--json", str(numbers), "--html", str(html), *FAST]) == 0
    return Compared(said.getvalue(), json.loads(numbers.read_text()), data(html.read_bytes()), root)


def test_a_shaking_folder_is_told_from_a_steady_one(compared: Compared) -> None:
    assert "5 videos (8 frames at 24 a second, 64x64)" in compared.said
    jitter = compared.numbers["summary"]["dis_jitter"]
    assert jitter["interval"][0] < jitter["mean"] < jitter["interval"][1]
    table = compared.said[compared.said.index("videos of the same name") :]
    (line,) = (it for it in table.splitlines() if it.split()[:1] == ["dis_jitter"])
    low, high = (float(it) for it in line.split()[2::2][:2])
    assert 0 < low < high


def test_a_report_shows_two_folders_videos_side_by_side(compared: Compared) -> None:
    written, page = compared.numbers, compared.page
    columns = {it["name"]: it["values"] for it in page["columns"]}
    assert list(columns) == ["shaken", "steady", "shaken - steady"]
    assert columns["shaken"]["jitter"]["interval"] == written["summary"]["jitter"]["interval"]
    assert columns["shaken - steady"]["dis_jitter"]["interval"][0] > 0
    jitters = {it["name"]: it["values"]["jitter"] for it in written["videos"]}
    assert page["rows"][0]["title"] == max(jitters, key=lambda it: jitters[it])
    assert [it["group"] for it in page["rows"][0]["players"]] == ["shaken", "steady"]
    speed = page["charts"][0]["curves"][0]["points"][0][1]
    assert speed == pytest.approx(np.mean([it["speed"][0] for it in written["videos"]]), rel=1e-5)


def test_of_numbers_alone_a_report_has_nothing_to_play(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video(tmp_path / "videos" / "a.mp4", [1.0] * 5)
    (tmp_path / "videos" / "broken<b>.mp4").write_bytes(b"nothing")
    numbers, html = tmp_path / "numbers.json", tmp_path / "report.html"
    folder = str(tmp_path / "videos")
    assert measured(capsys, folder, "--json", str(numbers))[0] == 0
    assert measured(capsys, folder, "--against", str(numbers), "--html", str(html))[0] == 0
    page = data(html.read_bytes())
    assert [len(it["players"]) for it in page["rows"]] == [1]
    assert any("broken<b>.mp4" in note for note in page["notes"])
    assert any("5 clips or more" in note for note in page["notes"])
    assert b"<b>" not in html.read_bytes().split(b'id="data">')[1].split(b"</script>")[0]


def test_a_broken_and_a_short_video_are_named_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video(tmp_path / "whole.mp4", [1.0] * 5)
    video(tmp_path / "short.mp4", [1.0])
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    code, said, _ = measured(capsys, str(tmp_path))
    assert code == 0
    assert "1 videos (6 frames" in said
    assert "not measured: short.mp4: 2 frames, 4 are needed" in said
    assert "not measured: broken.mp4: " in said
    assert "an interval takes 5 videos or more" in said


def test_what_does_not_compare_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video(tmp_path / "one" / "a.mp4", [1.0] * 5)
    video(tmp_path / "other" / "a.mp4", [1.0] * 5, fps=12)
    video(tmp_path / "third" / "b.mp4", [1.0] * 5)
    one, other, third = (str(tmp_path / it) for it in ("one", "other", "third"))
    code, _, said = measured(capsys, one, "--against", other)
    assert code == 2
    assert "a has 6 frames at 24 a second" in said
    code, _, said = measured(capsys, one, "--against", third)
    assert code == 2
    assert "no video in" in said


def test_written_numbers_stand_for_their_folder_unless_measured_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video(tmp_path / "a.mp4", [1.0] * 5)
    out = tmp_path / "numbers.json"
    assert measured(capsys, str(tmp_path), "--json", str(out))[0] == 0
    code, said, _ = measured(capsys, str(tmp_path), "--against", str(out))
    assert code == 0
    (line,) = (
        it
        for it in said[said.index("same name") :].splitlines()
        if it.split()[:1] == ["flow_speed"]
    )
    assert float(line.split()[1]) == 0
    other = json.loads(out.read_text())
    other["protocol"]["torch"] = "1.0"
    out.write_text(json.dumps(other))
    code, _, said = measured(capsys, str(tmp_path), "--against", str(out))
    assert code == 2
    assert "were measured with torch " in said
    assert "and 1.0: such numbers don't compare" in said


def test_a_folder_that_is_not_there_is_said_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = measured(capsys, "/nowhere/videos")
    assert code == 2
    assert "exvideo measure: there is no /nowhere/videos" in said


def test_only_so_many_frames_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video(tmp_path / "a.mp4", [1.0] * 9)
    code, said, _ = measured(capsys, str(tmp_path), "--frames", "5")
    assert code == 0
    assert "1 videos (5 frames" in said


@pytest.fixture(scope="module")
def museum(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A folder against one of models: alike, slower and half of it broken, without any video."""
    root = tmp_path_factory.mktemp("museum")
    for prompt in ("a cat", "a dog"):
        video(root / "ours" / f"{prompt}.mp4", [1.0] * 4)
        (root / "museum" / "LaVie").mkdir(parents=True, exist_ok=True)
        video(root / "museum" / "LaVie" / f"{prompt}.mp4", [2.0] * 4)
    for model in ("Slow-T2V", "Empty", "Lost"):
        (root / "museum" / model).mkdir()
    video(root / "museum" / "Slow-T2V" / "a cat.mp4", [1.0] * 4, fps=8)
    (root / "museum" / "Slow-T2V" / "a dog.mp4").write_bytes(b"nothing")
    (root / "museum" / "Lost" / "a cat.mp4").write_bytes(b"nothing")
    numbers, html = root / "numbers.json", root / "report.html"
    words = [str(root / "ours"), "--against", str(root / "museum"), "--models"]
    with redirect_stdout(StringIO()) as said:
        drawn = ["--figure", str(root / "figure.png"), "--set", "evaluation.grid_frames=2"]
        written = ["--json", str(numbers), "--html", str(html)]
        assert main([*words, *written, *drawn, *FAST]) == 0
    return Compared(said.getvalue(), json.loads(numbers.read_text()), data(html.read_bytes()), root)


def line_of(said: str, name: str) -> list[str]:
    """The first line that begins so, its cells without the name."""
    (line, *_) = (it for it in said.splitlines() if it.startswith(f"  {name}  "))
    return line.removeprefix(f"  {name}").split()


def test_one_table_states_every_models_rate_and_length(museum: Compared) -> None:
    assert line_of(museum.said, "frames") == ["5", "5", "5"]
    assert line_of(museum.said, "frames a second") == ["24", "24", "8"]
    assert line_of(museum.said, "seconds") == ["0.21", "0.21", "0.62"]
    ours, lavie, _ = (float(it) for it in line_of(museum.said, "dis_flow_speed"))
    assert ours < lavie


def test_models_are_paired_by_prompt_and_never_across_rates(museum: Compared) -> None:
    lavie, slow = museum.numbers["against"]
    assert (lavie["pairs"], lavie["left_out"]) == (2, [])
    means = {it["name"]: it["values"]["dis_flow_speed"] for it in museum.numbers["videos"]}
    others = {it["name"]: it["values"]["dis_flow_speed"] for it in lavie["other"]["videos"]}
    expected = np.mean([means[it] - others[it] for it in means])
    assert lavie["differences"]["dis_flow_speed"]["mean"] == pytest.approx(expected)
    assert (slow["pairs"], slow["differences"]) == (0, {})
    assert "not compared: a cat has 5 frames at 24 a second" in museum.said


def test_a_model_of_which_nothing_plays_is_named_and_the_rest_goes_on(museum: Compared) -> None:
    left_out = [it for it in museum.said.splitlines() if it.startswith("left out: ")]
    assert len(left_out) == 2
    assert "Empty holds no video" in left_out[0]
    assert "none of 1 videos in" in left_out[1]
    assert "not measured: a dog.mp4: " in museum.said


def test_the_page_has_a_column_and_a_player_a_model(museum: Compared) -> None:
    forms = {it["name"]: it["form"] for it in museum.page["columns"]}
    assert list(forms) == ["ours", "LaVie", "Slow-T2V", "ours - LaVie"]
    assert forms["Slow-T2V"] == "5 frames at 8 a second, 0.62 s, 64x64"
    assert forms["ours - LaVie"] == "2 pairs"
    players = {it["title"]: [clip["group"] for clip in it["players"]] for it in museum.page["rows"]}
    assert players == {"a cat": ["ours", "LaVie", "Slow-T2V"], "a dog": ["ours", "LaVie"]}
    assert any("Not compared: a cat has 5 frames" in note for note in museum.page["notes"])


def test_the_figure_has_a_row_a_model_with_what_it_shows_in_place_of_a_video_it_lacks(
    museum: Compared,
) -> None:
    assert (museum.root / "figure.png").read_bytes().startswith(b"\x89PNG")
    with av.open(str(museum.root / "figure.mp4")) as container:
        assert container.streams.video[0].average_rate == 24, "the fastest video's"
    numbers = FolderNumbers.model_validate(museum.numbers)
    folders = [museum.root / "ours", *(museum.root / "museum" / it for it in ("LaVie", "Slow-T2V"))]
    files = [{it.stem: it for it in folder.glob("*.mp4")} for folder in folders]
    raft = cast(Raft, dis_flow)  # its shapes, in no time
    with Decoder(60) as decoder:
        scenes = list(folder_figure._scenes(numbers, files, decoder, raft, 2))
    shown = {it.caption: [(row.name, row.fps, row.note) for row in it.strips] for it in scenes}
    assert shown == {
        "a cat": [("ours", 24, ""), ("LaVie", 24, ""), ("Slow-T2V", 8, "")],
        "a dog": [("ours", 24, ""), ("LaVie", 24, ""), ("Slow-T2V", 8, "a cat")],
    }


def test_videos_beside_models_folders_are_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video(tmp_path / "a.mp4", [1.0] * 4)
    (tmp_path / "LaVie").mkdir()
    code, _, said = measured(capsys, str(tmp_path), "--models")
    assert code == 2
    assert "holds both folders and videos (a.mp4)" in said
