"""What is rendered, for validators and for the pull request, and that rendering is harmless."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from promoter.config import Environment, HelmChart
from promoter.deadline import Deadline
from promoter.errors import DeadlineError, UnreachableError
from promoter.validate.limited import Limits
from promoter.validate.render import render_edit, render_environments
from promoter.validate.scratch import Programs, Rendered
from promoter.validate.tree import DirectoryTree
from tests.support.programs import program
from tests.validate.rendering import (
    BUMPED,
    CHART,
    DEPLOYMENT,
    STAGING_AND_PRODUCTION,
    TEMPLATE,
    MemoryTree,
    edit,
    environments,
    settings,
)

KUSTOMIZED = {
    "envs/staging/kustomization.yaml": "resources: [deployment.yaml]\nnamespace: shop\n",
    "envs/staging/deployment.yaml": DEPLOYMENT,
}
BUMP: dict[str, str | None] = {"envs/staging/deployment.yaml": BUMPED}


def test_the_rendered_documents_and_their_diff(tmp_path: Path) -> None:
    result = edit(KUSTOMIZED, BUMP, settings(tmp_path))
    (before,), (after,) = result.rendered_before, result.rendered_after
    assert before.path == after.path == "envs/staging (rendered)/shop/Deployment-api.yaml"
    assert b"api:1.4.1" in before.content
    assert b"api:1.4.2" in after.content
    lines = result.diff.splitlines()
    assert lines[:2] == [f"--- {after.path}", f"+++ {after.path}"]
    assert [line for line in lines[2:] if line[0] in "+-"] == [
        "-      - image: ghcr.io/acme/api:1.4.1",
        "+      - image: ghcr.io/acme/api:1.4.2",
    ]
    assert lines[2].startswith("@@ -"), "with the place in the document"


def test_off_renders_nothing(tmp_path: Path) -> None:
    chosen = settings(tmp_path, render="off")
    result = edit(KUSTOMIZED, BUMP, chosen)
    assert (result.findings, result.notes, result.rendered_after, result.diff) == ((), (), (), "")


def test_a_long_diff_is_capped(tmp_path: Path) -> None:
    result = edit(KUSTOMIZED, BUMP, settings(tmp_path, most_diff=120))
    assert len(result.diff) < 160
    assert result.diff.splitlines()[-1].startswith("… ")


def test_secrets_are_hidden_in_the_diff(tmp_path: Path) -> None:
    kustomization = "secretGenerator: [{name: s, literals: [password=%s]}]\n"
    files = {"envs/staging/kustomization.yaml": kustomization % "old-canary"}
    after: dict[str, str | None] = {"envs/staging/kustomization.yaml": kustomization % "new-canary"}
    result = edit(files, after, settings(tmp_path))
    assert "(hidden)" in result.diff
    assert "canary" not in result.diff
    assert "bmV3LWNhbmFyeQ" not in result.diff


def test_an_edit_that_cannot_be_rendered_any_more_is_a_finding(tmp_path: Path) -> None:
    after: dict[str, str | None] = {
        "envs/staging/kustomization.yaml": "resources: [deployment.yaml]\nnamespace: [x]\n"
    }
    result = edit(KUSTOMIZED, after, settings(tmp_path))
    (finding,) = result.findings
    assert (finding.validator, finding.file) == ("render", "envs/staging/kustomization.yaml")
    assert finding.introduced
    assert "cannot be rendered: kustomize fails: " in finding.message
    assert str(tmp_path) not in finding.message


def test_what_could_not_be_rendered_before_is_an_old_sin(tmp_path: Path) -> None:
    files = KUSTOMIZED | {
        "envs/staging/kustomization.yaml": "resources: [deployment.yaml, deployment.yaml]\n"
    }
    result = edit(files, BUMP, settings(tmp_path))
    assert [one.introduced for one in result.findings] == [False]
    result = edit(files, BUMP, settings(tmp_path, render="required"))
    assert [one.introduced for one in result.findings] == [True]


# --- Helm and agents ---------------------------------------------------------------------------------

API_CHART = {
    "charts/api/Chart.yaml": CHART,
    "charts/api/values.yaml": "image: {tag: 0.0.0}\n",
    "charts/api/templates/settings.yaml": TEMPLATE,
}
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: api, namespace: shop}
spec:
  chart:
    spec:
      chart: ./charts/api
      sourceRef: {kind: GitRepository, name: flux-system}
  values:
    image: {tag: "1.10"}
    replicas: 0x10
"""


