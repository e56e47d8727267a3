"""The paper's claim in the small world: trainings, clips, numbers, tables and a figure.

python -m benchmarks.claim --work outputs/claim

The stages before training run once. Every training, clip and clip's numbers are kept in the work
folder by what they depend on: a second call makes only what is missing. Numbers are by OpenCV's
DIS, with --raft by the preset's RAFT, which takes seconds a clip. claim.md, claim.json and
claim.png are written anew after each row; the tables are printed at the end.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claim import plan, tables
from benchmarks.claim.bars import bars_table
from benchmarks.claim.clips import generated, measured, real_clips, save_frames
from benchmarks.claim.convergence import curve, reached
from benchmarks.claim.generators import baseline, extended
from benchmarks.claim.picture import draw
from benchmarks.claim.trainings import train, training_job
from exvideo.config import Preset
from exvideo.evaluation.flow import Raft, load_raft
from exvideo.evaluation.numbers import Estimate
from exvideo.precision import Computed, choose_precision_apart
from exvideo.training.job import TrainingJob
from exvideo.training.metrics import read_metrics

STAGES = ("source_videos", "clips", "latent_shards")

Samples = dict[tuple[str, int], dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claim", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("outputs/claim"))
    parser.add_argument(
        "--steps", type=int, default=320, help="of the main trainings; ablations take half"
    )
    parser.add_argument("--seeds", type=int, default=5, help="of the main training")
    parser.add_argument("--first-frames", type=int, default=16)
    parser.add_argument("--ablated-frames", type=int, default=8, help="of baselines, ablations")
    parser.add_argument("--target", type=float, default=0.05, help="validation loss to reach")
    parser.add_argument("--raft", action="store_true", help="measure by RAFT")
    options = parser.parse_args()
    counts = options.steps, options.seeds, options.first_frames, options.ablated_frames
    claim = Claim(options.work.absolute(), plan.Sizes(*counts), options.target, options.raft)
    claim.run()


class Claim:
    """The work folder and what has been measured so far."""

    def __init__(self, work: Path, sizes: plan.Sizes, target: float, by_raft: bool) -> None:
        self.work, self.sizes, self.target = work, sizes, target
        self._preset = plan.preset(plan.Row(plan.BEFORE, sizes.first_frames), sizes, str(work))
        for stage in STAGES:
            command = [sys.executable, "-m", f"pipelines.{stage}", "--preset", "tiny"]
            subprocess.run([*command, "--set", f"storage.root={work}"], check=True)
        self._precision: Computed = choose_precision_apart("auto").precision
        self._real = real_clips(self._preset, work)
        self._raft: Raft | None = load_raft(self._preset.evaluation.flow) if by_raft else None
        self._groups: dict[str, dict[str, Samples]] = {}

    def run(self) -> None:
        seeds = plan.main_rows(self.sizes)
        self._measure("main", seeds)
        after: Samples = {}
        for seed, row in enumerate(seeds[1:]):
            alone = self._groups["main"].pop(row.name)
            after |= {(clip, seed): values for (clip, _), values in alone.items()}
        self._groups["main"][plan.MAIN] = after
        self._groups["main"]["real clips"] = self._measured_real()
        self._report()
        self._measure("baselines", plan.baseline_rows(self.sizes), each=self._report)
        self._measure("ablations", plan.ablation_rows(self.sizes), each=self._report)
        print((self.work / "claim.md").read_text())

    def _measure(
        self, group: str, rows: Sequence[plan.Row], each: Callable[[], None] = lambda: None
    ) -> None:
        for row in rows:
            print(f"{group}: {row.name}", file=sys.stderr, flush=True)
            self._groups.setdefault(group, {})[row.name] = self._samples(row)
            each()

    def _samples(self, row: plan.Row) -> Samples:
        preset = plan.preset(row, self.sizes, str(self.work))
        images = {clip: it[0] for clip, it in list(self._real.items())[: row.first_frames]}
        source: dict[str, Any] = {"baseline": row.baseline, "model": preset.model.model_dump()}
        load = partial(extended, preset, None, self._precision)
        if row.baseline is not None:
            load = partial(baseline, preset, row.baseline, self._precision)
        elif row.training is not None:
            job = self._trained(preset)
            source["training"] = job.folder.name
            load = partial(extended, preset, job.extension, self._precision)
        sampled = preset.evaluation.model_dump(exclude={"clips", "seeds", "flow"})
        settings = {**source, "sampling": sampled, "precision": self._precision}
        paths = generated(self.work / "generated", settings, list(images.values()), load)
        return {
            (clip, 0): measured(path, image, self._raft)
            for (clip, image), path in zip(images.items(), paths, strict=True)
        }

    def _trained(self, preset: Preset) -> TrainingJob:
        job = training_job(preset, self._precision, self.work)
        train(job)
        return job

    def _measured_real(self) -> Samples:
        found = {}
        for clip, frames in self._real.items():
            path = self.work / "real" / f"{clip}.npy"
            if not path.exists():
                save_frames(path, frames)
            found[clip, 0] = measured(path, np.zeros_like(frames[0]), self._raft)
            found[clip, 0].pop("first frame", None)
        return found

    def _report(self) -> None:
        """Write claim.md, claim.json and claim.png."""
        before, after = (self._groups["main"][it] for it in (plan.BEFORE, plan.MAIN))
        found = {
            group: {name: tables.estimates(it) for name, it in rows.items()}
            for group, rows in self._groups.items()
        }
        changed = {"after less before": tables.changes(after, before)}
        jobs = [
            training_job(plan.preset(row, self.sizes, str(self.work)), self._precision, self.work)
            for row in plan.main_rows(self.sizes)[1:]
        ]
        rows = [read_metrics(job.metrics) for job in jobs]
        curves = [curve(it) for it in rows]
        arrivals = [reached(it, self.target) for it in rows]
        parts = [self._table(group, it) for group, it in found.items()]
        parts.insert(1, tables.table(changed, {"after less before": len(after)}))
        parts.append(tables.convergence_table(arrivals, self.target))
        real, change = found["main"]["real clips"], changed["after less before"]
        kinds = found["main"][plan.BEFORE], found["main"][plan.MAIN], real, change
        parts.insert(0, bars_table(*kinds, found.get("baselines", {}), arrivals))
        text = "\n\n".join(parts) + "\n"
        (self.work / "claim.md").write_text(text)
        document = {
            "sizes": asdict(self.sizes),
            "precision": self._precision,
            "estimator": "DIS" if self._raft is None else self._raft.name,
            "estimates": _plain(found),
            "changes": _plain({"main": changed})["main"],
            "curves": curves,
            "target": self.target,
            "reached": [None if it is None else asdict(it) for it in arrivals],
        }
        (self.work / "claim.json").write_text(json.dumps(document, indent=1))
        draw(self.work / "claim.png", found, curves, arrivals, self.target)

    def _table(self, group: str, found: Mapping[str, Mapping[str, Estimate]]) -> str:
        counts = {name: len(it) for name, it in self._groups[group].items()}
        return tables.table(found, counts)


def _plain(
    groups: Mapping[str, Mapping[str, Mapping[str, Estimate]]],
) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        group: {
            name: {metric: it.model_dump() for metric, it in found.items()}
            for name, found in rows.items()
        }
        for group, rows in groups.items()
    }


if __name__ == "__main__":
    main()
