"""The page of licences is of the pins that there are."""

import re

from deployment import licences
from exvideo.config import PROJECT

PAGE = (PROJECT / "docs" / "licences.md").read_text()


def test_the_page_has_every_pin_in_its_version() -> None:
    pins = dict(line.split("==") for line in licences.PINS.read_text().split())
    rows = dict(re.findall(r"^\| (\S+) \| (\d\S*) \| .* \|$", PAGE, re.MULTILINE))
    assert rows == pins, "run `python -m deployment.licences > docs/licences.md`"


def test_the_page_says_what_the_installed_packages_state() -> None:
    rows = re.findall(r"^\| (\S+) \| \d\S* \| (.*) \|$", PAGE, re.MULTILINE)
    stated = {name: licences.licence(name) for name, _ in rows}
    known = {name: it for name, it in stated.items() if it != "not installed here"}
    assert len(known) > 200
    assert {name: it for name, it in rows if name in known} == known


def test_a_licence_is_told_from_words_that_contain_its_name() -> None:
    assert licences._spelt("Redistribution is permitted") is None
    assert licences._spelt("License :: OSI Approved :: MIT License") == "MIT"
    assert licences._spelt("The Apache_License 2.0") == "Apache-2.0"