def test_a_helm_release_with_a_local_chart(tmp_path: Path) -> None:
    files = API_CHART | {"envs/staging/release.yaml": RELEASE, "envs/production/release.yaml": RELEASE}
    after: dict[str, str | None] = {"envs/staging/release.yaml": RELEASE.replace("1.10", "1.20")}
    result = edit(files, after, settings(tmp_path))
    assert (result.findings, result.notes) == ((), ())
    (rendered,) = result.rendered_after
    assert rendered.path == "charts/api as shop/api (rendered)/shop/ConfigMap-api-settings.yaml"
    assert b'tag: "1.20"' in rendered.content
    assert b'replicas: "16"' in rendered.content


def test_the_chart_of_two_helm_releases(tmp_path: Path) -> None:
    files = API_CHART | {"envs/staging/release.yaml": RELEASE, "envs/production/release.yaml": RELEASE}
    template = "charts/api/templates/settings.yaml"
    result = edit(files, {template: TEMPLATE.replace("settings", "options")}, settings(tmp_path))
    (finding,) = result.findings
    assert (finding.validator, finding.file) == ("blast-radius", template)
    assert finding.message == (
        "production would change too (ConfigMap/api-settings, ConfigMap/api-options): production ← "
        f"envs/production/release.yaml → charts/api/Chart.yaml → {template}"
    )


def test_a_helm_release_that_a_kustomization_patches(tmp_path: Path) -> None:
    overlay = """\
resources: [../../base/release.yaml]
patches:
  - target: {kind: HelmRelease}
    patch: |
      - {op: replace, path: /spec/values/image/tag, value: "%s"}
"""
    files = API_CHART | {
        "base/release.yaml": RELEASE,
        "envs/staging/kustomization.yaml": overlay % "2.0",
        "envs/production/kustomization.yaml": overlay % "1.0",
    }
    after: dict[str, str | None] = {"envs/staging/kustomization.yaml": overlay % "2.1"}
    result = edit(files, after, settings(tmp_path))
    assert (result.findings, result.notes) == ((), ())
    assert '+  tag: "2.1"' in result.diff.splitlines()
    # The chart's own tag is overridden everywhere; its template is not.
    own = edit(files, {"charts/api/values.yaml": "image: {tag: 9}\n"}, settings(tmp_path))
    assert (own.findings, own.notes) == ((), ())
    changed = edit(
        files, {"charts/api/templates/settings.yaml": TEMPLATE + "  more: x\n"}, settings(tmp_path)
    )
    assert [one.message.partition(":")[0] for one in changed.findings] == [
        "production would change too (ConfigMap/api-settings)"
    ]
    # What the kustomization overrides stays hidden, what it leaves goes through to the chart's objects.
    after = {"base/release.yaml": RELEASE.replace("0x10", "32")}
    shared = edit(files, after, settings(tmp_path), intended=["staging", "production"])
    assert '+  replicas: "32"' in shared.diff.splitlines()


APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: api}
spec:
  destination: {namespace: ENV}
  sources:
    - repoURL: https://git.example.com/acme/manifests.git
      path: charts/api
      helm:
        valueFiles: [$here/shared.yaml, $here/envs/ENV/values.yaml]
        parameters: [{name: replicas, value: "2,5", forceString: true}]
    - {repoURL: "https://git.example.com/acme/manifests.git", ref: here}
