"""Networks that installed packages offer as entry points.

Their code comes with the package, which somebody has installed; from a file comes only data.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from exvideo.errors import InputError

if TYPE_CHECKING:
    import torch


@cache
def offered(group: str) -> dict[str, EntryPoint]:
    """A group's entry points by name. Each is a function of named tensors that returns a module."""
    return {point.name: point for point in entry_points(group=group)}


def load_offered(group: str, name: str, file: str, key: str) -> "torch.nn.Module":
    """The network `name` with the weights in `file`, which `key` of the preset names.

    Raises `InputError` where no package offers it, or the file holds no weights of it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if name not in offered(group):
        raise InputError(
            f"{key} names {file}, but no installed package offers {name} as an entry point of the "
            f"group {group}: docs/metrics.md shows one"
        )
    path = Path(file).expanduser()
    if path.suffix != ".safetensors" or not path.is_file():
        raise InputError(f"{key} names {file}: {name} takes a .safetensors file on this machine")
    try:
        network: torch.nn.Module = offered(group)[name].load()(load_file(path))
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise InputError(f"{path} holds no weights of {name}: {error}") from error
    return network.eval()
