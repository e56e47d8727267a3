"""The report: what its data say, and what a browser without a network makes of them."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from exvideo.evaluation.numbers import DEFINITIONS, Numbers, SampleNumbers, summarise
from exvideo.evaluation.protocol import Protocol
from exvideo.evaluation.report_page import (
    EXTREMES,
    OTHERS,
    Player,
    PlayerRow,
    mean_curve,
    ranked,
    report_page,
)
from exvideo.evaluation.run_report import CURVE_POINTS, run_report
from exvideo.evaluation.samples import FirstFrame, Phase, Sample, save_frames

CHROMIUM = shutil.which("chromium")
HOSTILE = "</script><img src=x onerror=alert(1)>"
PHASES = {"real": 0, "before": 0, "after": 6}
VIDEOS = "[...document.querySelectorAll('video')]"
FRAMES, CLIPS = 8, 6
LEVEL = 20
"""Grey levels that a frame is brighter than the one before."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def samples(folder: Path) -> list[Sample]:
    path = folder / "frames.npy"
    levels = (30 + LEVEL * np.arange(FRAMES)).astype(np.uint8)
    save_frames(path, np.broadcast_to(levels[:, None, None, None], (FRAMES, 32, 48, 3)))
    names = [HOSTILE, *(f"clip{number}" for number in range(1, CLIPS))]
    return [
        Sample(Phase(phase, step, None), FirstFrame(name, np.zeros((2, 2, 3), np.uint8)), 0, path)
        for phase, step in PHASES.items()
        for name in names
    ]


@pytest.fixture(scope="module")
def numbers(samples: list[Sample]) -> Numbers:
    """After training, a clip jitters by a tenth of its place in the list."""
    measured = []
    for place, sample in enumerate(samples):
        jitter = 0.1 * (place % CLIPS) + (0.5 if sample.phase.name == "before" else 0.0)
        values = {**dict.fromkeys(DEFINITIONS, 1.0), "jitter": jitter, "repetition": None}
        measured.append(
            SampleNumbers(
                phase=sample.phase.name, step=sample.phase.step,
                clip_id=sample.first_frame.clip_id, seed=0, values=values,
                speed=[1.0 + jitter] * (FRAMES - 1), shake=[jitter] * (FRAMES - 3),
                contrast=[0.2] * FRAMES,
            )
        )  # fmt: skip
    protocol = Protocol(estimator="raft", flow_weights="0", torch="2", device="cpu")
    return summarise(measured, {}, protocol=protocol, num_frames=FRAMES, fps=4, period=8)


@pytest.fixture(scope="module")
def html(numbers: Numbers, samples: list[Sample]) -> bytes:
    return made(numbers, samples)


def made(numbers: Numbers, samples: list[Sample], **limit: int) -> bytes:
    training = [
        {"step": 0, "validation_loss": 0.2},
        *({"step": step, "loss": 1 / step} for step in range(1, 7)),
        {"step": 6, "validation_loss": 0.1},
    ]
    facts = [("model", HOSTILE), ("code", "commit 0123")]
    lineage = [("clips", "3 of 0123"), ("licences claimed", "2 files: CC0")]
    report = run_report("8 to 128 frames", numbers, samples, training, facts, lineage=lineage)
    return report_page(report, **limit)


def data(html: bytes) -> dict[str, Any]:
    text = html.decode().split('id="data">')[1].split("</script>")[0]
    return dict(json.loads(text))


def test_the_tables_numbers_are_those_of_the_json(html: bytes, numbers: Numbers) -> None:
    written = json.loads(numbers.model_dump_json())
    columns = {it["name"]: it["values"] for it in data(html)["columns"]}
    assert list(columns) == ["real", "before", "after", "after - before"]
    for phase in PHASES:
        for metric, estimate in written["summary"][phase].items():
            if estimate["mean"] is None:
                assert metric not in columns[phase]
            else:
                expected = {it: estimate[it] for it in ("mean", "interval", "samples")}
                assert columns[phase][metric] == expected
    less = written["differences"]["after"]["jitter"]
    assert columns["after - before"]["jitter"]["interval"] == less["interval"]


