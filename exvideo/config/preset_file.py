"""Presets as YAML: reading with overrides, and writing."""

import difflib
import os
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from exvideo.config.places import PRESETS
from exvideo.config.preset import Preset
from exvideo.errors import InputError

SETTINGS = "EXVIDEO_SET"
"""Names what a machine sets in every preset, as `{storage.scratch: /scratch}`."""

KINDS = {"embedded", "local", "open_sora_plan", "pretrained", "random"}
"""pydantic counts a union's kind as a part of a key, which it is not in the document."""


PLAINLY = {
    "tuple_type": "Input should be a list, such as [a, b]",
    "model_type": "Input should be a section with keys of its own",
    "model_attributes_type": "Input should be a section with keys of its own",
}
"""What pydantic says in Python's terms, in YAML's."""


class PresetError(InputError):
    """A preset was refused; the message names every key at fault."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-4 is a number, as everyone expects, and a key stands once in a section."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        # A second `training:` would silently replace the first one.
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def shipped_presets() -> list[str]:
    """The names of the presets that come with the package."""
    return sorted(preset.stem for preset in PRESETS.glob("*.yaml"))


def load_preset(name_or_path: str, overrides: dict[str, Any] | None = None) -> Preset:
    """Read a preset by its shipped name or a YAML file's path.

    `overrides` maps dotted keys to values: `{"training.steps": 10}`. They count before what the
    environment's EXVIDEO_SET says, and that before the file.

    Raises `PresetError` with every key at fault.
    """
    path = _find(name_or_path)
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PresetError(f"{path} is not valid YAML: {error}") from error
    except OSError as error:
        raise PresetError(f"{path} can't be read: {error}") from error
    if not isinstance(document, dict):
        raise PresetError(f"{path} must hold a mapping, not {type(document).__name__}")
    for key, value in {**_of_this_machine(), **(overrides or {})}.items():
        _set(document, key, value)
    try:
        return Preset.model_validate(document)
    except ValidationError as error:
        raise PresetError(f"preset {path.name} is refused:\n{_faults(error)}") from error


def _of_this_machine() -> dict[str, Any]:
    text = os.environ.get(SETTINGS, "{}")
    try:
        settings = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise PresetError(f"{SETTINGS} is not valid YAML: {error}") from error
    if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise PresetError(
            f"{SETTINGS} must map dotted keys to values, such as {{storage.scratch: /scratch}}, "
            f"not {text!r}"
        )
    return settings


def parse_override(text: str) -> tuple[str, Any]:
    """Read `training.steps=10` as a dotted key and a YAML value."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise PresetError(f"an override reads key=value, not {text!r}")
    try:
        return key, yaml.load(value, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise PresetError(f"the override {text!r} is not valid YAML: {error}") from error


def render(preset: Preset) -> str:
    """The whole preset, every default written out, as YAML that loads to an equal one."""
    return yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _find(name_or_path: str) -> Path:
    path = Path(name_or_path).expanduser()
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise PresetError(f"there is no preset file {path} (seen from {Path.cwd()})")
        return path
    if name_or_path in shipped_presets():
        return PRESETS / f"{name_or_path}.yaml"
    hint = "; a preset file's name ends in .yaml" if path.exists() else ""
    raise PresetError(
        f"there is no preset {name_or_path!r}; shipped presets: "
        f"{', '.join(shipped_presets())}{hint}"
    )


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        nested = document.get(section)
        if nested is None and key in _keys(Preset):
            nested = document[section] = {}  # the preset leaves the section at its defaults
        if not isinstance(nested, dict):
            raise PresetError(
                f"override {key!r}: the preset has no section {section!r}{_near(key)}"
            )
        document = nested
    document[last] = value


def _faults(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        location = ".".join(str(part) for part in fault["loc"] if part not in KINDS)
        message = PLAINLY.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        if fault["type"] == "extra_forbidden":
            message = f"there is no such key{_near(location)}"
        # What the sections must agree on names its keys itself.
        lines.append(f"  {location}: {message}" if location else f"  {message}")
    return "\n".join(lines)


def _near(key: str) -> str:
    keys = set(_keys(Preset))
    if key in keys:
        return " in a section of this kind"
    near = difflib.get_close_matches(key, sorted(keys), 1, cutoff=0.8)
    return f"; did you mean {near[0]}?" if near else ""


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted key that a preset can have."""
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}"
        for nested in get_args(field.annotation) or (field.annotation,):
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                yield from _keys(nested, f"{prefix}{name}.")
