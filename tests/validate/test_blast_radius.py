"""An edit of what environments share is refused for those that it was not meant for."""

from pathlib import Path

import pytest

from promoter.config import HelmChart
from promoter.validate.scratch import Programs
from tests.validate.rendering import (
    BUMPED,
    CHART,
    DEPLOYMENT,
    TEMPLATE,
    edit,
    environments,
    messages,
    settings,
)

SHARED_BASE = {
    "base/kustomization.yaml": "resources: [deployment.yaml]\n",
    "base/deployment.yaml": DEPLOYMENT,
    "envs/staging/kustomization.yaml": "resources: [../../base]\nnamePrefix: s-\n",
    "envs/production/kustomization.yaml": "resources: [../../base]\nnamePrefix: p-\n",
}


def test_a_shared_base_is_refused_with_the_files_that_link(tmp_path: Path) -> None:
    result = edit(SHARED_BASE, {"base/deployment.yaml": BUMPED}, settings(tmp_path))
    (finding,) = result.findings
    assert (finding.validator, finding.severity, finding.introduced) == ("blast-radius", "error", True)
    assert (finding.file, finding.line) == ("base/deployment.yaml", 9)
    assert finding.message == (
        "production would change too (Deployment/p-api): production ← "
        "envs/production/kustomization.yaml → base/kustomization.yaml → base/deployment.yaml"
    )


def test_a_base_that_both_are_meant_to_share_is_fine(tmp_path: Path) -> None:
    both = ("staging", "production")
    result = edit(SHARED_BASE, {"base/deployment.yaml": BUMPED}, settings(tmp_path), intended=both)
    assert result.findings == ()
    assert "+++ envs/production (rendered)/Deployment-p-api.yaml" in result.diff


def test_a_shared_base_whose_value_another_environment_overrides_is_fine(tmp_path: Path) -> None:
    pinned = "resources: [../../base]\nimages: [{name: ghcr.io/acme/api, newTag: 1.0.0}]\n"
    files = SHARED_BASE | {"envs/production/kustomization.yaml": pinned}
    result = edit(files, {"base/deployment.yaml": BUMPED}, settings(tmp_path))
    assert (result.findings, result.notes) == ((), ())


def test_an_environment_built_on_the_intended_one_is_refused(tmp_path: Path) -> None:
    files = {
        "envs/staging/kustomization.yaml": "resources: [deployment.yaml]\n",
        "envs/staging/deployment.yaml": DEPLOYMENT,
        "envs/production/kustomization.yaml": "resources: [../staging]\n",
    }
    result = edit(files, {"envs/staging/deployment.yaml": BUMPED}, settings(tmp_path))
    assert [(one.file, "production would change too" in one.message) for one in result.findings] == [
        ("envs/staging/deployment.yaml", True)
    ]


PIN = """\
apiVersion: builtin
kind: ImageTagTransformer
metadata: {name: pin}
imageTag: {name: ghcr.io/acme/api, newTag: %s}
"""


