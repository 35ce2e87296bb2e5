"""What one landed bump costs, beside the same steps in a shell script and beside clone + sed.

    .venv/bin/python benchmarks/bump.py [--files 100 1000 5000 50000] [--runs 7] [--json FILE]

Every run lands a commit, which is asserted from the repository, over loopback http from a
server in a process of its own. The rivals run in turn in the same session. Ratios and
differences are the medians of those of each round, so that a load which comes and goes
hits both sides; CPU is what the program and its children used, whoever else ran.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from operator import sub, truediv
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support import repos  # noqa: E402
from tests.support.gitserver import GitServer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import IO

IMAGE = "ghcr.io/acme/app-000"
ENVIRONMENT = "envs/staging"
FILE = f"{ENVIRONMENT}/kustomization.yaml"  # its images: list rules the applications below it

CONFIGURATION = """\
version: 1
environments:
  staging: {path: envs/staging}
  production: {path: envs/production}
  development: {path: envs/development}
images:
  - {match: "ghcr.io/acme/*", order: auto}
exclude: ["vendor/**", "**/fixtures/**"]
"""

SED = r"""sed '/name: ghcr.io\/acme\/app-000$/{n;s/newTag: .*/newTag: "'"$TAG"'"/;}'"""

# The same steps as promoter's: what remains is the price of Python, parsing and checking.
STEPS = f"""\
set -eu
git clone --bare --quiet --no-local --depth=1 --filter=blob:none --no-tags --single-branch --template= \
    -- "$URL" repository
cd repository
git ls-tree -r -z --full-tree HEAD -- {ENVIRONMENT} | tr '\\0' '\\n' | cut -d ' ' -f 3 | cut -f 1 >blobs
git -c fetch.negotiationAlgorithm=noop fetch --quiet --no-tags --filter=blob:none --no-write-fetch-head \
    --no-auto-maintenance --stdin origin <blobs
git cat-file --batch --buffer <blobs >contents
grep -q {IMAGE} contents
git cat-file blob HEAD:{FILE} | {SED} >new
{{
    printf 'commit refs/bench/result\\ncommitter Bench <bench@example.com> %s +0000\\n' "$(date +%s)"
    printf 'data 7\\nBump it\\nfrom %s\\nM 100644 inline {FILE}\\n' "$(git rev-parse HEAD)"
    printf 'data %d\\n' "$(wc -c <new)"
    cat new
    printf '\\ndone\\n'
}} | git fast-import --quiet --done --force
git push --quiet origin refs/bench/result:refs/heads/main
cd ..
rm -rf repository
"""

CLONE_AND_SED = f"""\
set -eu
git clone --quiet --depth=1 -- "$URL" work
cd work
{SED} {FILE} >../new
mv ../new {FILE}
git commit --quiet --all --message "Bump it"
git push --quiet origin HEAD:refs/heads/main
"""

# Runs a Python program in this very process and writes down what it held (in KiB) at its end.
# Not ru_maxrss for itself: that one remembers the process it was forked from.
WATCH_MEMORY = """\
import runpy, sys
out, program = sys.argv[1:3]
sys.argv = sys.argv[2:]
try:
    runpy.run_path(program, run_name="__main__")
finally:
    with open("/proc/self/status") as status:
        peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    with open(out, "w") as file:
        file.write(peak)
"""

# Stands in for git on PATH: one line with the peak (KiB) and the seconds of each git and its children.
WATCH_GIT = """\
#!/bin/sh
exec {time} --quiet --append --output={log} --format='%M %e %C' -- {git} "$@"
"""


@dataclass(frozen=True)
class Process:
    """One git that promoter ran, with the git programs below it."""

    command: str
    seconds: float
    peak_mb: float


@dataclass
class Result:
    """What the runs of one rival were like."""

    rival: str
    files: int
    per_environment: int
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    peak_mb: float | None = None
    git_peak_mb: float | None = None
    processes: list[Process] = field(default_factory=list)


class Server:
    """A `GitServer` in a process of its own."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stdin = cast("IO[str]", self._process.stdin)
        self._stdout = cast("IO[str]", self._process.stdout)
        self.url = self._stdout.readline().strip()

    def take(self) -> list[tuple[int, int]]:
        """(bytes in, bytes out) of each request since the last call."""
        self._stdin.write("take\n")
        self._stdin.flush()
        records: list[tuple[int, int]] = json.loads(self._stdout.readline())
        return records

    def close(self) -> None:
        """End the process."""
        self._stdin.close()
        self._process.wait()


