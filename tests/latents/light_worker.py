"""A worker without models, which starts at once."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from exvideo.latents.plan import ShardPlan
from exvideo.latents.speed import Done


class LightWorker:
    """Writes its plan's clip ids to a file of the shard's name, and fails where it is told to."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def ready(self, after_s: float) -> None:
        if (self.folder / "no-start").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if after_s:
            with (self.folder / "pauses").open("a") as file:
                file.write(f"{after_s:g} ")

    def write(self, plan: ShardPlan) -> Iterator[Done]:
        for clip in plan.clips:
            yield Done(clip.clip_id, encoding_s=0.0)
            self._fail_once(clip.clip_id)
        with (self.folder / plan.name).open("a") as file:
            file.write(" ".join(clip.clip_id for clip in plan.clips))

    def _fail_once(self, clip_id: str) -> None:
        while (self.folder / f"waits-{clip_id}").exists():
            time.sleep(0.05)
        if (self.folder / f"broken-{clip_id}").exists():
            raise ZeroDivisionError(f"at {clip_id}")
        if (self.folder / f"unreachable-{clip_id}").exists():
            raise ConnectionError(f"at {clip_id}")
        deadly = self.folder / f"deadly-{clip_id}"
        if deadly.exists():
            deadly.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
