"""The documentation's pages, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exvideo.config import PROJECT

PAGES = sorted(
    [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")]
)

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
QUOTED = re.compile(r"^> (?:`([^`]+)`|``(.+)``)$", re.MULTILINE)
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
PROGRAMS = {"exvideo", "make", "python"}


@dataclass(frozen=True)
class Command:
    """A command line as a reader would type it."""

    page: str
    program: str
    arguments: tuple[str, ...]
    whole: bool
    """From a block; in the prose a command may stand without what it needs."""

    def __str__(self) -> str:
        return f"{self.page}: {self.program} {shlex.join(self.arguments)}"


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCED.sub("", page.read_text())


def inline_code() -> Iterator[tuple[str, str]]:
    """Every `code` in the prose, with its page's name."""
    for page in PAGES:
        for code in INLINE.findall(prose(page)):
            yield str(page.relative_to(PROJECT)), code


def commands() -> Iterator[Command]:
    """All of `exvideo`, `make` and `python`, from shell blocks and from the prose."""
    for page in PAGES:
        name = str(page.relative_to(PROJECT))
        for language, block in FENCED.findall(page.read_text()):
            if language in {"", "sh"}:
                for line in block.replace("\\\n", " ").splitlines():
                    yield from _command(name, line, whole=True)
        for code in INLINE.findall(prose(page)):
            if not set("…[]<>").intersection(code):
                yield from _command(name, code, whole=False)


def _command(page: str, line: str, whole: bool) -> Iterator[Command]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return  # output of a program, not a command
    while words and (words[0] == "exec" or ASSIGNMENT.fullmatch(words[0])):
        words.pop(0)
    for end in (">", "|", "&"):
        words = words[: words.index(end)] if end in words else words
    if words and (program := words[0].rpartition("/")[2]) in PROGRAMS and len(words) > 1:
        yield Command(page, program, tuple(words[1:]), whole)
