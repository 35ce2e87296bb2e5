"""What validation costs, beside kubeconform in the same rounds: one changed file, ten, a whole repository.

    .venv/bin/python benchmarks/validate.py [--documents 5000] [--runs 5] [--json FILE]

Every figure is a whole process, but for the first: that is what the embedded validator adds to a bump,
whose modules are imported already. kubeconform gets its schemas from a folder written beforehand, and
the same files. The engines validate the same values, compiled beforehand.
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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import jsonschema  # noqa: E402

from promoter.validate import kubernetes  # noqa: E402
from promoter.validate.documents import kind_of, read_file  # noqa: E402
from promoter.validate.library import Library  # noqa: E402
from promoter.validate.model import SourceFile  # noqa: E402
from tests.support import repos  # noqa: E402
from tools.programs import absence, path  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = "1.33"
AIM_ADDED_MS = 100
AIM_RATIO = 5

# The modules of a bump first; then a clock around what validation adds, in milliseconds.
ADDED = """\
import sys, time
sys.path.insert(0, {root!r})
import promoter.cli.bump, promoter.session, promoter.pipeline, promoter.plan, promoter.edit
content = open({file!r}, 'rb').read()
before = time.perf_counter()
from promoter.validate.library import Library
from promoter.validate.model import SourceFile
from promoter.validate.schema import SchemaValidator
report = SchemaValidator(Library({version!r})).validate([SourceFile('a/deployment.yaml', content)])
print((time.perf_counter() - before) * 1000)
assert report.checked == 1 and not report.findings, report
"""
WHOLE = """\
import sys, pathlib
sys.path.insert(0, {root!r})
from promoter.validate.library import Library
from promoter.validate.model import SourceFile
from promoter.validate.schema import SchemaValidator
files = [SourceFile(one.name, one.read_bytes()) for one in sorted(pathlib.Path({folder!r}).iterdir())]
report = SchemaValidator(Library({version!r})).validate(files)
assert report.checked == len(files) and not report.findings, report.findings[:3]
"""
SHAPES = {
    "deployment": dict(repos.APP_FILES)["deployment.yaml"],
    "service": dict(repos.APP_FILES)["service.yaml"],
    "configmap": """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: @app@
data:
  PORT: "@port@"
  LEVEL: info
""",
    "autoscaler": """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: @app@
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: @app@}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}
""",
    "ingress": """\
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


def manifests(count: int) -> Iterator[tuple[str, str]]:
    """Exactly so many files of one document each."""
    names = list(SHAPES)
    for number in range(count):
        shape = names[number % len(names)]
        text = repos.fill(SHAPES[shape], "envs/staging", f"app-{number:05d}", number)
        yield f"{number:05d}-{shape}.yaml", text


@dataclass
class Times:
    """Seconds of each round, by what was measured."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def take(self, name: str, run: Callable[[], float | None]) -> None:
        """Measure one round; ``run`` may give the seconds itself."""
        before = time.perf_counter()
        told = run()
        spent = time.perf_counter() - before
        self.seconds.setdefault(name, []).append(told if told is not None else spent)

    def median(self, name: str) -> float:
        """The median of what was measured under a name."""
        return statistics.median(self.seconds[name])


def _added(file: Path) -> float:
    return float(_python(ADDED, file=str(file))) / 1000


def _embedded(folder: Path) -> None:
    _python(WHOLE, folder=str(folder))


def _python(code: str, **values: str) -> str:
    text = code.format(root=str(ROOT), version=VERSION, **values)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout


def _kubeconform(program: Path, location: str, folder: Path) -> None:
    arguments: list[str | Path] = [
        program,
        "-strict",
        "-output",
        "json",
        "-schema-location",
        location,
        folder,
    ]
    subprocess.run(arguments, capture_output=True, check=True)


def _engines(folder: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """Validate the values of some files with the engine in use, and with jsonschema."""
    library = Library(VERSION)
    work = []
    for file in sorted(folder.iterdir()):
        for document in read_file(SourceFile(file.name, file.read_bytes())).documents:
            kind = kind_of(file.name, document)
            check = library.for_kind(kind or "")
            assert check is not None, file
            work.append((check, jsonschema.Draft202012Validator(check.schema), document.value))

    def fast() -> None:
        assert all(check.engine.is_valid(value) for check, _, value in work)

    def known() -> None:
        assert all(engine.is_valid(value) for _, engine, value in work)

    return fast, known


def measure(documents: int, runs: int, root: Path) -> Times:
    """All rounds: one of each after the other, so that what else the machine does meets all alike."""
    program, times = path("kubeconform"), Times()
    folders = {name: root / name for name in ("schemas", "one", "ten", "all")}
    for folder in folders.values():
        folder.mkdir()
    location = kubernetes.write_out(VERSION, folders["schemas"])
    for name, count in (("one", 1), ("ten", 10), ("all", documents)):
        for file, text in manifests(count):
            (folders[name] / file).write_text(text)
    single = next(folders["one"].iterdir())
    fast, known = _engines(folders["ten"])
    for _ in range(runs):
        times.take("added to a bump", partial(_added, single))
        for name in ("ten", "all"):
            folder = folders[name]
            times.take(f"{name}: embedded", partial(_embedded, folder))
            times.take(f"{name}: kubeconform", partial(_kubeconform, program, location, folder))
        times.take("engine: jsonschema-rs", fast)
        times.take("engine: jsonschema", known)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if reason := absence("kubeconform"):
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder:
        times = measure(options.documents, options.runs, Path(folder))
    ratios = {
        name: times.median(f"{name}: embedded") / times.median(f"{name}: kubeconform")
        for name in ("ten", "all")
    }
    faster = times.median("engine: jsonschema") / times.median("engine: jsonschema-rs")
    added = times.median("added to a bump") * 1000
    print(f"medians of {options.runs} rounds, {os.cpu_count()} cores")
    for name, seconds in times.seconds.items():
        print(
            f"  {name:24} {statistics.median(seconds) * 1000:9.1f} ms   ({min(seconds) * 1000:.1f} at best)"
        )
    print(f"added to a bump of one file: {added:.0f} ms (aim: {AIM_ADDED_MS})")
    print(f"10 files, embedded / kubeconform: {ratios['ten']:.1f}")
    print(f"{options.documents} documents, embedded / kubeconform: {ratios['all']:.1f} (aim: {AIM_RATIO})")
    print(f"jsonschema / jsonschema-rs, the same values: {faster:.0f}")
    if options.json:
        result = {"seconds": times.seconds, "ratios": ratios, "added_ms": added, "engine_ratio": faster}
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
