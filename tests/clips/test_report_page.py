"""The page to look at, in a browser without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from upath import UPath

from exvideo.clips.curate import curate
from exvideo.clips.filters.load import load_filters
from exvideo.clips.funnel import funnel_table
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
    slider = page.locator("input[data-filter=motion]")
    slider.evaluate("s => { s.value = 0; s.dispatchEvent(new Event('input')) }")
    expect(page.locator("#passing")).to_contain_text("3 of 3 scored candidates pass")
