"""HTML pages that need no network and no server: a template with its data inside."""

import base64
import json
from pathlib import Path
from typing import Any


def html_page(template: Path, data: Any) -> bytes:
    """The template with `data` as JSON in the place of `__DATA__`, within a script element.

    Whatever a text in it holds reaches the page as data only, never as markup.

    Raises `ValueError` for a number that JSON does not have.
    """
    # The browser's parser ends a script at </script>, wherever that stands.
    text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    return template.read_text(encoding="utf-8").replace("__DATA__", text).encode()


def data_url(content: bytes, kind: str) -> str:
    """A file of a MIME type as a URL that holds all of it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
