"""What finding and editing images costs: one image among many files, and every site of all of them.

    .venv/bin/python benchmarks/edit.py [--files 50000] [--runs 5] [--json FILE]

The files are of mixed shapes, all in one environment, and are read from the objects of a
bare repository. Discovery runs with nothing kept from before; git's own part of it (the
same list and the same contents into /dev/null) is measured in the same rounds. Editing
moves every site of every file to a new tag, with the check that each edit gets.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from promoter import discover, edit, yamltext  # noqa: E402
from promoter.config import Config, Environment  # noqa: E402
from promoter.deadline import Deadline  # noqa: E402
from promoter.discover import base_values, includers, search  # noqa: E402
from promoter.git.door import Git, child_environment  # noqa: E402
from promoter.git.remote import parse_remote  # noqa: E402
from promoter.git.repository import Repository, Snapshot  # noqa: E402
from promoter.image import ImageReference, parse_reference  # noqa: E402
from promoter.sites import find_sites  # noqa: E402
from promoter.sites.model import UnreadableFileError, read_manifest  # noqa: E402
from tests.support import repos  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from promoter.sites.model import ManifestFile, Site

ENVIRONMENT = "envs/staging"
WIDTHS = (1, 10, 100, 1000)  # in how many workloads the images `in-…` stand
AIM_SECONDS = 1.0

_HEAD = {name: text for name, text in repos.APP_FILES if name != "service.yaml"}
SHAPES: dict[str, str] = {
    **_HEAD,
    "service.yaml": dict(repos.APP_FILES)["service.yaml"],
    "values-staging.yaml": 'replicaCount: @replicas@\nimage:\n  tag: "@tag@"\nservice: {port: @port@}\n',
    "application.yaml": """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: @app@, namespace: argocd}
spec:
  project: default
  source:
    repoURL: https://charts.example.com
    chart: @app@
    targetRevision: 1.@replicas@.0
    helm:
      values: |
        replicaCount: @replicas@
        image:
          repository: ghcr.io/acme/@app@
          tag: "@tag@"
        service:
          port: @port@
  destination: {server: https://kubernetes.default.svc, namespace: @env@}
""",
    "release.yaml": """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: @app@, namespace: @env@}
spec:
  interval: 5m
  chart:
    spec: {chart: @app@, version: 1.x, sourceRef: {kind: HelmRepository, name: acme}}
  values:
    image: {registry: ghcr.io, repository: acme/@app@, tag: @tag@}
    metrics: {enabled: true, port: @port@}
""",
    "flux.yaml": """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: @app@, namespace: flux-system}
spec:
  interval: 10m
  path: ./apps/@app@
  prune: true
  images:
    - {name: ghcr.io/acme/@app@, newTag: "@tag@"}
""",
    "taskdef.json": """\
{
  "family": "@app@",
  "containerDefinitions": [
    {"name": "@app@", "image": "ghcr.io/acme/@app@:@tag@", "portMappings": [{"containerPort": @port@}]}
  ]
}
""",
    "config.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: @app@-config}
data:
  LOG_LEVEL: info
  PORT: "@port@"
  application.yaml: |
    server: {port: @port@}
    features:
      - name: search
        enabled: true
""",
    "ingress.yaml": """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: @app@
  annotations: {cert-manager.io/cluster-issuer: letsencrypt}
spec:
  rules:
    - host: @app@.@env@.example.com
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: @app@, port: {name: http}}}
""",
}
_CONTAINER = "        - name: extra-@n@\n          image: ghcr.io/acme/in-@n@:1.0.0\n"


def tree(count: int) -> Iterator[tuple[str, str]]:
    """Exactly ``count`` files."""
    names = list(SHAPES)
    for number in range(count):
        index = number // len(names)
        app, name = f"app-{index:05d}", names[number % len(names)]
        text = repos.fill(SHAPES[name], ENVIRONMENT, app, number)
        if name == "deployment.yaml":
            more = "".join(_CONTAINER.replace("@n@", f"{width:04d}") for width in WIDTHS if index < width)
            text = text.replace("      containers:\n", f"      containers:\n{more}")
        yield f"{ENVIRONMENT}/{app}/{name}", text


def make(path: Path, count: int) -> None:
    """The bare repository, in the packs that a host would have."""
    repos.init_bare(path, "main", allow_filter=True)
    entries = ((name, "100644", text) for name, text in tree(count))
    repos.fast_import(path, repos.commit_stream("main", "Start", entries))
    repos.git(path, "repack", "-a", "-d", "-q")


