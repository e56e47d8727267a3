"""The documentation names what there is: keys, files, messages, and each page in the site."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_origin

import pytest
import yaml
from pydantic import BaseModel

from exvideo.config import PROJECT, Preset
from exvideo.config.reference import reference
from tests.docs.pages import PAGES, QUOTED, inline_code

DOCS = PROJECT / "docs"
PACKAGES = ("exvideo", "pipelines", "assets", "dagster_project")
FOLDERS = (*PACKAGES, "tests", "benchmarks", "deployment", "docs")


def test_the_reference_is_what_the_code_says() -> None:
    assert (DOCS / "reference" / "preset.md").read_text() == reference(), (
        "run `exvideo config reference > docs/reference/preset.md`"
    )


def test_every_key_has_a_meaning_and_a_row() -> None:
    page = reference()
    described = dict(keys(Preset))
    assert len(described) > 100
    assert [key for key, description in described.items() if not description] == []
    assert [it for it in described if f"`{it}`" not in page and f"# {it}" not in page] == []


MLFLOWS_TAGS = {"evaluation.protocol"}


def test_every_key_that_is_named_exists() -> None:
    sections = "|".join(it for it in Preset.model_fields if it != "name")
    dotted = re.compile(rf"^((?:{sections})(?:\.[a-z_]+)+)(?:[:= ]|$)")
    known = {key for key, _ in keys(Preset)}
    missing = {
        (page, named[1])
        for page, code in inline_code()
        if (named := dotted.match(code))
        and named[1] not in known | MLFLOWS_TAGS
        and not named[1].startswith("clips.filters.")  # their names are their packages'
    }
    assert missing == set()


def keys(section: object, prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Every dotted key and its docstring, from the classes themselves."""
    if not (isinstance(section, type) and issubclass(section, BaseModel)):
        for it in getattr(section, "__args__", ()):
            yield from keys(it, prefix)
        return
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}", field.description
        several = "[]" if get_origin(field.annotation) is tuple else ""
        yield from keys(field.annotation, f"{prefix}{name}{several}.")


def test_every_file_that_is_named_exists() -> None:
    named = re.compile(rf"^(?:{'|'.join(FOLDERS)})/[\w./-]*$")
    missing = {
        (page, code)
        for page, code in inline_code()
        if named.match(code) and "NAME" not in code and not (PROJECT / code).exists()
    }
    assert missing == set()


QUOTES = ["".join(it) for it in QUOTED.findall((DOCS / "troubleshooting.md").read_text())]


def test_every_quote_of_the_page_is_looked_up() -> None:
    assert len(QUOTES) == (DOCS / "troubleshooting.md").read_text().count("\n> ") > 20


@pytest.mark.parametrize("message", QUOTES)
def test_a_quoted_message_is_the_codes_own(message: str) -> None:
    assert any(message in it for it in messages())


@cache
def messages() -> frozenset[str]:
    """Every text of the code, `…` where a value stands in it."""
    files = (path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    return frozenset(template(it) for it in nodes if isinstance(it, ast.JoinedStr | ast.Constant))


def template(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    parts = (it.value if isinstance(it, ast.Constant) else "…" for it in node.values)
    return "".join(map(str, parts))


def test_the_site_has_every_page() -> None:
    navigation = yaml.safe_load((PROJECT / "mkdocs.yml").read_text())["nav"]
    listed: list[str] = []

    def collect(entry: object) -> None:
        if isinstance(entry, str):
            listed.append(entry)
        elif isinstance(entry, dict):
            collect(list(entry.values()))
        elif isinstance(entry, list):
            for it in entry:
                collect(it)

    collect(navigation)
    pages = [str(it.relative_to(DOCS)) for it in PAGES if it.is_relative_to(DOCS)]
    assert sorted(listed) == sorted(pages)


def test_pages_lead_to_nothing_outside_the_site() -> None:
    """GitHub would follow `../README.md`, the site can't."""
    outside = [
        (page.name, link)
        for page in PAGES
        if page.is_relative_to(DOCS)
        for link in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text())
        if not (target := Path(page.parent / link).resolve()).is_relative_to(DOCS)
        or not target.exists()
    ]
    assert outside == []