"""


def test_a_multi_source_application(tmp_path: Path) -> None:
    files = API_CHART | {
        "shared.yaml": "image: {tag: 1.4.1}\n",
        "envs/staging/values.yaml": "a: b\n",
        "envs/production/values.yaml": "a: b\n",
        "envs/staging/app.yaml": APPLICATION.replace("ENV", "staging"),
        "envs/production/app.yaml": APPLICATION.replace("ENV", "production"),
    }
    chosen = settings(tmp_path, repository="manifests")
    own = edit(files, {"envs/staging/values.yaml": "image: {tag: 1.4.2}\n"}, chosen)
    assert (own.findings, own.notes) == ((), ())
    assert [one.path for one in own.rendered_after] == [
        "charts/api as staging/api (rendered)/staging/ConfigMap-api-settings.yaml"
    ]
    assert b'tag: "1.4.2"' in own.rendered_after[0].content
    assert b'replicas: "2,5"' in own.rendered_after[0].content
    shared = edit(files, {"shared.yaml": "image: {tag: 1.4.2}\n"}, chosen)
    (finding,) = shared.findings
    assert (finding.validator, finding.file) == ("blast-radius", "shared.yaml")
    assert finding.message == (
        "production would change too (ConfigMap/api-settings): "
        "production ← envs/production/app.yaml → shared.yaml"
    )
    # Applications of another repository mean its files, not those of the same name here.
    elsewhere = edit(files, {"shared.yaml": "image: {tag: 1.4.2}\n"}, settings(tmp_path, repository="other"))
    assert (elsewhere.findings, elsewhere.diff) == ((), "")


def test_a_remote_chart_with_a_shared_values_file_is_unproven(tmp_path: Path) -> None:
    application = APPLICATION.replace("path: charts/api", "chart: podinfo")
    files = {
        "shared.yaml": "image: {tag: 1.4.1}\n",
        "envs/staging/values.yaml": "a: b\n",
        "envs/production/values.yaml": "a: b\n",
        "envs/production/app.yaml": application.replace("ENV", "production"),
    }
    result = edit(files, {"shared.yaml": "image: {tag: 1.4.2}\n"}, settings(tmp_path))
    assert result.findings == ()
    (note,) = result.notes
    assert note.startswith("production: unproven: its closure contains shared.yaml")
    assert note.endswith("its chart podinfo comes from https://git.example.com/acme/manifests.git")


APPLICATION_SET = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: all}
spec:
  generators: [{clusters: {}}]
  template:
    metadata: {name: "api-{{ env }}"}
    spec:
      sources:
        - path: charts/api
          helm: {valueFiles: [$here/shared.yaml, "$here/envs/{{ env }}/values.yaml"]}
        - {ref: here}
"""


def test_an_application_of_plain_manifests(tmp_path: Path) -> None:
    application = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: plain}
