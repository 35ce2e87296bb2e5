"""What the action's step costs a job, from the first script to the end: Python, packages, program.

    .venv/bin/python benchmarks/action.py [--runs 5] [--json FILE]

The action's own scripts are run as the runner runs them, each way of installing in turn in the same round:
uv with its cache warm, pip with the wheels at hand, and a later step of the same job, which finds all there.
Every run lands a commit over loopback http, which is asserted from the repository. Neither the runner's own
time between steps nor the download of packages is in it: both are the network's and the service's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402

from tests.support import repos  # noqa: E402
from tests.support.act import path_of_a_runner, path_without_uv, the_action, wheels  # noqa: E402
from tests.support.gitserver import GitServer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

STEPS = ("plan", "install", "run")
WAYS = ("uv", "pip", "later step")
FILE = "envs/staging/deployment.yaml"


def given(url: str, tag: str) -> dict[str, str]:
    """The environment of the last step: every input, most of them empty, as the runner sets it."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    names = action["runs"]["steps"][-1]["env"]
    empty = {name: "" for name in names if name.startswith("GIVEN_")}
    return empty | {
        "GIVEN_COMMAND": "bump",
        "GIVEN_WORKING_DIRECTORY": ".",
        "GIVEN_PROMOTER_MANIFEST_REPO": url,
        "GIVEN_PROMOTER_PATH": "envs/staging",
        "GIVEN_PROMOTER_IMAGE": f"ghcr.io/acme/api:{tag}",
    }


def timed(action: Path, name: str, env: Mapping[str, str]) -> float:
    """Seconds that one script takes."""
    script = action / ".github" / "actions" / f"{name}.sh"
    begun = time.perf_counter()
    done = subprocess.run(
        ["bash", str(script)], env=env, cwd=env["RUNNER_TEMP"], capture_output=True, check=False
    )
    seconds = time.perf_counter() - begun
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return seconds


def one_job(bench: Path, path: str, server: str, tag: str) -> dict[str, list[float]]:
    """The first step of a job, and a later one: seconds of each script."""
    temp = Path(tempfile.mkdtemp(dir=bench))
    action = the_action(temp)  # fresh: no bytecode yet, as after a checkout
    env = {
        "PATH": path,
        "HOME": str(temp),
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": str(temp),
        "GITHUB_ACTION_PATH": str(action),
        "GITHUB_OUTPUT": str(temp / "output"),
        "VERSION": "",
        "UV_CACHE_DIR": str(bench / "uv-cache"),
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(wheels()),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels()),
    }
    found = {}
    for turn in ("first", "later"):
        seconds = [timed(action, "plan", env)]
        plan = dict(line.split("=", 1) for line in (temp / "output").read_text().splitlines())
        env |= {"PYTHON": plan["python"], "FOLDER": plan["folder"]} | given(server, f"{tag}-{turn}")
        found[turn] = [*seconds, timed(action, "install", env), timed(action, "run", env)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as directory:
        bench = Path(directory)
        repo = repos.make_repo(bench / "srv" / "repo.git", {FILE: "image: ghcr.io/acme/api:1.0.0\n"})
        paths = {"uv": path_of_a_runner(), "pip": path_without_uv(bench / "bare")}
        with GitServer(bench / "srv") as server:
            url = f"{server.url}/repo.git"
            one_job(bench, paths["uv"], url, "1.0.1")  # warms uv's cache
            for number in range(arguments.runs):
                for way, path in paths.items():
                    job = one_job(bench, path, url, f"1.{number + 1}.0-{way}")
                    results[way].append(job["first"])
                    results["later step"].append(job["later"])
        landed = sum("Promoter-Id" in one.trailers for one in repos.log(repo, "main"))
        assert landed == 4 * arguments.runs + 2, landed
    medians = {
        way: [statistics.median(column) for column in zip(*rows, strict=True)]
        for way, rows in results.items()
    }
    print(f"| seconds, median of {arguments.runs} | {' | '.join(STEPS)} | all |\n|---|---|---|---|---|")
    for way, row in medians.items():
        print(f"| {way} | {' | '.join(f'{one:.2f}' for one in (*row, sum(row)))} |")
    print(f"load while running: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if arguments.json:
        arguments.json.write_text(json.dumps({"steps": STEPS, "seconds": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
