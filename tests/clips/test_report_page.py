"""The page to look at, in a browser without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from upath import UPath

from exvideo.clips.curate import curate
from exvideo.clips.filters.load import load_filters
from exvideo.clips.funnel import Funnel, funnel_table
from exvideo.clips.funnel_chart import funnel_chart, steps
from exvideo.clips.manifest import Clip
from exvideo.clips.report_page import report_page
from exvideo.clips.verdicts import thresholds
from exvideo.progress import Silent
from exvideo.video.decoder import Decoder
from tests.clips.videos import config, listed, moving

CHROMIUM = shutil.which("chromium")
HOSTILE = "<img src=x onerror=alert(1)>&.mp4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def clips(folder: Path) -> list[Clip]:
    videos = [
        listed(folder, HOSTILE, moving(17)),
        listed(folder, "still.mp4", np.repeat(moving(1, "brick"), 9, axis=0)),
        listed(folder, "broken.mp4", b"no video"),
    ]
    return curate(videos, UPath(folder), config(), UPath(folder / "scores"), Silent())


@pytest.fixture(scope="module")
def html(folder: Path, clips: list[Clip]) -> bytes:
    filters = load_filters()
    applied = thresholds(filters, config().filters)
    with Decoder(60) as decoder:
        return report_page(clips, filters, applied, UPath(folder), decoder)


def test_the_funnel_adds_up(clips: list[Clip]) -> None:
    assert funnel_table(clips).splitlines()[0::2] == [
        "| source | videos | decoded | candidates | still | unreadable | kept |",
        "| test | 3 | 2 | 4 | 1 | 1 | 2 |",
    ]


def test_the_chart_takes_reasons_away_in_the_order_of_judging() -> None:
    funnel = Funnel("s", 3, 3, 10, {"surplus": 4, "my own": 2, "still": 1, "unreadable": 1}, 2)
    assert steps(funnel, ["unreadable", "still", "surplus"]) == [
        ("unreadable", 1, 9),
        ("still", 1, 8),
        ("surplus", 4, 4),
        ("my own", 2, 2),
    ]


def test_the_chart_draws_any_sources_name_and_no_more_than_can_be_seen(clips: list[Clip]) -> None:
    many = [
        clip.model_copy(update={"source": f"$\\broken{{{number}"})
        for number in range(14)
        for clip in clips
    ]
    pictures = [
        cv2.imdecode(np.frombuffer(funnel_chart(some, load_filters()), np.uint8), cv2.IMREAD_COLOR)
        for some in (clips, many)
    ]
    assert 3 < pictures[1].shape[0] / pictures[0].shape[0] < 7  # six rows of two


def test_a_files_name_is_never_markup(html: bytes) -> None:
    assert b"<img src=x" not in html
    assert b"\\u003cimg src=x" in html


@pytest.fixture
def page(folder: Path, html: bytes) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the PATH")
    (folder / "report.html").write_bytes(html)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.goto((folder / "report.html").as_uri())
        yield page
        browser.close()


@pytest.mark.ui
def test_a_slider_tells_how_many_another_threshold_passes(page: Page) -> None:
    expect(page.locator("#passing")).to_contain_text("2 of 3 scored candidates pass")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.locator("#funnel_chart").evaluate("it => it.naturalWidth") > 300
    slider = page.locator("input[data-filter=motion]")
    slider.evaluate("s => { s.value = 0; s.dispatchEvent(new Event('input')) }")
    expect(page.locator("#passing")).to_contain_text("3 of 3 scored candidates pass")
