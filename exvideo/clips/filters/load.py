"""The filters themselves, loaded."""

from collections.abc import Collection
from importlib import import_module
from importlib.metadata import EntryPoint

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.names import GROUP, OPTIONAL, OWN, offered
from exvideo.config import AestheticConfig
from exvideo.errors import InputError

NO_WEIGHTS = AestheticConfig()


def load_filters(
    named: Collection[str] = (), aesthetic: AestheticConfig = NO_WEIGHTS
) -> list[Filter]:
    """The filters that score, in the order of judging; optional ones where they are `named`.

    `named` are the keys of a preset's `clips.filters`, `aesthetic` its `clips.aesthetic`. Raises
    `InputError` for a filter that can't be loaded.
    """
    own = [*OWN, *(name for name in OPTIONAL if name in named)]
    found = [import_module(f"exvideo.clips.filters.{name}").FILTER for name in own]
    if aesthetic.clip and aesthetic.head:
        from exvideo.clips.filters.aesthetic import aesthetic_filter  # needs torch

        found.append(aesthetic_filter(aesthetic.clip, aesthetic.head))
    return found + [_loaded(point) for _, point in sorted(offered().items())]


def _loaded(point: EntryPoint) -> Filter:
    where = f"the filter {point.name!r} ({GROUP}: {point.value})"
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"{where} can't be loaded: {error}") from error
    if not isinstance(found, Filter) or found.name != point.name:
        raise InputError(f"{where} is no exvideo.clips.filters.Filter of that name")
    return found
