"""Every command in the documentation is one that its own program understands."""

import argparse
import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exvideo.config import PROJECT
from pipelines.cli import COMMANDS, main
from pipelines.stage import chosen_preset
from tests.docs.pages import Command, commands

FOUND = list(commands())


def of(program: str, *, whole: bool | None = None) -> list[Command]:
    found = {it for it in FOUND if it.program == program and whole in {None, it.whole}}
    return sorted(found, key=str)


class Parsing(Exception):  # noqa: N818 - no error: it stops a program that has its arguments
    def __init__(self, parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
        self.parser, self.words = parser, words


@pytest.fixture
def parsing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Command], Parsing]:
    """The parser that a command meets, and what it is given; the command does not go on."""

    def stop(self: argparse.ArgumentParser, words: Sequence[str]) -> None:
        raise Parsing(self, words)

    def meet(command: Command) -> Parsing:
        with monkeypatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, "parse_args", stop)
            with pytest.raises(Parsing) as met:
                main(command.arguments)
        return met.value

    return meet


def goes_without(command: Command) -> bool:
    first, *rest = command.arguments
    return first in {"presets", "--help", "COMMAND"} or rest == ["STAGE"]


@pytest.mark.parametrize("command", of("exvideo", whole=True), ids=str)
def test_exvideo_takes_the_words_and_the_settings_of_a_block(
    command: Command, parsing: Callable[[Command], Parsing]
) -> None:
    met = parsing(command)
    arguments = met.parser.parse_args(met.words)  # exits where it is wrong
    preset = getattr(arguments, "preset", None)
    if preset is not None and not preset.endswith(".yaml"):
        chosen_preset(arguments)  # raises where a key or its value is refused


@pytest.mark.parametrize("command", of("exvideo", whole=False), ids=str)
def test_exvideo_knows_the_options_that_the_prose_names(
    command: Command, parsing: Callable[[Command], Parsing]
) -> None:
    if goes_without(command) or command.arguments == ("run",):
        return
    known = parsing(command).parser.format_help()
    assert [it for it in command.arguments if it.startswith("--") and it not in known] == []


@pytest.mark.parametrize("command", of("make"), ids=str)
def test_make_has_the_target(command: Command) -> None:
    targets = re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert {it for it in command.arguments if "=" not in it} <= set(targets)


@pytest.mark.parametrize("command", of("python"), ids=str)
def test_python_finds_the_module_and_the_module_its_options(command: Command) -> None:
    assert command.arguments[0] == "-m"
    spec = importlib.util.find_spec(command.arguments[1])
    assert spec is not None
    if not str(spec.origin).startswith(str(PROJECT)):
        return  # another project's
    sources = [Path(it) for it in spec.submodule_search_locations or ()]
    code = "".join(it.read_text() for folder in sources for it in folder.glob("*.py"))
    code = code or Path(str(spec.origin)).read_text()
    options = [it for it in command.arguments[2:] if it.startswith("--")]
    shared = {"--preset", "--set"} if "pipelines.stage import" in code else set()
    assert [it for it in options if it not in shared and f'"{it}"' not in code] == []


def test_every_command_is_shown_somewhere() -> None:
    shown = {it.arguments[0] for it in of("exvideo")}
    assert set(COMMANDS) - {"presets"} <= shown
