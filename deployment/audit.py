"""Known vulnerabilities of the pinned packages, by OSV; a missing answer is a failure, too.

python -m deployment.audit
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deployment.licences import PINS

OSV = "https://api.osv.dev/v1/query"

VULNERABLE, UNKNOWN = 1, 2
"""Exit codes."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deployment.audit", description=__doc__)
    parser.add_argument("--pins", type=Path, default=PINS, help="lines of NAME==VERSION")
    parser.add_argument("--osv-url", default=OSV, help="OSV's own, or a mirror that you trust")
    arguments = parser.parse_args(argv)
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--strict"]
    command += ["--vulnerability-service", "osv", "--osv-url", arguments.osv_url]
    command += ["--format", "json", "--progress-spinner", "off"]
    asked = subprocess.run(
        [*command, "--requirement", str(arguments.pins)], capture_output=True, text=True
    )
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        last = asked.stderr.strip().rpartition("\n")[2]
        print(
            f"audit: nothing is known, for {arguments.osv_url} gave no answer: {last}\n"
            "Run it where that is reached, such as in CI, or name a mirror with --osv-url.",
            file=sys.stderr,
        )
        return UNKNOWN
    found = [(package, it) for package in packages for it in package["vulns"]]
    for package, it in found:
        fixed = ", ".join(it["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {it['id']}, fixed in {fixed}")
        print(f"  {it['description']}")
    if found:
        print("Raise these pins in constraints.txt, and run the tests.")
        return VULNERABLE
    print(f"{len(packages)} pins, none with a known vulnerability")
    return 0


if __name__ == "__main__":
    sys.exit(main())