def serve(root: Path) -> None:
    """The other side of `Server`."""
    with GitServer(root) as server:
        print(server.url, flush=True)
        for _ in sys.stdin:
            records = [(record.bytes_in, record.bytes_out) for record in server.requests]
            server.reset()
            print(json.dumps(records), flush=True)


class Bench:
    """One session: a scratch directory, a server over it, and a tag that grows with every run."""

    def __init__(self, scratch: Path, server: Server, program: Path) -> None:
        self.scratch = scratch
        self.server = server
        self.program = program
        self.number = 0
        event = scratch / "event.json"
        event.write_text(json.dumps({"head_commit": {"timestamp": "2026-01-02T03:04:05Z"}}))
        for name in ("tmp", "home", "bin"):
            (scratch / name).mkdir()
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch / "home"),
            "TMPDIR": str(scratch / "tmp"),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "alice",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": "acme/app",
            "GITHUB_RUN_ID": "1",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": "5" * 40,
            "GITHUB_WORKFLOW": "build",
        }
        for role in ("AUTHOR", "COMMITTER"):
            self._environ |= {f"GIT_{role}_NAME": "Bench", f"GIT_{role}_EMAIL": "bench@example.com"}

    def environ(self, **more: str) -> dict[str, str]:
        """What a CI job would hand over. Without PYTHONDONTWRITEBYTECODE: .pyc files are kept."""
        return self._environ | {"GITHUB_RUN_NUMBER": str(self.number)} | more

    def promoter(self, repository: str, *where: str) -> list[str]:
        """The command line that lands the present tag."""
        url = f"{self.server.url}/{repository}"
        image = f"{IMAGE}:2.{self.number}.0"
        return [str(self.program), "bump", "--manifest-repo", url, "--image", image, *where]

    def script(self, text: str, repository: str) -> Callable[[], tuple[float, float]]:
        """A run of a shell script."""
        return lambda: self.land(
            ["sh", "-c", text],
            repository,
            URL=f"{self.server.url}/{repository}",
            TAG=f"2.{self.number}.0",
        )

    def bump(self, repository: str, *where: str) -> Callable[[], tuple[float, float]]:
        """A run of promoter."""
        return lambda: self.land(self.promoter(repository, *where), repository)

    def land(self, command: Sequence[str], repository: str, **more: str) -> tuple[float, float]:
        """The seconds that a command takes, by the clock and of CPU time.

        It must land exactly one commit, with the present tag.
        """
        bare = self.scratch / "served" / repository
        before = repos.resolve(bare, "main")
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            began, cpu = time.perf_counter(), children_cpu_seconds()
            done = subprocess.run(
                command, cwd=folder, env=self.environ(**more), capture_output=True, text=True, check=False
            )
            seconds, cpu_seconds = time.perf_counter() - began, children_cpu_seconds() - cpu
        assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr}"
        assert repos.resolve(bare, "main~1") == before, f"{command[0]} landed nothing"
        expected = f'- name: {IMAGE}\n    newTag: "2.{self.number}.0"\n'
        assert expected in repos.read_file(bare, FILE).decode(), f"{command[0]} landed another tag"
        return seconds, cpu_seconds

    def measure(self, result: Result, run: Callable[[], tuple[float, float]]) -> None:
        """Add one run to a result."""
        self.number += 1
        self.server.take()
        seconds, cpu_seconds = run()
        result.seconds.append(seconds)
        result.cpu_seconds.append(cpu_seconds)
        requests = self.server.take()
        result.requests.append(len(requests))
        result.sent.append(sum(record[0] for record in requests))
        result.received.append(sum(record[1] for record in requests))

    def watch(self, result: Result, repository: str, *where: str) -> None:
        """One more run, for the memory of promoter itself and of every git that it starts."""
        self.number += 1
        out, log = self.scratch / "peak", self.scratch / "git.log"
        log.unlink(missing_ok=True)
        path = self._environ["PATH"]
        timer, git = shutil.which("time"), shutil.which("git")
        if timer is not None and git is not None:
            wrapper = self.scratch / "bin" / "git"
            wrapper.write_text(WATCH_GIT.format(time=timer, git=git, log=log))
            wrapper.chmod(0o755)
            path = f"{wrapper.parent}:{path}"
        command = [sys.executable, "-c", WATCH_MEMORY, str(out), *self.promoter(repository, *where)]
        self.land(command, repository, PATH=path)
        result.peak_mb = int(out.read_text()) / 1024
        if log.exists():
            result.processes = [read_process(line) for line in log.read_text().splitlines()]
            result.git_peak_mb = max(process.peak_mb for process in result.processes)

    def imports(self, repository: str, *where: str) -> list[tuple[int, int, str]]:
        """(cumulative, self, module) in µs of one landed bump, the dearest first, the second of two runs."""
        for _ in range(2):
            self.number += 1
            command = [sys.executable, "-X", "importtime", *self.promoter(repository, *where)]
            done = subprocess.run(
                command, cwd=self.scratch, env=self.environ(), capture_output=True, text=True, check=True
            )
        pattern = r"^import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)$"
        rows = re.findall(pattern, done.stderr, re.MULTILINE)
        return sorted(((int(total), int(own), name) for own, total, name in rows), reverse=True)


