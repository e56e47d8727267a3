"""How long ranks wait for clips while a step takes 2 s, read as a training of the paper's size."""

import time
from multiprocessing import get_context, set_start_method
from multiprocessing.connection import Connection

from upath import UPath

RANKS = 8
STEPS = 20
STEP_S = 2.0


def print_waiting(folder: UPath) -> None:
    """With the preset svd_128f's loader: a clip a rank and step, its own number of workers."""
    fresh = get_context("forkserver")
    fresh.set_forkserver_preload(["exvideo.latents.dataset", "exvideo.training.samples"])
    pipes, ranks = [], []
    for rank in range(RANKS):
        ours, theirs = fresh.Pipe(duplex=False)
        process = fresh.Process(target=_rank, args=(folder, rank, theirs))
        process.start()
        theirs.close()
        pipes.append(ours)
        ranks.append(process)
    waits = [it.recv() for it in pipes]
    for it in ranks:
        it.join()
    first = [it[0] for it in waits]
    rest = [1e3 * wait for it in waits for wait in it[1:]]
    share = max(sum(it[1:]) for it in waits) / ((STEPS - 1) * STEP_S)
    print(
        f"\n{RANKS} ranks, steps of {STEP_S:.0f} s: the first clip comes after at most "
        f"{max(first):.1f} s, later ones are waited for {sum(rest) / len(rest):.2f} ms in the mean "
        f"and at most {max(rest):.1f} ms: {share:.3%} of the slowest rank's time"
    )


def _rank(folder: UPath, rank: int, pipe: Connection) -> None:
    import torch

    from exvideo.config import load_preset
    from exvideo.latents.dataset import LatentClips
    from exvideo.latents.manifest import read_manifest
    from exvideo.training.distributed import Ranks
    from exvideo.training.samples import training_batches

    set_start_method("fork", force=True)  # for the loader, as under a launcher
    torch.set_num_threads(1)
    (path,) = folder.glob("manifest-*.json")
    clips = LatentClips(folder, read_manifest(path), "train")
    config = load_preset("svd_128f").training.model_copy(
        update={"batch_size": RANKS, "micro_batch_size": 1, "steps": STEPS}
    )
    batches = training_batches(clips, config, Ranks(rank, RANKS, torch.device("cpu")), 0)
    waits = []
    for _ in range(STEPS):
        began = time.perf_counter()
        next(batches)
        waits.append(time.perf_counter() - began)
        time.sleep(STEP_S)
    batches.close()
    pipe.send(waits)