spec: {source: {path: plain}}
"""
    files = {
        "plain/api.yaml": DEPLOYMENT,
        "plain/below/api.yaml": DEPLOYMENT,
        "envs/staging/a.yaml": DEPLOYMENT,
        "envs/production/app.yaml": application,
    }
    chosen = settings(tmp_path, programs=Programs())
    (finding,) = edit(files, {"plain/api.yaml": BUMPED}, chosen).findings
    assert finding.message == (
        "production would change too: production ← envs/production/app.yaml → plain/api.yaml"
    )
    assert edit(files, {"plain/below/api.yaml": BUMPED}, chosen).findings == (), "it does not recurse"


def test_an_application_set_is_followed_and_unproven(tmp_path: Path) -> None:
    files = API_CHART | {
        "shared.yaml": "image: {tag: 1.4.1}\n",
        "envs/staging/values.yaml": "a: b\n",
        "envs/production/values.yaml": "a: b\n",
        "sets/set.yaml": APPLICATION_SET,
    }
    where = environments(staging="envs/staging", everything="sets")
    result = edit(files, {"envs/staging/values.yaml": "a: c\n"}, settings(tmp_path), where)
    assert result.notes == (), "what stands within the intended environment is not looked for in manifests"
    result = edit(files, {"shared.yaml": "image: {tag: 1.4.2}\n"}, settings(tmp_path), where)
    (note,) = result.notes
    assert note.endswith("its ApplicationSet fills in what it deploys")


def test_a_flux_kustomization_builds_another_directory(tmp_path: Path) -> None:
    flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec: {path: ./apps/%s}\n"
    files = {
        "base/kustomization.yaml": "resources: [deployment.yaml]\n",
        "base/deployment.yaml": DEPLOYMENT,
        "apps/staging/kustomization.yaml": "resources: [../../base]\n",
        "apps/production/kustomization.yaml": "resources: [../../base]\n",
        "envs/staging/apps.yaml": flux % "staging",
        "envs/production/apps.yaml": flux % "production",
    }
    result = edit(files, {"base/deployment.yaml": BUMPED}, settings(tmp_path))
    (finding,) = result.findings
    assert finding.message.endswith(
        "production ← envs/production/apps.yaml → apps/production/kustomization.yaml → "
        "base/kustomization.yaml → base/deployment.yaml"
    )
    assert [one.path for one in result.rendered_after] == ["apps/staging (rendered)/Deployment-api.yaml"]


def test_a_flux_kustomization_of_manifests_and_kustomizations(tmp_path: Path) -> None:
    flux = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec: {path: ./apps}\n"
    files = {
        "apps/plain.yaml": DEPLOYMENT,
        "apps/api/kustomization.yaml": (
            "resources: [../../base]\nimages: [{name: ghcr.io/acme/api, newTag: 1.0.0}]\n"
        ),
        "base/kustomization.yaml": "resources: [deployment.yaml]\n",
        "base/deployment.yaml": DEPLOYMENT,
        "envs/staging/a.yaml": DEPLOYMENT,
        "envs/production/apps.yaml": flux,
    }
    chosen = settings(tmp_path)
    overridden = edit(files, {"base/deployment.yaml": BUMPED}, chosen)
    assert (overridden.findings, overridden.notes) == ((), ())
    renamed = DEPLOYMENT.replace("metadata: {name: api}", "metadata: {name: web}")
    (finding,) = edit(files, {"base/deployment.yaml": renamed}, chosen).findings
    assert finding.message == (
        "production would change too (Deployment/api, Deployment/web): production ← "
        "envs/production/apps.yaml → apps/api/kustomization.yaml → base/kustomization.yaml → "
        "base/deployment.yaml"
    )
    (plain,) = edit(files, {"apps/plain.yaml": BUMPED}, chosen).findings
    assert plain.message.endswith("production ← envs/production/apps.yaml → apps/plain.yaml")


def test_a_local_dependency_of_a_chart_is_put_in_place(tmp_path: Path) -> None:
    library = "dependencies: [{name: api, version: 1.0.0, repository: 'file://../../charts/api'}]\n"
    files = API_CHART | {
        "envs/staging/Chart.yaml": CHART.replace("name: api", "name: shop") + library,
        "envs/staging/values.yaml": "api: {image: {tag: 1.4.1}}\n",
    }
    after: dict[str, str | None] = {"envs/staging/values.yaml": "api: {image: {tag: 1.4.2}}\n"}
    result = edit(files, after, settings(tmp_path))
    assert (result.findings, result.notes) == ((), ())
    assert '+  tag: "1.4.2"' in result.diff.splitlines()


def test_a_chart_whose_dependency_is_not_vendored_is_unproven(tmp_path: Path) -> None:
    remote = "dependencies: [{name: redis, version: 1.0.0, repository: 'https://charts.example.com'}]\n"
    files = {"envs/staging/Chart.yaml": CHART + remote, "envs/staging/values.yaml": "a: b\n"}
    after: dict[str, str | None] = {"envs/staging/values.yaml": "a: c\n"}
    result = edit(files, after, settings(tmp_path))
    assert result.findings == ()
    (note,) = result.notes
    assert note.startswith("staging: unproven: ")
    assert "its dependency redis (from https://charts.example.com) is not vendored in charts/" in note
    required = edit(files, after, settings(tmp_path, render="required"))
    assert [(one.validator, one.introduced) for one in required.findings] == [("render", True)]


def test_flux_values_files_take_the_place_of_the_charts_own(tmp_path: Path) -> None:
    release = RELEASE.replace(
        "      sourceRef", "      valuesFiles: [charts/api/staging.yaml]\n      sourceRef"
    ).partition("  values:")[0]
    files = API_CHART | {
        "envs/staging/release.yaml": release,
        "charts/api/staging.yaml": "image: {tag: 1.4.1}\n",
    }
    files["charts/api/values.yaml"] = "image: {tag: 0.0.0}\nreplicas: 7\n"
    result = edit(files, {"charts/api/staging.yaml": "image: {tag: 1.4.2}\n"}, settings(tmp_path))
    assert b'replicas: "1"' in result.rendered_after[0].content


def test_charts_are_told_the_version_of_kubernetes(tmp_path: Path) -> None:
    template = "kind: A\ndata: {v: {{ .Capabilities.KubeVersion.Version }}, t: {{ .Values.image.tag }}}\n"
    files = API_CHART | {"charts/api/templates/settings.yaml": template}
    where = [Environment("staging", ("envs/staging",), helm=(HelmChart("charts/api", "api"),))]
    after: dict[str, str | None] = {"charts/api/values.yaml": "image: {tag: 1}\n"}
    result = edit(files, after, settings(tmp_path, kubernetes="1.31"), where)
    assert b"v: v1.31" in result.rendered_after[0].content


def test_a_vendored_chart_that_kustomize_inflates(tmp_path: Path) -> None:
    kustomization = """\
