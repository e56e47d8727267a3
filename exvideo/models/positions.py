"""The trainable table of frame positions: its initial walk and its change of length."""

from typing import Literal

import torch
from torch import nn

TableInit = Literal["ping_pong", "wrap"]


def ping_pong(num_frames: int, length: int, turn: int) -> list[int]:
    """Climb from 0 to length-1, then swing between length-1 and `turn`, for `num_frames` steps."""
    last = length - 1
    span = last - turn
    walk = list(range(min(num_frames, length)))
    for frame in range(length, num_frames):
        phase = (frame - last) % (2 * span) if span else 0
        walk.append(last - phase if phase <= span else turn + phase - span)
    return walk


def turning_position(native_frames: int) -> int:
    """Where the walk turns back upwards: 4 for the original's 25, the same share for others.

    Positions below it lie next to the conditioning image and occur only once.
    """
    return 4 * native_frames // 25


def native_positions(num_frames: int, native_frames: int, table_init: TableInit) -> torch.Tensor:
    """The base's own position from which each row of a new table starts, int64 [num_frames].

    `ping_pong` is the original's walk: for 25 native frames 0..24, 23..4, 5..24, 23..4, ...,
    period 40. `wrap` starts again at 0 after the last native position.
    """
    if num_frames < 1 or native_frames < 1:
        raise ValueError(
            f"A table needs at least one row and one native position, "
            f"got num_frames={num_frames}, native_frames={native_frames}."
        )
    if table_init == "ping_pong":
        return torch.tensor(ping_pong(num_frames, native_frames, turning_position(native_frames)))
    if table_init == "wrap":
        return torch.arange(num_frames) % native_frames
    raise ValueError(f"table_init is {table_init!r}, expected 'ping_pong' or 'wrap'.")


def walk_period(native_frames: int, table_init: TableInit) -> int:
    """Frames after which `native_positions` come again, at the latest: 40 for the original's 25."""
    if table_init == "wrap":
        return native_frames
    return max(1, 2 * (native_frames - 1 - turning_position(native_frames)))


class PositionTable(nn.Module):
    """One trainable row for each frame position; `embeddings` is [num_frames, channels]."""

    def __init__(self, embeddings: torch.Tensor):
        super().__init__()
        self.embeddings = nn.Parameter(embeddings)

    def forward(self, num_frames: int) -> torch.Tensor:
        """Rows 0..num_frames-1, [num_frames, channels].

        Raises:
            ValueError: if the clip is longer than the table.
        """
        if num_frames > len(self.embeddings):
            raise ValueError(
                f"The clip has {num_frames} frames, but the model is extended to "
                f"{len(self.embeddings)}: extend or resize it to at least {num_frames}."
            )
        return self.embeddings[:num_frames]


def resize_rows(rows: torch.Tensor, num_frames: int, native_frames: int) -> torch.Tensor:
    """A trained table [N, C] cut down or continued to [num_frames, C].

    Trained rows are kept. Further rows continue the ping-pong walk over the trained table
    itself, so that neighbouring frames keep neighbouring rows.
    """
    turn = min(turning_position(native_frames), len(rows) - 1)
    walk = ping_pong(num_frames, len(rows), turn)
    return rows[torch.tensor(walk, device=rows.device)]
