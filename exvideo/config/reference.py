"""Every key of a preset as a page of Markdown, from the sections themselves.

exvideo config reference > docs/reference/preset.md
"""

from collections.abc import Iterator
from typing import Any

from exvideo.config.preset import Preset

Schema = dict[str, Any]

HEAD = """# Every key of a preset

Made from the code by `exvideo config reference`. A key without a default must stand in the preset;
`exvideo config render` prints a whole one, and `--set training.steps=200` overrides one key.
"""

TABLE = "| key | what it is, and what it takes |\n|---|---|"

PLAIN = {"integer": "a whole number", "number": "a number", "string": "a text"}

UNBOUNDED = 10**9
"""A slip of the keyboard is refused above it; nobody plans with such a bound."""


def reference() -> str:
    """The page, equal for equal code."""
    schema = Preset.model_json_schema()
    parts = [HEAD, *_section(schema, schema["$defs"], "")]
    return "\n".join(parts).rstrip() + "\n"


def _section(section: Schema, known: dict[str, Schema], prefix: str) -> Iterator[str]:
    """A table of the section's own keys, then its sections."""
    required, nested, rows = section.get("required", ()), [], []
    for name, field in section["properties"].items():
        variants = _variants(field, known)
        if variants and "items" not in field:
            nested += [(f"{prefix}{name}", it) for it in variants]
            continue
        default = "" if name in required else f"; by default `{_yaml(field['default'])}`"
        takes = "a list of sections" if variants else _takes(field)
        said = f"{_line(field['description'])}<br>*{takes}{default}*"
        rows.append(f"| `{prefix}{name}` | {said} |")
        nested += [(f"{prefix}{name}[]", it) for it in variants]
    if rows:
        yield "\n".join([TABLE, *rows, ""])
    for path, variant in nested:
        kind = variant["properties"].get("kind", {}).get("const")
        yield f"{'##' if path.count('.') == 0 else '###'} {path}{f': {kind}' if kind else ''}\n"
        yield f"{variant['description']}\n"
        yield from _section(variant, known, f"{path}.")


def _variants(field: Schema, known: dict[str, Schema]) -> list[Schema]:
    """The sections that a key may hold, none for a plain value."""
    inner = field.get("items", field)
    references = [it["$ref"] for it in inner.get("oneOf", [inner]) if "$ref" in it]
    return [known[it.rpartition("/")[2]] for it in references]


def _takes(field: Schema) -> str:
    if "anyOf" in field:
        return " or ".join(_takes(it) for it in field["anyOf"])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{it}`" for it in field["enum"])
    match field["type"]:
        case "null":
            return "`null`"
        case "boolean":
            return "`true`, `false`"
        case "array":
            return f"a list, each {_takes(field['items'])}"
        case "object":
            return f"names with {_takes(field['additionalProperties'])} each"
    pattern = [f"like `{_cell(field['pattern'])}`"] if "pattern" in field else []
    return ", ".join([PLAIN[field["type"]], *_bounds(field), *pattern])


def _bounds(field: Schema) -> Iterator[str]:
    least, most = field.get("minimum"), field.get("maximum", UNBOUNDED)
    if least is not None and most < UNBOUNDED:
        yield f"{_number(least)} to {_number(most)}"
        return
    if least is not None:
        yield f"at least {_number(least)}"
    if "exclusiveMinimum" in field:
        yield f"above {_number(field['exclusiveMinimum'])}"
    if most < UNBOUNDED:
        yield f"at most {_number(most)}"
    if "exclusiveMaximum" in field:
        yield f"below {_number(field['exclusiveMaximum'])}"


def _number(bound: float) -> str:
    return f"{bound:,.0f}" if bound == int(bound) else f"{bound:g}"


def _yaml(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(map(_yaml, value))}]"
    return str(value)


def _line(text: str) -> str:
    return _cell(" ".join(text.split()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