helmGlobals: {chartHome: ../../charts}
helmCharts: [{name: api, releaseName: r, valuesFile: v.yaml}]
"""
    files = API_CHART | {
        "envs/staging/kustomization.yaml": kustomization,
        "envs/staging/v.yaml": "image: {tag: 1.4.1}\n",
    }
    result = edit(files, {"envs/staging/v.yaml": "image: {tag: 1.4.2}\n"}, settings(tmp_path))
    assert (result.findings, result.notes) == ((), ())
    assert "+  tag: 1.4.2" in result.diff.splitlines()


# --- harmless -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port on loopback, and what came in by the end."""
    heard: list[bytes] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1], heard
        server.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connection, _ = server.accept()
            heard.append(b"a connection")
            connection.close()


HOSTILE = [
    "resources: ['http://127.0.0.1:%d/x.yaml']\n",
    "resources: ['HTTP://127.0.0.1:%d/x//y?ref=z']\n",
    "resources: ['git::http://127.0.0.1:%d/x.git']\n",
    "Resources: ['http://127.0.0.1:%d/x.yaml']\n",
    "configMapGenerator: [{name: c, files: ['a=http://127.0.0.1:%d/x']}]\n",
    "configMapGenerator: [{name: c, Files: ['a=http://127.0.0.1:%d/x']}]\n",
    "patches: [{path: 'http://127.0.0.1:%d/x'}]\n",
    "openapi: {path: 'http://127.0.0.1:%d/x'}\n",
    "crds: ['http://127.0.0.1:%d/x']\n",
    "transformers: ['http://127.0.0.1:%d/x']\n",
    "transformers: ['{apiVersion: builtin, kind: PatchTransformer, metadata: {name: a}, path: \"http://127.0.0.1:%d/x\"}']\n",
    "helmCharts: [{name: c, repo: 'http://127.0.0.1:%d', version: '1.0.0'}]\n",
    "helmCharts: [{name: api, valuesFile: 'http://127.0.0.1:%d/x'}]\n",
    "helmChartInflationGenerator: [{chartName: c, chartRepoUrl: 'http://127.0.0.1:%d'}]\n",
]


@pytest.mark.parametrize("line", HOSTILE)
def test_nothing_goes_to_the_network(tmp_path: Path, line: str) -> None:
    with listener() as (port, heard):
        files = {f"envs/staging/{path}": text for path, text in API_CHART.items()} | {
            "envs/staging/kustomization.yaml": line % port + "commonLabels: {a: b}\n",
        }
        after: dict[str, str | None] = {
            "envs/staging/kustomization.yaml": line % port + "commonLabels: {a: c}\n"
        }
        result = edit(files, after, settings(tmp_path))
    assert heard == []
    assert result.rendered_after == ()
    (note,) = result.notes
    assert "staging: unproven: " in note


@pytest.mark.parametrize("key", ["generators", "transformers", "validators"])
@pytest.mark.parametrize("inline", [True, False])
def test_no_program_and_no_function_of_the_repository_is_run(tmp_path: Path, key: str, inline: bool) -> None:
    trace = tmp_path / "trace"
    plugin = f"""\
apiVersion: acme.io/v1
kind: Evil
metadata:
  name: evil
  annotations:
    config.kubernetes.io/function: |
      exec: {{path: ./evil.sh}}
argsOneLiner: {trace}
"""
    text = "|\n" + "".join(f"    {line}\n" for line in plugin.splitlines()) if inline else "evil.yaml\n"
    files = KUSTOMIZED | {
        "envs/staging/kustomization.yaml": f"resources: [deployment.yaml]\n{key}:\n- {text}",
        "envs/staging/evil.yaml": plugin,
        "envs/staging/evil.sh": f"#!/bin/sh\ntouch {trace}\n",
    }
    result = edit(files, BUMP, settings(tmp_path))
    assert not trace.exists()
    assert [note.partition(": it ")[2] for note in result.notes] == [
        "runs Evil, which is a program or a function: none is ever run"
    ]


