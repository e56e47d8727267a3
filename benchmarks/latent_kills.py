"""What kills leave behind: the stage of latents on a Ray cluster of two nodes, killed at random
moments and started again, against a run that nobody has disturbed.

python -m benchmarks.latent_kills --kills 50 --seed 0 --folder /tmp/kills

A round encodes the clips of the preset `tiny` from nothing until the stage has ended well; there
are as many rounds as the kills take, and Ctrl-C makes the one under way the last. Whoever dies is
drawn, and the moment, too: one kill in two comes a moment after the last, as often as not while all
is starting, the other once a shard more is written.
"""

import argparse
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import psutil
import pyarrow.parquet as pq

from benchmarks.loader.table import print_table
from benchmarks.ray_nodes import Nodes, ray_nodes
from exvideo.latents.manifest import read_manifest
from exvideo.receipt import read_receipt

NODES = 2
PAUSE_S = {"after a kill": 20.0, "after a shard": 4.0}
"""The longest until the next kill."""

DECK = {"a worker": 16, "its decoder": 8, "the stage's driver": 9, "the command": 8, "a node": 9}
"""Of 50 kills: who dies how often."""

STAGE = "pipelines.latent_shards"


@dataclass
class Killer:
    """Kills one after the other, each at a moment of its own."""

    nodes: Nodes
    left: list[str]
    draw: random.Random
    hits: Counter[str] = field(default_factory=Counter)
    while_writing: Counter[str] = field(default_factory=Counter)
    """Of the hits, those at which a part of a shard stood on the disk."""
    fell: int = 0
    """Nodes that have ended by themselves, as Ray's may where it is held up."""
    due: float = 0.0
    more_than: int | None = None
    """So many shards must be written first."""

    def wait(self, written: int) -> None:
        after = self.draw.choice(list(PAUSE_S))
        self.more_than = written if after == "after a shard" else None
        self.due = time.monotonic() + self.draw.uniform(0, PAUSE_S["after a kill"])

    def kill(self, stage: subprocess.Popen[bytes], output: Path) -> None:
        """The next kill, if its moment has come and whom it strikes is there."""
        if not self.left:
            return
        written = len(list(output.rglob("shard-*.json")))
        if self.more_than is not None and written > self.more_than:
            self.more_than = None
            self.due = time.monotonic() + self.draw.uniform(0, PAUSE_S["after a shard"])
        if self.more_than is not None or time.monotonic() < self.due:
            return
        who, writing = self.left[-1], any(output.rglob("shard-*.part"))
        if self._strike(who, stage):
            self.left.pop()
            self.hits[who] += 1
            self.while_writing[who] += writing
            print(f"killed {who}, {written} shards", flush=True)
            self.wait(written)

    def _strike(self, who: str, stage: subprocess.Popen[bytes]) -> bool:
        if who == "a node":
            nodes = sorted(self.nodes.cluster.worker_nodes, key=lambda it: it.unique_id)
            self.nodes.lose(self.draw.choice(nodes))
            self.nodes.add()
            return True
        if who == "the command":
            stage.kill()
            return True
        found = {
            "a worker": self.nodes.workers,
            "its decoder": lambda: [it for one in self.nodes.workers() for it in _decoders(one)],
            "the stage's driver": lambda: _drivers(stage),
        }[who]()
        with suppress(psutil.NoSuchProcess):
            if found:
                self.draw.choice(found).kill()
                return True
        return False


def _decoders(worker: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [it for it in worker.children() if "spawn_main" in " ".join(it.cmdline())]
    return []


def _drivers(stage: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The stage's program below its supervisor."""
    with suppress(psutil.Error):
        supervisors = psutil.Process(stage.pid).children()
        return [it for one in supervisors for it in one.children() if STAGE in it.cmdline()]
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="to keep the outputs in; none is, by default")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)  # noqa: S311
    whom = draw.choices(list(DECK), list(DECK.values()), k=arguments.kills)
    with ExitStack() as stack:
        temporary = stack.enter_context(TemporaryDirectory(prefix="kills-"))
        nodes = stack.enter_context(ray_nodes(NODES))
        killer = Killer(nodes, whom, draw)
        signal.signal(signal.SIGINT, lambda *_: killer.left.clear())
        _rounds(arguments.folder or Path(temporary), killer)