@pytest.mark.parametrize(
    ("kustomization", "file", "before", "after"),
    [
        ("components: [../../parts/pin]\nresources: [x.yaml]\n", "parts/pin/kustomization.yaml", None, None),
        ("resources: [x.yaml]\npatches: [{path: ../../parts/patch.yaml}]\n", "parts/patch.yaml", None, None),
        (
            "resources: [x.yaml]\npatchesStrategicMerge: [../../parts/patch.yaml]\n",
            "parts/patch.yaml",
            None,
            None,
        ),
        ("configMapGenerator: [{name: c, files: [k=../../parts/a.txt]}]\n", "parts/a.txt", "1.4.1", "1.4.2"),
        ("configMapGenerator: [{name: c, envs: [../../parts/a.env]}]\n", "parts/a.env", "A=1.4.1", "A=1.4.2"),
        ("secretGenerator: [{name: c, files: [../../parts/a.txt]}]\n", "parts/a.txt", "1.4.1", "1.4.2"),
        (
            "resources: [x.yaml]\ntransformers: [../../parts/pin.yaml]\n",
            "parts/pin.yaml",
            PIN % "1.4.1",
            PIN % "1.4.2",
        ),
        (
            "generators: [../../parts/gen.yaml]\n",
            "parts/gen.yaml",
            "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: i}\nliterals: [A=1.4.1]\n",
            "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: i}\nliterals: [A=1.4.2]\n",
        ),
    ],
)
def test_every_way_to_share_a_file_is_followed(
    tmp_path: Path, kustomization: str, file: str, before: str | None, after: str | None
) -> None:
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
    pin = f"{component}images: [{{name: ghcr.io/acme/api, newTag: 1.4.1}}]\n"
    shared = before or (pin if file.endswith("kustomization.yaml") else DEPLOYMENT)
    files = {
        file: shared,
        "envs/staging/kustomization.yaml": kustomization,
        "envs/staging/x.yaml": DEPLOYMENT,
        "envs/production/kustomization.yaml": kustomization,
        "envs/production/x.yaml": DEPLOYMENT,
    }
    result = edit(files, {file: after or shared.replace("1.4.1", "1.4.2")}, settings(tmp_path))
    assert result.notes == ()
    (finding,) = result.findings
    assert finding.file == file
    assert f"production ← envs/production/kustomization.yaml → {file}" in finding.message
    assert result.diff, "the intended environment changes as well"


# --- Helm ---------------------------------------------------------------------------------------

HELM = {
    "charts/api/Chart.yaml": CHART,
    "charts/api/values.yaml": "image: {tag: 0.0.0}\n",
    "charts/api/templates/settings.yaml": TEMPLATE,
    "shared.yaml": "image: {tag: 1.4.1}\n",
    "envs/staging/values.yaml": "replicas: 1\n",
    "envs/production/values.yaml": "replicas: 3\n",
}
BOTH = environments(
    staging=(
        "envs/staging",
        (HelmChart("charts/api", "api", ("shared.yaml", "envs/staging/values.yaml"), "staging"),),
    ),
    production=(
        "envs/production",
        (HelmChart("charts/api", "api", ("shared.yaml", "envs/production/values.yaml"), "production"),),
    ),
)


def test_a_shared_values_file_is_refused(tmp_path: Path) -> None:
    result = edit(HELM, {"shared.yaml": "image: {tag: 1.4.2}\n"}, settings(tmp_path), BOTH)
    (finding,) = result.findings
    assert (finding.validator, finding.file) == ("blast-radius", "shared.yaml")
    assert finding.message == (
        "production would change too (ConfigMap/api-settings): production ← the configuration → shared.yaml"
    )


def test_an_environments_own_values_are_fine(tmp_path: Path) -> None:
    result = edit(HELM, {"envs/staging/values.yaml": "image: {tag: 1.4.2}\n"}, settings(tmp_path), BOTH)
    assert (result.findings, result.notes) == ((), ())
    assert '+  tag: "1.4.2"' in result.diff.splitlines()


RANDOM = """\
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-password
  annotations:
    made: {{ now | date "2006-01-02T15:04:05.000000000" | quote }}
stringData:
  password: {{ randAlphaNum 24 | quote }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate-{{ randAlphaNum 8 | lower }}
spec:
  template: {spec: {containers: [{name: a, image: "ghcr.io/acme/api:{{ .Values.migrate }}"}]}}
"""


def test_what_differs_with_each_render_is_no_change(tmp_path: Path) -> None:
    files = HELM | {"charts/api/templates/random.yaml": RANDOM, "shared.yaml": "migrate: 1.4.1\n# one\n"}
    files["charts/api/values.yaml"] = "image: {tag: 0.0.0}\nmigrate: 1.4.1\n"
    result = edit(files, {"shared.yaml": "migrate: 1.4.1\n# another\n"}, settings(tmp_path), BOTH)
    assert (result.findings, result.notes, result.diff) == ((), (), "")


