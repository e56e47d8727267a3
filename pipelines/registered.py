"""The preset's champion in MLflow's registry, as JSON: null, or its number and who made it so.

python -m pipelines.registered --preset tiny
"""

import argparse
import json
import sys
from collections.abc import Sequence

from exvideo.errors import InputError
from pipelines.stage import add_preset_arguments, chosen_preset


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="pipelines.registered", description=__doc__)
    add_preset_arguments(parser)
    try:
        preset = chosen_preset(parser.parse_args(argv))
        from exvideo.registry import Registry

        champion = Registry(preset).champion()
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    if champion is None:
        print(json.dumps(None))
        return 0
    person = champion.judgement
    verdict = champion.tags.get("gate.verdict", "named in MLflow by hand")
    said = f"{person.kind} by a person: {person.reason}" if person else verdict
    print(json.dumps({"number": champion.number, "said": said}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
