"""The story that ``promoter demo`` tells: what stands in the repository, and the scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = "deploy.git"

_CONFIGURATION = """\
version: 1
environments:
  staging:    {path: envs/staging}
  qa:         {path: envs/qa}
  production: {path: envs/production, publish: pull-request}
  canary:     {path: [envs/canary, base]}
targets:
  - {file: "envs/production/{app}.tag", tag: image_tag, image: "ghcr.io/acme/{app}"}
validate:
  schemas: [{schema: schemas/values.json, files: "envs/qa/*.yaml"}]
"""
_FREEZE = ', freeze: [{from: "2020-01-01 00:00", to: "2099-01-01 00:00"}]'
_FROZEN = _CONFIGURATION.replace("envs/qa}", f"envs/qa{_FREEZE}}}")
_KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../base
images:
  - name: ghcr.io/acme/api        # the front door
    newTag: 1.4.2
"""
_VALUES = """\
# qa: one values file for the chart
api:
  image:
    registry: ghcr.io
    repository: acme/api
    tag: "1.4.1"   # keep in quotes
    pullPolicy: IfNotPresent
"""


_VALUES_SCHEMA = """\
{"properties": {"api": {"properties": {"image": {"properties": {
  "tag": {"type": "string", "pattern": "^[0-9]+[.][0-9]+[.][0-9]+$"}}}}}}}
"""
_BASE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers:
        - {name: api, image: "ghcr.io/acme/api:1.4.0"}
        - {name: proxy, image: "ghcr.io/acme/proxy:1.0.0"}
"""
_LIST = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [{}]\n"


def manifests(racers: int) -> dict[str, str]:
    """The first commit: four environments in three formats, and a base that two of them share."""
    entries = "".join(f"  - name: ghcr.io/acme/app-{n}\n    newTag: 1.0.{n}\n" for n in range(racers))
    return {
        ".promoter.yaml": _CONFIGURATION,
        "base/deployment.yaml": _BASE,
        "base/kustomization.yaml": _LIST.format("deployment.yaml"),
        "envs/canary/kustomization.yaml": _LIST.format("../../base"),
        "envs/staging/kustomization.yaml": _KUSTOMIZATION + entries,
        "envs/qa/values.yaml": _VALUES,
        "envs/production/api.tag": "image_tag: 1.4.0\n",
        "schemas/values.json": _VALUES_SCHEMA,
    }


@dataclass(frozen=True)
class Scene:
    """One step of the story: what people do first, if anything, then a run and how it ends.

    ``shows`` is what the run must print, ``commits`` are files that somebody pushes to the
    base before it, and ``merges`` says that somebody merges what is proposed. What the run
    prints goes to the file ``into``, if one is named. Without one of the programs that it
    ``needs`` a scene is left out.
    """

    says: str
    arguments: tuple[str, ...]
    shows: str
    expected: int = 0
    commits: Mapping[str, str] | None = None
    merges: bool = False
    into: str | None = None
    needs: tuple[str, ...] = ()


def verb(*words: str) -> tuple[str, ...]:
    """The command line of a verb on the story's repository."""
    return (*words, "--manifest-repo", REPOSITORY)


def bump_of(environment: str, image: str) -> tuple[str, ...]:
    """The command line of a bump."""
    return (*verb("bump"), "--env", environment, "--image", image)


_API = "ghcr.io/acme/api"

SCENES = (
    Scene(
        "A build is done: bump staging, which is a kustomization.",
        bump_of("staging", f"{_API}:1.4.3"),
        "promoted api in staging",
    ),
    Scene("The same job runs again: nothing to do.", bump_of("staging", f"{_API}:1.4.3"), "unchanged api"),
    Scene(
        "An older build arrives late: it must not go backwards.",
        bump_of("staging", f"{_API}:1.4.2"),
        "superseded api in staging",
    ),
    Scene(
        "The same image in qa, which is a Helm values file.",
        bump_of("qa", f"{_API}:1.4.3"),
        "promoted api in qa",
    ),
    Scene(
        "What the schema of qa's values forbids is not even proposed.",
        bump_of("qa", f"{_API}:1.5.0-rc.1"),
        "validation found an error",
        5,
    ),
    Scene(
        "Nor is an edit of a base that is shared: canary is meant, and staging would change too.",
        bump_of("canary", "ghcr.io/acme/proxy:1.1.0"),
        "blast-radius",
        5,
        needs=("kustomize", "kubectl"),
    ),
    Scene(
        "Production has tag files and takes pull requests, which on a plain Git server are branches.",
        bump_of("production", f"{_API}:1.4.3"),
        "created    branch  promoter/production/api",
    ),
    Scene(
        "A newer build updates it: there is one for each environment and app.",
        bump_of("production", f"{_API}:1.4.4"),
        "updated    branch  promoter/production/api",
    ),
    Scene(
        "An older build arrives late: it leaves the newer one alone.",
        bump_of("production", f"{_API}:1.4.3"),
        "unchanged  branch  promoter/production/api",
    ),
    Scene(
        "Somebody merges it, by the line that was printed; sync finds nothing open any more.",
        verb("sync"),
        "unchanged (nothing-open)",
        merges=True,
    ),
    Scene(
        "The next build comes to staging.",
        bump_of("staging", f"{_API}:1.5.0"),
        "promoted api in staging",
    ),
    Scene(
        "From environment to environment: qa gets what staging runs, in its own format.",
        verb("promote", "staging", "qa", "--app", "api"),
        "ghcr.io/acme/api:1.4.3 -> ghcr.io/acme/api:1.5.0",
    ),
    Scene(
        "What would go on to production?",
        verb("diff", "qa", "production"),
        "1.5.0",
    ),
    Scene(
        "It is bad. Back to what ran before, whoever brought it.",
        verb("rollback", "qa", "--app", "api", "--reason", "checkout fails"),
        "ghcr.io/acme/api:1.5.0 -> ghcr.io/acme/api:1.4.3",
    ),
    Scene(
        "And it sticks: the pipeline that brought it runs again.",
        bump_of("qa", f"{_API}:1.5.0"),
        "checkout fails",
        6,
    ),
    Scene(
        "Until somebody lets it go.",
        verb("unhold", "qa", "--app", "api"),
        "let go api in qa",
    ),
    Scene(
        "Who moved what in qa?",
        verb("history", "qa"),
        "rollback",
    ),
    Scene(
        "What runs where?",
        verb("status"),
        "1.5.0",
    ),
    Scene(
        "The same as a page, for people without a shell.",
        verb("status", "--output", "html"),
        "</html>",
        into="board.html",
    ),
    Scene(
        "Somebody freezes qa in .promoter.yaml: from then on a push is refused.",
        bump_of("qa", f"{_API}:1.4.4"),
        "frozen until",
        6,
        commits={".promoter.yaml": _FROZEN},
    ),
    Scene(
        "A tag that no registry accepts is refused before anything is read.",
        bump_of("qa", f"{_API}:-x"),
        "is not an image reference",
        2,
    ),
)