@dataclass
class Bench:
    """The repository under measurement, opened where it is: nothing is fetched."""

    directory: Path
    repository: Repository = field(init=False)
    snapshot: Snapshot = field(init=False)
    scope: discover.Scope = field(init=False)

    def __post_init__(self) -> None:
        environ = dict(os.environ)
        remote = parse_remote(str(self.directory), environ)
        git = Git(self.directory, child_environment(environ, {}), Deadline(3600), lambda _: None)
        self.repository = Repository(git, self.directory, remote, lambda _: None, str)
        self.repository.complete = True
        self.snapshot = Snapshot("main", repos.git(self.directory, "rev-parse", "main"))
        environment = Environment("staging", (ENVIRONMENT,))
        config = Config({"staging": environment}, exclude=("vendor/**", "**/fixtures/**"))
        self.scope = discover.Scope(config, environment, {})

    def git_alone(self) -> tuple[float, float]:
        """The seconds of listing the tree and of writing all contents, by git and nothing else."""
        began = time.perf_counter()
        listed = repos.run(self.directory, "ls-tree", "-r", "--full-tree", "main", "--", ENVIRONMENT)
        listing = time.perf_counter() - began
        blobs = b"".join(line.split(b"\t")[0].split(b" ")[2] + b"\n" for line in listed.splitlines())
        began = time.perf_counter()
        subprocess.run(
            ["git", "-C", str(self.directory), "cat-file", "--batch", "--buffer"],
            input=blobs,
            stdout=subprocess.DEVNULL,
            env=repos.clean_env(),
            check=True,
        )
        return listing, time.perf_counter() - began

    def discover(self, image: ImageReference) -> tuple[float, discover.Found]:
        """The seconds to find one image with nothing known before."""
        began = time.perf_counter()
        found = discover.discover(self.repository, self.snapshot, self.scope, [image], discover.Cache())
        return time.perf_counter() - began, found

    def contents(self) -> list[tuple[str, bytes]]:
        """Every file."""
        entries = self.repository.files(self.snapshot, [ENVIRONMENT])
        data = dict(self.repository.read(entry.blob for entry in entries))
        return [(entry.path, data[entry.blob]) for entry in entries]