@pytest.mark.parametrize(
    "kustomization",
    [
        "resources: [/etc/hostname]\n",
        "resources: [../../../../etc/hostname]\n",
        "configMapGenerator: [{name: c, files: [/etc/hostname]}]\nresources: [../outside.yaml]\n",
        "configMapGenerator: [{name: c, Files: [/etc/hostname]}]\nresources: [../outside.yaml]\n",
        "resources: [../outside.yaml]\npatches: [{Path: /etc/hostname}]\n",
        "resources: [../outside.yaml]\nhelmCharts: [{name: api, releaseName: '--post-renderer=/bin/sh'}]\n",
        "resources: [../outside.yaml]\nhelmGlobals: {configHome: /tmp}\nhelmCharts: [{name: api}]\n",
    ],
)
def test_what_leaves_the_repository_is_not_read(tmp_path: Path, kustomization: str) -> None:
    files = {f"envs/staging/{path}": text for path, text in API_CHART.items()} | {
        "envs/outside.yaml": DEPLOYMENT,
        "envs/staging/kustomization.yaml": kustomization,
    }
    after: dict[str, str | None] = {"envs/staging/kustomization.yaml": kustomization + "namePrefix: a-\n"}
    result = edit(files, after, settings(tmp_path))
    assert result.rendered_after == ()
    assert len(result.notes) == 1
    assert "unproven" in result.notes[0]


def test_charts_cannot_read_this_machine(tmp_path: Path) -> None:
    template = """\
kind: A
data:
  host: {{ getHostByName "localhost" | quote }}
  file: {{ .Files.Get "/etc/passwd" | quote }}
  up: {{ .Files.Get "../../../../etc/passwd" | quote }}
  tag: {{ .Values.image.tag }}
"""
    files = API_CHART | {"charts/api/templates/settings.yaml": template}
    where = [Environment("staging", ("envs/staging",), helm=(HelmChart("charts/api", "api"),))]
    result = edit(files, {"charts/api/values.yaml": "image: {tag: 1}\n"}, settings(tmp_path), where)
    (rendered,) = result.rendered_after
    assert b'host: ""' in rendered.content
    assert b'file: ""' in rendered.content
    assert b'up: ""' in rendered.content


def chart_of(template: str) -> dict[str, str]:
    return {
        "charts/api/Chart.yaml": CHART,
        "charts/api/templates/a.yaml": template,
        "charts/api/values.yaml": "a: 1\n",
    }


ENDLESS = "{{- range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}\n" * 100
HUGE = 'kind: A\ndata:\n{{- range until 300 }}\n- {{ repeat 10000 "x" }}\n{{- end }}\n'
GREEDY = "{{- $all := list }}{{ range until 4000 }}{{ $all = append $all (until 1000000) }}{{ end }}\n"


@pytest.mark.parametrize(
    ("template", "limits", "why"),
    [
        (ENDLESS, Limits(seconds=1.0), "helm had not ended after 1 seconds"),
        (HUGE, Limits(output=1 << 20), "helm writes more than a render may hold"),
        (GREEDY, Limits(memory=1 << 29), "helm fails: "),
    ],
)
def test_a_render_is_stopped_at_its_limits(tmp_path: Path, template: str, limits: Limits, why: str) -> None:
    files = chart_of(template)
    where = [Environment("staging", ("envs/staging",), helm=(HelmChart("charts/api", "api"),))]
    started = time.monotonic()
    result = edit(files, {"charts/api/values.yaml": "a: 2\n"}, settings(tmp_path, limits=limits), where)
    assert time.monotonic() - started < 30
    assert result.findings == ()
    (note,) = result.notes
    assert note.startswith("staging: unproven: ")
    assert why in note


def test_the_deadline_ends_the_run(tmp_path: Path) -> None:
    files = chart_of(ENDLESS)
    where = [Environment("staging", ("envs/staging",), helm=(HelmChart("charts/api", "api"),))]
    with pytest.raises(DeadlineError, match="while helm was running"):
        render_edit(
            MemoryTree(files), where, ["staging"], {"charts/api/values.yaml": (b"a: 1\n", b"a: 2\n")},
            settings(tmp_path), Deadline(1.5),
        )  # fmt: skip