def children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read_process(line: str) -> Process:
    peak, seconds, _, *arguments = line.split(" ")
    while arguments and arguments[0] == "-c":
        del arguments[:2]
    options = [word for word in arguments[1:] if word in ("--stdin", "--deepen", "--batch")]
    return Process(" ".join(["git", *arguments[:1], *options]), float(seconds), int(peak) / 1024)


def measure_size(bench: Bench, files: int, per_environment: int, runs: int) -> list[Result]:
    """Every rival at one size, in turn."""
    served = bench.scratch / "served"
    shutil.rmtree(served, ignore_errors=True)
    repos.big_tree(served / "plain", files, per_environment=per_environment, repack=True)
    shutil.copytree(served / "plain", served / "configured")
    repos.commit_files(served / "configured", {".promoter.yaml": CONFIGURATION}, "Configure")
    path, env = ("--path", ENVIRONMENT), ("--env", "staging")
    rivals = {
        "a git steps": bench.script(STEPS, "plain"),
        "b clone+sed": bench.script(CLONE_AND_SED, "plain"),
        "c --path": bench.bump("plain", *path),
        "d --env": bench.bump("configured", *env),
    }
    results = {rival: Result(rival, files, per_environment) for rival in rivals}
    for rival, run in rivals.items():  # a warm-up, which is thrown away
        bench.measure(Result(rival, files, per_environment), run)
    for _ in range(runs):
        for rival, run in rivals.items():
            bench.measure(results[rival], run)
    bench.watch(results["c --path"], "plain", *path)
    bench.watch(results["d --env"], "configured", *env)
    return list(results.values())


def measure_start_up(bench: Bench, runs: int) -> dict[str, float]:
    """Median seconds of doing nothing in Python and of the two help pages, in turn."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "promoter --help": [str(bench.program), "--help"],
        "promoter bump --help": [str(bench.program), "bump", "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(
                command, cwd=bench.scratch, env=bench.environ(), check=True, stdout=subprocess.DEVNULL
            )
            if number:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


# --- the report


def paired(what: Callable[[float, float], float], ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds of a ratio or difference."""
    return statistics.median(map(what, ours, theirs))


