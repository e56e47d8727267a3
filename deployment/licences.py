"""The licences that the pinned packages state, as a page of Markdown.

python -m deployment.licences > docs/licences.md
"""

import re
from collections import Counter
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

PINS = Path(__file__).parent.parent / "constraints.txt"

ELSEWHERE = {
    "flash-attn": "BSD-3-Clause",
    "ninja": "Apache-2.0",
    "nvidia-ml-py": "BSD-3-Clause",
}
"""Of pins that only machines with GPUs install, as their projects state them."""

SPELT = {
    "apache": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd": "BSD",
    "mit": "MIT",
    "mozilla public license 2.0": "MPL-2.0",
    "mpl-2.0": "MPL-2.0",
    "isc": "ISC",
    "python software foundation": "PSF-2.0",
    "psf": "PSF-2.0",
    "nvidia": "NVIDIA's own",
    "lgpl": "LGPL",
    "lgplv3": "LGPL",
    "gnu lesser": "LGPL",
    "gnu general": "GPL",
    "gpl": "GPL",
    "zope": "ZPL-2.1",
    "unlicense": "Unlicense",
}
"""How the names that packages write are told apart; the first that occurs counts."""

HEAD = """# Licences of the pinned packages

As the packages themselves state them; made by `python -m deployment.licences`. The licences of
videos and weights are another matter: `exvideo lineage` tells those of the videos, a model's card
that of its base.
"""


def page() -> str:
    """The page, equal for equal pins."""
    pins = dict(line.split("==") for line in PINS.read_text().split())
    found = {name: licence(name) for name in pins}
    counts = Counter(found.values()).most_common()
    summary = "\n".join(f"| {it} | {count} |" for it, count in sorted(counts, key=_by_count))
    rows = "\n".join(f"| {name} | {pins[name]} | {found[name]} |" for name in sorted(found))
    tables = ["| licence | packages |\n|---|---:|", summary, ""]
    tables += ["| package | version | licence |\n|---|---|---|", rows]
    return "\n".join([HEAD, *tables]) + "\n"


def licence(name: str) -> str:
    """What a package's metadata say, in SPDX's words where they can be told."""
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return ELSEWHERE.get(name, "not installed here")
    if expression := package.metadata.get("License-Expression"):
        return str(expression)
    classifiers = package.metadata.get_all("Classifier") or []
    stated = [it.rpartition(" :: ")[2] for it in classifiers if it.startswith("License ::")]
    texts = [*(package.metadata.get("License") or "").splitlines()[:1], *stated, _file(package)]
    return next((it for text in texts if (it := _spelt(text))), "not stated")


def _spelt(text: str) -> str | None:
    plain = re.sub(r"[\s_]+", " ", text.lower())
    return next((it for word, it in SPELT.items() if re.search(rf"\b{word}\b", plain)), None)


def _file(package: Distribution) -> str:
    """The beginning of the licence's text, where that is all there is."""
    names = [it for it in package.files or [] if re.search(r"(?i)licen[cs]e|copying", it.name)]
    path = Path(str(names[0].locate())) if names else None
    return path.read_text(errors="replace")[:400] if path and path.is_file() else ""


def _by_count(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


if __name__ == "__main__":
    print(page(), end="")