def test_a_change_beside_what_differs_with_each_render_is_seen(tmp_path: Path) -> None:
    files = HELM | {"charts/api/templates/random.yaml": RANDOM, "shared.yaml": "migrate: 1.4.1\n"}
    files["charts/api/values.yaml"] = "image: {tag: 0.0.0}\nmigrate: 1.4.1\n"
    result = edit(files, {"shared.yaml": "migrate: 1.4.2\n"}, settings(tmp_path), BOTH)
    (finding,) = result.findings
    assert finding.message.startswith("production would change too (Job/migrate-")
    removed = [line for line in result.diff.splitlines() if line.startswith("-")]
    assert len(removed) == 2, "the Job's header and its image, no random name and no password"


# --- what cannot be rendered ------------------------------------------------------------------------

REMOTE = SHARED_BASE | {
    "envs/production/kustomization.yaml": "resources: [../../base, 'https://example.com/acme/x//y?ref=v1']\n"
}


def test_what_cannot_be_rendered_is_unproven(tmp_path: Path) -> None:
    result = edit(REMOTE, {"base/deployment.yaml": BUMPED}, settings(tmp_path))
    assert result.findings == ()
    (note,) = result.notes
    assert note == (
        "production: unproven: its closure contains base/deployment.yaml "
        "(envs/production/kustomization.yaml → base/kustomization.yaml → base/deployment.yaml), which "
        "changes, and envs/production cannot be rendered; not proven that production stays the same: "
        "envs/production/kustomization.yaml: it needs https://example.com/acme/x//y?ref=v1, which is remote"
    )


def test_and_refused_where_rendering_is_required(tmp_path: Path) -> None:
    result = edit(REMOTE, {"base/deployment.yaml": BUMPED}, settings(tmp_path, render="required"))
    (finding,) = result.findings
    assert (finding.validator, finding.file, finding.introduced) == (
        "blast-radius",
        "base/deployment.yaml",
        True,
    )
    assert finding.message.startswith("production: unproven: its closure contains base/deployment.yaml")


def test_an_unprovable_environment_that_the_edit_does_not_meet_is_not_spoken_of(tmp_path: Path) -> None:
    after = {"envs/staging/kustomization.yaml": "resources: [../../base]\nnamePrefix: t-\n"}
    result = edit(REMOTE, after, settings(tmp_path, render="required"))
    assert (result.findings, result.notes) == ((), ())


def test_without_programs_it_is_said_what_is_not_proven(tmp_path: Path) -> None:
    chosen = settings(tmp_path, programs=Programs())
    result = edit(SHARED_BASE, {"base/deployment.yaml": BUMPED}, chosen)
    assert result.findings == ()
    assert any("not proven that production stays the same: the program kustomize is not on PATH" in note
               for note in result.notes)  # fmt: skip


def test_an_edit_that_breaks_another_environment_is_refused(tmp_path: Path) -> None:
    files = SHARED_BASE | {"base/kustomization.yaml": "resources: [deployment.yaml]\n"}
    after = {"base/kustomization.yaml": "resources: [deployment.yaml, deployment.yaml]\n"}
    result = edit(files, after, settings(tmp_path))
    others = [one for one in result.findings if one.validator == "blast-radius"]
    assert [one.file for one in others] == ["base/kustomization.yaml"]
    assert "production would change too (envs/production can no longer be rendered)" in others[0].message


# --- plain manifests ----------------------------------------------------------------------------------


def test_overlapping_paths_need_no_render(tmp_path: Path) -> None:
    where = environments(staging="envs/staging", everything="envs")
    result = edit(
        {"envs/staging/api.yaml": DEPLOYMENT},
        {"envs/staging/api.yaml": BUMPED},
        settings(tmp_path, programs=Programs()),
        where,
    )
    assert messages(result) == [
        (
            "blast-radius",
            "envs/staging/api.yaml",
            "everything would change too: it deploys envs/staging/api.yaml itself",
        )
    ]


def test_files_that_nobody_deploys_change_nothing(tmp_path: Path) -> None:
    where = environments(staging="envs/staging", everything=".")
    files = {"envs/staging/api.yaml": DEPLOYMENT, "README.md": "a", ".promoter/holds/staging/api": "by: x"}
    after: dict[str, str | None] = {"README.md": "b", ".promoter/holds/staging/api": None}
    assert edit(files, after, settings(tmp_path), where).findings == ()