def _rounds(root: Path, killer: Killer) -> None:
    root.mkdir(parents=True, exist_ok=True)
    undisturbed = root / "undisturbed"
    with (root / "log.txt").open("wb") as log:
        for stage in ("pipelines.source_videos", "pipelines.clips", STAGE):
            subprocess.run(_command(stage, undisturbed), check=True, stdout=log, stderr=log)
        expected, found, ends = _Shards(undisturbed), [], Counter[str]()
        began = time.monotonic()
        while killer.left:
            output = root / f"round-{time.time():.0f}"
            for stage in ("source_videos", "clips"):
                (output / "tiny").mkdir(parents=True, exist_ok=True)
                (output / "tiny" / stage).symlink_to(undisturbed / "tiny" / stage)
            ends.update(_until_well(output, killer, log))
            found.append(_Shards(output))
            _tell(killer, expected, found, ends, time.monotonic() - began)


def _until_well(root: Path, killer: Killer, log: IO[bytes]) -> Iterator[str]:
    """Start the same command until it ends well; how it has ended, each time."""
    killer.wait(0)
    while True:
        with subprocess.Popen(_command(STAGE, root), stdout=log, stderr=log) as stage:
            while stage.poll() is None:
                killer.fell += killer.nodes.replace_lost()
                killer.kill(stage, root / "tiny" / "latent_shards")
                time.sleep(0.01)
        if stage.returncode == 0:
            yield "end well"
            return
        if stage.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
            yield "were killed"
        else:
            print(Path(log.name).read_text(errors="replace")[-2000:], flush=True)
            yield "gave up"


def _command(stage: str, root: Path) -> list[str]:
    settings = ["--set", f"storage.root={root}", "--set", f"latents.workers={NODES}"]
    return [sys.executable, "-m", stage, "--preset", "tiny", *settings]


class _Shards:
    """What a run has left."""

    def __init__(self, root: Path) -> None:
        here = root / "tiny" / "latent_shards"
        folder = here / read_receipt(here).folder  # type: ignore[union-attr]
        self.files = {it.name: it.read_bytes() for it in folder.iterdir() if _counts(it.name)}
        self.parts = len(list(here.rglob("*.part")))
        (manifest,) = folder.glob("manifest-*.json")
        listed = read_manifest(manifest)  # type: ignore[arg-type]
        self.wanted = {it.clip_id for it in listed.clips}
        shards = sorted(it for it in folder.glob("*.parquet") if it.name.startswith("shard-"))
        rows = [pq.read_table(it, columns=["clip_id"])["clip_id"].to_pylist() for it in shards]
        self.rows = Counter(clip_id for shard in rows for clip_id in shard)


def _counts(name: str) -> bool:
    return name.startswith(("shard-", "manifest-", "captions-")) and not name.endswith(".part")


def _tell(
    killer: Killer, expected: _Shards, found: list[_Shards], ends: Counter[str], seconds: float
) -> None:
    told: Callable[[str], list[str]] = lambda who: [  # noqa: E731
        who,
        str(killer.hits[who]),
        str(killer.while_writing[who]),
    ]
    print(f"\nafter {killer.hits.total()} kills:")
    print_table(["killed", "times", "while a shard was written"], map(told, DECK))
    differ = sum(
        one.files.get(name) != expected.files.get(name)
        for one in found
        for name in one.files.keys() | expected.files.keys()
    )
    figures = {
        "rounds": len(found),
        "minutes": round(seconds / 60),
        **{f"starts that {end}": count for end, count in sorted(ends.items())},
        "nodes that ended by themselves": killer.fell,
        "files compared": sum(len(one.files) for one in found),
        "files that differ from the undisturbed run's": differ,
        "rows": sum(one.rows.total() for one in found),
        "clips without a row": sum(len(expected.wanted - one.rows.keys()) for one in found),
        "clips with two": sum(one.rows.total() - len(one.rows) for one in found),
        "parts of shards left behind": sum(one.parts for one in found),
    }
    print_table(["", ""], ([name, str(figure)] for name, figure in figures.items()))


if __name__ == "__main__":
    main()