# --- discovery


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Counts the files that are parsed, and those of them in which sites are looked for."""
    counts: Counter[str] = Counter()

    def read(path: str, data: bytes) -> ManifestFile:
        counts["parsed"] += 1
        return read_manifest(path, data)

    def find(*args: Any, **named: Any) -> list[Site]:  # noqa: ANN401 - as find_sites takes them
        counts["searched"] += 1
        return find_sites(*args, **named)

    with (
        mock.patch.object(search, "read_manifest", read),
        mock.patch.object(base_values, "read_manifest", read),
        mock.patch.object(includers, "read_manifest", read),
        mock.patch.object(search, "find_sites", find),
    ):
        yield counts


def measure_discovery(bench: Bench, images: Sequence[ImageReference], runs: int) -> list[dict[str, Any]]:
    """Each image in turn, beside git alone."""
    alone: list[tuple[float, float]] = []
    seconds: dict[ImageReference, list[float]] = {image: [] for image in images}
    bench.git_alone()
    for _ in range(runs):
        alone.append(bench.git_alone())
        for image in images:
            seconds[image].append(bench.discover(image)[0])
    floor = statistics.median(listing + reading for listing, reading in alone)
    rows = []
    for image in images:
        with counting() as counts:
            _, found = bench.discover(image)
        rows.append(
            {
                "image": str(image),
                "sites": len(found.sites.get(image, [])),
                "files_with_sites": len({site.file for site in found.sites.get(image, [])}),
                "parsed": counts["parsed"],
                "searched": counts["searched"],
                "seconds": statistics.median(seconds[image]),
                "all_seconds": seconds[image],
                "git_alone_seconds": floor,
                "git_list_seconds": statistics.median(one[0] for one in alone),
                "git_read_seconds": statistics.median(one[1] for one in alone),
            }
        )
    return rows


def profile_discovery(bench: Bench, image: ImageReference) -> list[tuple[str, int, float, float]]:
    """(function, calls, own seconds, seconds with what it calls), the dearest first, under the profiler."""
    profiler = cProfile.Profile()
    profiler.enable()
    bench.discover(image)
    profiler.disable()
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]  # not in typeshed
    rows = [
        (f"{Path(file).name}:{name}" if line else name, calls, own, total)
        for (file, line, name), (_, calls, own, total, _) in stats.items()
    ]
    return sorted(rows, key=lambda row: -row[2])


# --- editing


def measure_editing(files: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    """Every site of every file moved to a new tag, stage by stage."""
    seconds = {"parse": 0.0, "locate": 0.0, "edit + verify": 0.0}
    sites = edited = unreadable = 0
    clock = time.perf_counter
    for path, data in files:
        began = clock()
        try:
            file = read_manifest(path, data)
        except UnreadableFileError:
            unreadable += 1
            continue
        parsed = clock()
        found = [site for site in find_sites(file) if site.problem is None]
        located = clock()
        seconds["parse"] += parsed - began
        seconds["locate"] += located - parsed
        if found:
            result = edit.edit_file(file, [(site, ("9.9.9", site.reference.digest)) for site in found])
            seconds["edit + verify"] += clock() - located
            assert result != data, path
            edited += 1
            sites += len(found)
    size = sum(len(data) for _, data in files)
    total = sum(seconds.values())
    return {
        "files": len(files),
        "bytes": size,
        "sites": sites,
        "edited": edited,
        "unreadable": unreadable,
        "seconds": total,
        "files_per_second": len(files) / total,
        "mb_per_second": size / 1e6 / total,
        "stages": dict(seconds),
    }


def measure_floor(files: Sequence[tuple[str, bytes]]) -> dict[str, float]:
    """What searching all bytes for one image costs, and what parsing everything would."""
    needle = b"acme/app-00000"
    began = time.perf_counter()
    hits = float(sum(needle in data for _, data in files))
    search = time.perf_counter() - began
    began = time.perf_counter()
    for _, data in files:
        yamltext.parse(data.decode())
    return {"hits": hits, "byte_search": search, "parse_everything": time.perf_counter() - began}


# --- the report


def print_discovery(rows: Sequence[Mapping[str, Any]], files: int, size: int) -> None:
    first = rows[0]
    print(
        f"discovery of one image in {files} files ({size / 1e6:.1f} MB); git alone"
        f" {first['git_alone_seconds']:.3f} s (list {first['git_list_seconds']:.3f},"
        f" read {first['git_read_seconds']:.3f})"
    )
    print(f"  {'image':24}{'sites':>6}{'files':>6}{'parsed':>7}{'located':>8}{'median':>10}{'/git':>6}")
    for row in rows:
        print(
            f"  {row['image']:24}{row['sites']:6}{row['files_with_sites']:6}{row['parsed']:7}"
            f"{row['searched']:8}{row['seconds']:8.3f} s{row['seconds'] / row['git_alone_seconds']:6.2f}"
        )
    verdict = "within" if first["seconds"] <= AIM_SECONDS else "OVER"
    print(f"  {verdict} the aim of {AIM_SECONDS:.0f} s for {first['image']}")


def print_editing(row: Mapping[str, Any]) -> None:
    print(
        f"locate + edit + verify: {row['sites']} sites in {row['edited']} of {row['files']} files,"
        f" {row['files_per_second']:.0f} files/s, {row['mb_per_second']:.2f} MB/s, {row['seconds']:.1f} s"
    )
    for stage, seconds in row["stages"].items():
        print(f"  {stage:14} {seconds:7.2f} s {seconds / row['seconds']:5.0%}")


def print_profile(rows: Sequence[tuple[str, int, float, float]]) -> None:
    whole = sum(row[2] for row in rows)
    print(f"where discovery's time goes, under the profiler ({whole:.2f} s)")
    for name, calls, own, total in rows[:14]:
        print(f"  {own / whole:5.1%} itself {total / whole:6.1%} in all {calls:8} calls  {name[:70]}")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--no-edit", action="store_true", help="measure discovery alone")
    return parser.parse_args()


def main() -> None:
    arguments = read_arguments()
    names = ["app-00000", *(f"in-{width:04d}" for width in WIDTHS), "nowhere"]
    images = [parse_reference(f"ghcr.io/acme/{name}") for name in names]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        directory = Path(folder) / "manifests.git"
        make(directory, arguments.files)
        bench = Bench(directory)
        files = bench.contents()
        size = sum(len(data) for _, data in files)
        rows = measure_discovery(bench, images, arguments.runs)
        print_discovery(rows, len(files), size)
        profile = profile_discovery(bench, images[0])
        print_profile(profile)
        report: dict[str, Any] = {"files": len(files), "bytes": size, "discovery": rows}
        report["profile"] = profile[:30]
        if not arguments.no_edit:
            report["floor"] = measure_floor(files)
            print(
                f"searching all bytes {report['floor']['byte_search']:.3f} s,"
                f" parsing everything {report['floor']['parse_everything']:.1f} s"
            )
            report["editing"] = measure_editing(files)
            print_editing(report["editing"])
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
