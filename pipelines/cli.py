"""The `exvideo` command."""

import difflib
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

STAGES = ("source_videos", "clips", "latent_shards", "post_tuned_model", "evaluation_grid")
"""What `exvideo demo` walks."""

FIGURES = ("resolution_grid", "comparison_grid")

RUNNABLE = (*STAGES, "champion", *FIGURES, "scored_videos")

COMMANDS = (
    "demo",
    "up",
    "run",
    "generate",
    "dry-run",
    "average",
    "evaluate",
    "measure",
    "promote",
    "rollback",
    "veto",
    "lineage",
    "status",
    "verify",
    "show",
    "replay",
    "curate",
    "config",
    "presets",
)

USAGE = """usage: exvideo COMMAND [--preset NAME] [--set KEY=VALUE ...]

  demo            the whole road from videos to the evaluation grid, run by Dagster
  up              the Dagster and MLflow UIs, until Ctrl-C
  run STAGE       one stage: source_videos, clips, latent_shards, post_tuned_model,
                  evaluation_grid, champion, resolution_grid or comparison_grid; or
                  scored_videos --part NAME, one archive or one of the preset's paths alone
  generate        a clip from a picture, or from a text, with a post-tuned model
  dry-run         memory, arithmetic and hours of a post-tuning, before anything starts
  average FOLDER  the extension averaged over any part of a training, from its snapshots
  evaluate        a model beside training-free baselines, from the same first frames and seeds
  measure FOLDER  jitter, flicker, drift and more of any videos, --against others, as --html
  promote         the new model through the gate, or a VERSION by your own word
  rollback        the champion's predecessor takes its place again
  veto VERSION    keep a version from becoming the champion
  lineage FILE    from a generated clip to its model, data, source files and their licences
  status          what is fresh, what is stale and why, what runs, what failed last
  verify latents  every row of the latent shards, read back; --repair mends them
  show latents    one of them as a picture, below its source's frames
  replay STAGE    its output recorded once, --record FOLDER, against what a later version makes
  curate report   which clips were kept and dropped, and what other thresholds would keep
  config          a preset as it runs (render), checked (validate), or its keys (schema,
                  reference)
  presets         the names of the shipped presets

Everything is written below EXVIDEO_HOME, a folder or a URL, by default `outputs` in the folder
where the command is given: each stage to PRESET/STAGE, beside them Dagster's and MLflow's state.
`--set storage.root=FOLDER` writes elsewhere.

`exvideo COMMAND --help` says more."""


def main(argv: Sequence[str] | None = None) -> int:
    command, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if command in {"-h", "--help", "help"}:
        print(USAGE)
        return 0
    if command == "run":
        return _run_stage(arguments)
    if command == "presets":
        from exvideo.config import shipped_presets

        print(*shipped_presets(), sep="\n")
        return 0
    if command in COMMANDS:
        program: Callable[[Sequence[str]], int] = import_module(
            f"pipelines.{command.replace('-', '_')}"
        ).main
        return program(arguments)
    near = _near(command, COMMANDS) or _near(command, RUNNABLE, "run ")
    print(f"exvideo: there is no command {command!r}{near}\n\n{USAGE}", file=sys.stderr)
    return 2


def _run_stage(arguments: list[str]) -> int:
    if arguments and arguments[0] in {"-h", "--help"}:
        print(USAGE)
        return 0
    if not arguments or arguments[0] not in RUNNABLE:
        named = repr(arguments[0]) if arguments else "no stage"
        near = _near(arguments[0], RUNNABLE) if arguments else ""
        print(f"exvideo run: {named} is none of {', '.join(RUNNABLE)}{near}", file=sys.stderr)
        return 2
    from pipelines.stage import main as run_program

    stage, *rest = arguments
    return run_program(import_module(f"pipelines.{stage}").STAGE, rest)


def _near(word: str, words: Sequence[str], before: str = "") -> str:
    near = difflib.get_close_matches(word, words, 1)
    return f"; did you mean `{before}{near[0]}`?" if near else ""


if __name__ == "__main__":
    sys.exit(main())
