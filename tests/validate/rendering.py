"""Manifest repositories as dictionaries, and the real kustomize and helm."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from promoter.config import Environment, HelmChart
from promoter.deadline import Deadline
from promoter.validate.render import RenderResult, RenderSettings, render_edit
from promoter.validate.scratch import Programs
from tests.support.programs import program

Files = Mapping[str, str]

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      containers:
        - name: api
          image: ghcr.io/acme/api:1.4.1
"""
BUMPED = DEPLOYMENT.replace("1.4.1", "1.4.2")
CHART = "apiVersion: v2\nname: api\nversion: 1.0.0\n"
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-settings
  namespace: {{ .Release.Namespace }}
data:
  tag: {{ .Values.image.tag | quote }}
  replicas: {{ .Values.replicas | default 1 | quote }}
"""


class MemoryTree:
    """A tree whose reads are counted."""

    def __init__(self, files: Files) -> None:
        self.files = {path: text.encode() for path, text in files.items()}
        self.reads: list[list[str]] = []

    def paths(self) -> list[str]:
        return list(self.files)

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        wanted = sorted(paths)
        self.reads.append(wanted)
        return {path: self.files[path] for path in wanted if path in self.files}


def environments(**paths: str | tuple[str, tuple[HelmChart, ...]]) -> list[Environment]:
    """One environment for each name: its path, or that and its charts."""
    made = []
    for name, what in paths.items():
        path, charts = what if isinstance(what, tuple) else (what, ())
        made.append(Environment(name, (path,), helm=charts))
    return made


STAGING_AND_PRODUCTION = environments(staging="envs/staging", production="envs/production")


def real_programs() -> Programs:
    return Programs((str(program("kustomize")), "build"), str(program("helm")))


def settings(scratch: Path, **changes: object) -> RenderSettings:
    own = scratch / "scratch"
    own.mkdir(exist_ok=True)
    made = RenderSettings(scratch=own, programs=real_programs())
    return replace(made, **changes)  # type: ignore[arg-type]  # a test's own


def edit(
    files: Files,
    after: Mapping[str, str | None],
    chosen: RenderSettings,
    where: Iterable[Environment] = STAGING_AND_PRODUCTION,
    intended: Iterable[str] = ("staging",),
) -> RenderResult:
    """What an edit does: ``after`` are the files that change, None for one that goes."""
    changes = {
        path: (
            files[path].encode() if path in files else None,
            text.encode() if text is not None else None,
        )
        for path, text in after.items()
    }
    result = render_edit(MemoryTree(files), list(where), intended, changes, chosen, Deadline(120))
    assert os.listdir(chosen.scratch) == [], "something was left behind"  # noqa: PTH208 - only whether any
    return result


def messages(result: RenderResult) -> list[tuple[str, str | None, str]]:
    return [(one.validator, one.file, one.message) for one in result.findings]