def test_a_name_is_never_markup(html: bytes) -> None:
    assert b"<img" not in html
    assert b"\\u003c/script>\\u003cimg src=x" in html


def test_the_same_run_gives_the_same_bytes(
    html: bytes, numbers: Numbers, samples: list[Sample]
) -> None:
    assert made(numbers, samples) == html


def test_it_says_what_made_it(html: bytes, numbers: Numbers) -> None:
    facts = dict(data(html)["facts"])
    assert facts["protocol"] == numbers.protocol.digest
    assert facts["code"] == "commit 0123"


def test_the_curves_are_over_frames_and_over_the_training(html: bytes) -> None:
    charts = {it["title"]: it for it in data(html)["charts"]}
    speed = charts["Flow speed, pixels a frame"]["curves"]
    assert [it["name"] for it in speed] == ["real", "before", "after"]
    # Six clips' jitters of 0 to 0.5, and half a pixel more before the training.
    assert speed[1]["points"] == [[t + 0.5, 1.75] for t in range(FRAMES - 1)]
    losses = {
        it["name"]: it["points"] for it in charts["Losses, mean squared error on v"]["curves"]
    }
    assert losses["validation loss"] == [[0, 0.2], [6, 0.1]]
    assert losses["training loss"][0] == [1, 1]
    jitter = charts["Jitter over the training"]["curves"][0]
    assert [step for step, _ in jitter["points"]] == [0, 6]
    assert jitter["bounds"][1][0] < 0.25 < jitter["bounds"][1][1]


def test_a_long_trainings_curve_is_thinned_between_its_ends(numbers: Numbers) -> None:
    training = [{"step": step, "loss": 1.0} for step in range(5, 50_000)]
    report = run_report("t", numbers.model_copy(update={"samples": []}), [], training, [])
    (losses,) = (it for it in report.charts if it.log)
    steps = [step for step, _ in losses.curves[0].points]
    assert len(steps) <= CURVE_POINTS + 2
    assert (steps[0], steps[-1]) == (5, 49_999)


def test_a_frames_mean_is_over_the_clips_that_reach_it() -> None:
    assert mean_curve([[1.0, 1.0, 4.0], [3.0]], 0.5) == [(0.5, 2.0), (1.5, 1.0), (2.5, 4.0)]


def row(name: str, jitter: float | None) -> PlayerRow:
    return PlayerRow(name, jitter, [])


def test_the_worst_and_the_best_come_first_and_each_row_once() -> None:
    jitters = {"a": 0.1, "b": 0.9, "still": None, "c": 0.5, "d": 0.2, "e": 0.7, "f": 0.4}
    found = ranked([row(name, it) for name, it in jitters.items()], "after")
    assert [it.title for _, it in found[: 2 * EXTREMES]] == ["b", "e", "a", "d"]
    assert [section for section, _ in found[:3:2]] == [
        "most jittering (after)",
        "smoothest (after)",
    ]
    assert len(found) == 2 * EXTREMES + OTHERS
    assert {it.title for _, it in found[2 * EXTREMES :]} <= {"still", "c", "f"}


def test_one_clip_is_neither_the_worst_nor_the_best() -> None:
    (found,) = ranked([row("a", 0.1)], "after")
    assert found[1].title == "a"
    assert "jittering" not in found[0]