def rows_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The figures of one size; the rivals that are compared with come first."""
    steps, clone = results[0].seconds, results[1].seconds
    return [
        {
            "files": one.files,
            "per_environment": one.per_environment,
            "rival": one.rival,
            "seconds": statistics.median(one.seconds),
            "ratio_to_a": paired(truediv, one.seconds, steps),
            "more_than_a_ms": paired(sub, one.seconds, steps) * 1000,
            "ratio_to_b": paired(truediv, one.seconds, clone),
            "cpu_seconds": statistics.median(one.cpu_seconds),
            "received_bytes": statistics.median(one.received),
            "sent_bytes": statistics.median(one.sent),
            "requests": statistics.median(one.requests),
            "peak_mb": one.peak_mb,
            "git_peak_mb": one.git_peak_mb,
            "processes": [asdict(process) for process in one.processes],
            "all_seconds": one.seconds,
        }
        for one in results
    ]


HEADER = (
    "  files in env rival         median     /a  -a ms     /b  cpu ms  received   sent reqs  peak MB git MB"
)


def print_rows(rows: Sequence[Mapping[str, Any]], *, processes: bool) -> None:
    for row in rows:
        peaks = [row["peak_mb"], row["git_peak_mb"]]
        print(
            f"{row['files']:7} {row['per_environment']:6} {row['rival']:11}"
            f"{row['seconds']:7.3f} s {row['ratio_to_a']:6.2f} {row['more_than_a_ms']:6.0f}"
            f" {row['ratio_to_b']:6.2f} {row['cpu_seconds'] * 1000:7.0f}"
            f" {row['received_bytes']:9.0f} {row['sent_bytes']:6.0f} {row['requests']:4.0f} ",
            *(
                f"{peak:{width}.1f}" if peak is not None else "-".rjust(width)
                for peak, width in zip(peaks, (7, 6), strict=True)
            ),
            flush=True,
        )
    if processes:
        for row in rows:
            for process in row["processes"]:
                name, seconds, peak = process["command"], process["seconds"] * 1000, process["peak_mb"]
                print(f"    {row['rival']}: {seconds:5.0f} ms {peak:6.1f} MB  {name}")


def print_start_up(seconds: Mapping[str, float]) -> None:
    bare = seconds["python -c pass"]
    for name, median in seconds.items():
        print(f"{name:21} {median * 1000:5.0f} ms  {median / bare:5.2f} of python -c pass")


def print_imports(bench: Bench, files: int) -> None:
    served = bench.scratch / "served"
    shutil.rmtree(served, ignore_errors=True)
    repos.big_tree(served / "plain", files, per_environment=files)
    shutil.copytree(served / "plain", served / "configured")
    repos.commit_files(served / "configured", {".promoter.yaml": CONFIGURATION}, "Configure")
    for name, where in (("plain", ("--path", ENVIRONMENT)), ("configured", ("--env", "staging"))):
        rows = bench.imports(name, *where)
        print(f"\nimports of a bump, {name}: {sum(own for _, own, _ in rows) / 1000:.1f} ms, each traced")
        for total, own, module in rows[:12]:
            print(f"  {total / 1000:7.1f} ms with what it imports {own / 1000:6.1f} ms itself  {module}")


@contextlib.contextmanager
def session(program: Path) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        (Path(folder) / "served").mkdir()
        server = Server(Path(folder) / "served")
        try:
            yield Bench(Path(folder), server, program)
        finally:
            server.close()


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[100, 1000, 5000, 50000])
    parser.add_argument(
        "--per-environment", type=int, nargs="+", default=[100], help="files of the environment (100)"
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--imports", action="store_true", help="say what the imports of a bump cost")
    parser.add_argument("--processes", action="store_true", help="list each git that a bump runs")
    parser.add_argument(
        "--program",
        type=Path,
        default=Path(sys.executable).parent / "promoter",
        help="a Python script to measure instead of this environment's promoter",
    )
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    if arguments.serve is not None:
        serve(arguments.serve)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # `timeout` must not leave the scratch behind
    report: dict[str, Any] = {"runs": arguments.runs, "bumps": []}
    with session(arguments.program.absolute()) as bench:
        report["start_up_seconds"] = measure_start_up(bench, 2 * arguments.runs)
        print_start_up(report["start_up_seconds"])
        print(f"\n{HEADER}")
        sizes = dict.fromkeys(
            (files, min(files, wanted)) for wanted in arguments.per_environment for files in arguments.files
        )
        for files, per_environment in sizes:
            rows = rows_of(measure_size(bench, files, per_environment, arguments.runs))
            print_rows(rows, processes=arguments.processes)
            report["bumps"] += rows
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        if arguments.imports:
            print_imports(bench, 100)


if __name__ == "__main__":
    main()