def test_an_absent_program_is_a_note_unless_it_is_required(tmp_path: Path) -> None:
    result = edit(KUSTOMIZED, BUMP, settings(tmp_path, programs=Programs()))
    assert result.findings == ()
    (note,) = result.notes
    assert note == (
        "staging: unproven: envs/staging cannot be rendered: the program kustomize is not on PATH (install "
        "kustomize 5 (or kubectl, which has one in it), or set validate.render to off)"
    )
    with pytest.raises(UnreachableError, match="the program kustomize is not on PATH") as caught:
        edit(KUSTOMIZED, BUMP, settings(tmp_path, programs=Programs(), render="required"))
    assert caught.value.next_step is not None
    assert "install kustomize" in caught.value.next_step


def test_programs_are_those_on_the_callers_path(tmp_path: Path) -> None:
    for name in ("kubectl", "helm"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    only_kubectl = Programs((str(tmp_path / "kubectl"), "kustomize"), str(tmp_path / "helm"))
    assert Programs.on({"PATH": str(tmp_path)}) == only_kubectl
    (tmp_path / "kustomize").symlink_to(program("kustomize"))
    assert Programs.on({"PATH": str(tmp_path)}).kustomize == (str(tmp_path / "kustomize"), "build")
    assert Programs.on({"PATH": os.path.relpath(tmp_path)}) == Programs()


# --- cost ---------------------------------------------------------------------------------------------------


def test_many_notes_of_one_environment_are_counted(tmp_path: Path) -> None:
    files = {"base/kustomization.yaml": "resources: [x.yaml]\n", "base/x.yaml": DEPLOYMENT}
    for number in range(20):
        files[f"envs/production/{number}/kustomization.yaml"] = "resources: [../../../base]\n"
    result = edit(files, {"base/x.yaml": BUMPED}, settings(tmp_path, programs=Programs()))
    assert len(result.notes) == 4
    assert result.notes[-1] == "production: unproven: and 17 more like these"


def test_renders_are_kept_from_one_attempt_to_the_next(tmp_path: Path) -> None:
    cache: dict[bytes, Rendered] = {}
    changes = {"envs/staging/deployment.yaml": (DEPLOYMENT.encode(), BUMPED.encode())}
    arguments = (MemoryTree(KUSTOMIZED), STAGING_AND_PRODUCTION, ["staging"], changes)
    first = render_edit(*arguments, settings(tmp_path), Deadline(60), cache)
    broken = settings(tmp_path)
    kept = len(cache)
    again = render_edit(*arguments, broken, Deadline(60), cache)
    assert again == first
    assert len(cache) == kept == 2


def test_the_blobs_are_read_in_few_batches(tmp_path: Path) -> None:
    files = dict(KUSTOMIZED)
    for number in range(50):
        files[f"envs/production/{number}/kustomization.yaml"] = "resources: [x.yaml]\n"
        files[f"envs/production/{number}/x.yaml"] = DEPLOYMENT
    tree = MemoryTree(files)
    changes = {"envs/staging/deployment.yaml": (DEPLOYMENT.encode(), BUMPED.encode())}
    render_edit(tree, STAGING_AND_PRODUCTION, ["staging"], changes, settings(tmp_path), Deadline(60))
    assert len(tree.reads) <= 3
    read = {path for batch in tree.reads for path in batch}
    assert not [path for path in read if path.startswith("envs/production/") and path.endswith("x.yaml")]


def test_everything_that_an_environment_deploys(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    files = KUSTOMIZED | API_CHART | {"envs/production/release.yaml": RELEASE}
    for path, text in files.items():
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(text)
    (checkout / "envs/staging/link.yaml").symlink_to("/etc/hostname")
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    tree = DirectoryTree(checkout)
    assert sorted(tree.paths()) == sorted(files)
    result = render_environments(tree, STAGING_AND_PRODUCTION, settings(tmp_path), Deadline(60))
    assert (result.findings, result.notes) == ((), ())
    assert [one.path for one in result.rendered_after] == [
        "envs/staging (rendered)/shop/Deployment-api.yaml",
        "charts/api as shop/api (rendered)/shop/ConfigMap-api-settings.yaml",
    ]