def test_what_the_page_holds_is_bounded_and_said(
    html: bytes, numbers: Numbers, samples: list[Sample]
) -> None:
    rows = data(html)["rows"]
    a_row = sum(len(it["video"]) + len(it["slice"]) for it in rows[0]["players"])
    short = data(made(numbers, samples, media_bytes=2 * a_row + a_row // 2))
    assert short["rows"] == rows[:2], "whole rows, the worst first"
    assert short["all_rows"] == CLIPS


def test_only_clips_that_are_shown_are_read(numbers: Numbers) -> None:
    read: list[str] = []

    def player(name: str) -> Player:
        def frames() -> np.ndarray:
            read.append(name)
            return np.zeros((4, 16, 16, 3), np.uint8)

        return Player("after", 8, {}, frames)

    rows = [PlayerRow(str(n), float(n), [player(str(n))]) for n in range(50)]
    empty = run_report("t", numbers.model_copy(update={"samples": []}), [], [], [])
    report_page(replace(empty, rows=rows))
    assert read[:4] == ["49", "48", "0", "1"]
    assert len(read) == 2 * EXTREMES + OTHERS


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the PATH")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


def opened(browser: Browser, folder: Path, html: bytes, width: int, height: int) -> Page:
    """The page; what it complains of, or asks of a network, fails the test."""
    file = folder / "report.html"
    file.write_bytes(html)
    page = browser.new_page(viewport={"width": width, "height": height})
    faults: list[str] = []
    page.on("console", lambda it: faults.append(it.text))
    page.on("pageerror", lambda it: faults.append(str(it)))
    page.on("request", lambda it: it.url.startswith("http") and faults.append(it.url))
    page.goto(file.as_uri())
    wait(page, f"{VIDEOS}.every(it => it.readyState >= 2 && !it.seeking)")
    assert faults == []
    return page


def wait(page: Page, condition: str) -> None:
    """Playwright's own waiting evaluates texts in the page, which the page forbids."""
    while not page.evaluate(condition):
        page.wait_for_timeout(20)


@pytest.mark.ui
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_it_fits_its_screen_and_shows_what_it_holds(
    browser: Browser, folder: Path, html: bytes, numbers: Numbers, size: tuple[int, int]
) -> None:
    page = opened(browser, folder, html, *size)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    expect(page.get_by_text("2 files: CC0")).to_be_visible()
    jitter = numbers.summary["real"]["jitter"]
    low, high = jitter.interval or (0, 0)
    cell = page.locator("tr[data-metric=jitter] td").first
    expect(cell).to_have_text(f"{jitter.mean:.3g}{low:.3g} to {high:.3g}")
    picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert picture.std() > 10
    page.close()


@pytest.mark.ui
def test_the_slider_moves_every_player(browser: Browser, folder: Path, html: bytes) -> None:
    page = opened(browser, folder, html, 1280, 900)
    wanted = 5
    page.locator("#time").evaluate(
        "(it, frame) => { it.value = frame; it.dispatchEvent(new Event('input')) }", wanted
    )
    wait(page, f"{VIDEOS}.every(it => !it.seeking)")
    levels = page.evaluate(
        VIDEOS
        + """.map(it => {
            const pen = document.createElement('canvas').getContext('2d');
            pen.drawImage(it, 0, 0);
            return pen.getImageData(8, 8, 1, 1).data[0];
        })"""
    )
    assert len(levels) == 3 * CLIPS
    assert np.abs(np.array(levels) - (30 + LEVEL * wanted)).max() < LEVEL / 3
    expect(page.locator("#now")).to_have_text("frame 6 of 8, 1.25 s")
    page.close()


@pytest.mark.ui
def test_all_players_play_together(browser: Browser, folder: Path, html: bytes) -> None:
    page = opened(browser, folder, html, 1280, 900)
    page.get_by_role("button", name="Play").click()
    wait(page, "Number(document.getElementById('time').value) >= 2")
    page.get_by_role("button", name="Pause").click()
    wait(page, f"{VIDEOS}.every(it => !it.seeking)")
    times = page.evaluate(f"{VIDEOS}.map(it => it.currentTime)")
    assert len(set(times)) == 1, "a pause leaves all at the same frame"
    page.close()
