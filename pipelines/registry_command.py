"""What the commands on the registry share: the preset's registry, and how a refusal is told."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from exvideo.errors import InputError
from pipelines.stage import chosen_preset

if TYPE_CHECKING:
    from exvideo.registry import Registry


def in_registry(
    command: str,
    arguments: argparse.Namespace,
    act: "Callable[[Registry, argparse.Namespace], str]",
) -> int:
    """Print the sentence that `act` returns; its `InputError` is said, and makes the code 2."""
    try:
        preset = chosen_preset(arguments)
        from exvideo.registry import Registry

        told = act(Registry(preset), arguments)
    except InputError as error:
        print(f"exvideo {command}: {error}", file=sys.stderr)
        return 2
    print(told)
    return 0
