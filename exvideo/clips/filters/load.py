"""The filters themselves, loaded."""

from importlib import import_module
from importlib.metadata import EntryPoint

from exvideo.clips.filters.filter import Filter
from exvideo.clips.filters.names import GROUP, OWN, offered
from exvideo.errors import InputError


def load_filters() -> list[Filter]:
    """Every filter, in the order of judging. Raises `InputError` for one that can't be loaded."""
    own = [import_module(f"exvideo.clips.filters.{name}").FILTER for name in OWN]
    return own + [_loaded(point) for _, point in sorted(offered().items())]


def _loaded(point: EntryPoint) -> Filter:
    where = f"the filter {point.name!r} ({GROUP}: {point.value})"
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"{where} can't be loaded: {error}") from error
    if not isinstance(found, Filter) or found.name != point.name:
        raise InputError(f"{where} is no exvideo.clips.filters.Filter of that name")
    return found
