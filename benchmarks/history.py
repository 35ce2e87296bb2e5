"""What questions about the past cost in a repository of 250,000 commits, beside clones of it.

    .venv/bin/python benchmarks/history.py [--commits 250000] [--repository DIR] [--runs 3] [--json FILE]

The repository is made once, which takes minutes, and kept where --repository says. Everything is
fetched over loopback http. `soak` asks since when an app runs, at least for half an hour, as the gate
does; `since` since when everything runs that does; `history` are runs of the verb. The rivals fetch
what a tool that reads history in a clone needs first: they answer nothing yet.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support import repos  # noqa: E402
from tests.support.cli import environment_of  # noqa: E402
from tests.support.gitserver import GitServer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

APPS = 300
ENVIRONMENTS = ("staging", "production", "development")
CONFIGURATION = "version: 1\nenvironments:\n" + "".join(
    f"  {name}: {{path: envs/{name}}}\n" for name in ENVIRONMENTS
)

ASK = """\
import os, sys
from datetime import UTC, datetime, timedelta
from promoter import session
from promoter.config import parse_config
from promoter.deadline import Deadline
from promoter.inventory import running
from promoter.past.standing import since

url, configuration, what = sys.argv[1:]
caller = session.Caller(url, {"PATH": os.environ["PATH"]}, lambda _: None)
with session.open_repository(caller, Deadline(600), lambda _: None) as repository:
    snapshot = repository.open(None)
    config = parse_config(configuration, "configuration", version="1.0")
    place = config.environments["production"]
    images = [one.image for one in running(repository, snapshot, config, place)]
    if what == "soak":
        images = [image for image in images if image.last_component == "app-7"]
    enough = datetime.now(UTC) - timedelta(minutes=30) if what == "soak" else None
    found = since(repository, snapshot, config, place, images, enough)
    print(len(found), sum(one.exact for one in found.values()))
"""


@dataclass
class Result:
    """What the runs of one question, or rival, were like."""

    name: str
    seconds: list[float] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    said: str = ""


# --- the repository ------------------------------------------------------------------------


def kustomization(app: int, tag: str) -> str:
    head = (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - deployment.yaml\n"
    )
    return f"{head}images:\n  - name: ghcr.io/acme/app-{app}\n    newTag: {tag}\n"


def deployment(app: int) -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{app}
spec:
  template:
    spec:
      containers:
        - name: app
          image: ghcr.io/acme/app-{app}
"""


def stream(commits: int) -> Iterator[bytes]:
    """A promotion of one app in one environment for each commit; the last one landed a day ago."""
    chance, end = random.Random(5), int(time.time()) - 86400  # noqa: S311 - the same every time
    for number in range(commits):
        files: dict[str, str] = {}
        if number == 0:
            files[".promoter.yaml"] = CONFIGURATION
            for environment in ENVIRONMENTS:
                for app in range(APPS):
                    here = f"envs/{environment}/app-{app}"
                    files[f"{here}/kustomization.yaml"] = kustomization(app, "0.0.1")
                    files[f"{here}/deployment.yaml"] = deployment(app)
        else:
            environment, app = chance.choice(ENVIRONMENTS), chance.randrange(APPS)
            path = f"envs/{environment}/app-{app}/kustomization.yaml"
            files[path] = kustomization(app, f"1.{number}.0")
        text = f"promote in {number}\n\nPromoter-Id: {number:016x}\n".encode()
        when = end - (commits - number) * 60
        yield b"commit refs/heads/main\ncommitter CI <ci@example.com> %d +0000\n" % when
        yield b"data %d\n%s\n" % (len(text), text)
        for path, content in files.items():
            yield f"M 100644 inline {path}\ndata {len(content)}\n{content}\n".encode()


def prepare(folder: Path, commits: int) -> Path:
    """The bare repository, packed as a server has it."""
    repo = folder / f"deploy-{commits}.git"
    if not repo.exists():
        print(f"making a repository of {commits} commits in {repo}", flush=True)
        making = folder / "making.git"
        shutil.rmtree(making, ignore_errors=True)
        repos.init_bare(making, "main", allow_filter=True)
        repos.fast_import(making, stream(commits))
        repos.git(making, "repack", "-a", "-d", "-q", "--write-bitmap-index")
        repos.git(making, "commit-graph", "write", "--reachable")
        making.rename(repo)
    return repo


# --- the runs ------------------------------------------------------------------------------


def run(result: Result, server: GitServer, command: Sequence[str]) -> None:
    """Add one run, in a directory of its own, to a result."""
    server.reset()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment_of({"TMPDIR": folder, "GIT_CONFIG_GLOBAL": "/dev/null"}),
            capture_output=True,
            text=True,
            check=False,
        )
        result.seconds.append(time.perf_counter() - began)
    assert done.returncode == 0, f"{result.name} ended with {done.returncode}: {done.stderr}"
    result.received.append(server.bytes_out)
    result.requests.append(len(server.requests))
    result.said = done.stdout


def commands(url: str, program: Path) -> dict[str, list[str]]:
    """The rivals, and the questions."""
    clone = ["git", "clone", "--quiet", "--bare"]
    ask = [sys.executable, "-c", ASK, url, CONFIGURATION]
    history = [str(program), "history", "production", "--manifest-repo", url, "--output", "json"]
    return {
        "clone --bare": [*clone, url, "copy"],
        "clone, blob:none": [*clone, "--filter=blob:none", url, "copy"],
        "soak": [*ask, "soak"],
        "history --limit 1": [*history, "--limit", "1"],
        "history": history,
        "history --app": [*history, "--app", "app-7"],
        "since, all apps": [*ask, "since"],
    }


def print_table(results: Sequence[Result]) -> None:
    whole = results[0]
    print(f"{'':18}{'seconds':>9}{'ratio':>8}{'received':>13}{'ratio':>9}{'requests':>10}")
    for one in results:
        seconds, received = statistics.median(one.seconds), statistics.median(one.received)
        print(
            f"{one.name:18}{seconds:9.2f}{seconds / statistics.median(whole.seconds):8.3f}"
            f"{received:13,.0f}{received / statistics.median(whole.received):9.4f}"
            f"{statistics.median(one.requests):10.0f}"
        )


def check(results: dict[str, Result]) -> None:
    """The answers are whole: as far back as 5,000 commits hold them, and no further."""
    listed: dict[str, Any] = {
        name: json.loads(results[name].said) for name in ("history", "history --app", "history --limit 1")
    }
    assert len(listed["history"]["history"]) == 20
    assert listed["history"]["unknown_before"] == []
    assert {one["app"] for one in listed["history --app"]["history"]} == {"app-7"}
    assert results["soak"].said.split()[0] == "1"
    assert results["since, all apps"].said.split()[0] == str(APPS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--commits", type=int, default=250_000)
    parser.add_argument(
        "--repository", type=Path, metavar="DIR", help="where it is kept (a scratch directory)"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--program", type=Path, default=Path(sys.executable).parent / "promoter")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = (arguments.repository or Path(scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        repo = prepare(folder, arguments.commits)
        with GitServer(folder) as server:
            listed = commands(f"{server.url}/{repo.name}", arguments.program.absolute())
            results = {name: Result(name) for name in listed}
            for _ in range(arguments.runs):
                for name, command in listed.items():
                    run(results[name], server, command)
    check(results)
    print_table([*results.values()])
    if arguments.json is not None:
        rows = [vars(one) | {"said": ""} for one in results.values()]
        arguments.json.write_text(json.dumps({"commits": arguments.commits, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
