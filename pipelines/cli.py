"""The `exvideo` command."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

STAGES = ("source_videos", "clips", "latent_shards", "post_tuned_model", "evaluation_grid")

USAGE = f"""usage: exvideo COMMAND [--preset NAME] [--set KEY=VALUE ...]

  run STAGE    one stage of the road: {", ".join(STAGES)}
  demo         the whole road, materialized by Dagster
  up           the Dagster and MLflow UIs, until Ctrl-C
  generate     a clip from a picture with a post-tuned model
  presets      the shipped presets

`exvideo COMMAND --help` says more."""


def main(argv: Sequence[str] | None = None) -> int:
    command, *arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if command in {"-h", "--help"}:
        print(USAGE)
        return 0
    if command == "run":
        return _run_stage(arguments)
    if command == "presets":
        from exvideo.config import PRESETS

        print(*sorted(preset.stem for preset in PRESETS.glob("*.yaml")), sep="\n")
        return 0
    if command in {"demo", "up", "generate"}:
        program: Callable[[Sequence[str]], int] = import_module(f"pipelines.{command}").main
        return program(arguments)
    print(f"exvideo: there is no command {command!r}\n\n{USAGE}", file=sys.stderr)
    return 2


def _run_stage(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in STAGES:
        named = repr(arguments[0]) if arguments else "no stage"
        print(f"exvideo run: {named} is none of {', '.join(STAGES)}", file=sys.stderr)
        return 2
    from pipelines.stage import main as run_program

    stage, *rest = arguments
    return run_program(import_module(f"pipelines.{stage}").STAGE, rest)


if __name__ == "__main__":
    sys.exit(main())
