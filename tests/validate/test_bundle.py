"""The bundle of Kubernetes's schemas: which versions it has, and that it is complete and small."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from promoter.config.validate_grammar import KUBERNETES_VERSIONS
from promoter.errors import ConfigError
from promoter.validate import kubernetes
from promoter.validate.library import shipped_kinds
from promoter.validate.shipped import shipped

if TYPE_CHECKING:
    from pathlib import Path

EVERYWHERE = (
    "v1/Pod",
    "v1/Service",
    "v1/ConfigMap",
    "v1/Secret",
    "apps/v1/Deployment",
    "batch/v1/CronJob",
    "networking.k8s.io/v1/Ingress",
    "rbac.authorization.k8s.io/v1/ClusterRole",
    "apiextensions.k8s.io/v1/CustomResourceDefinition",
)


def test_the_versions_that_a_configuration_may_name() -> None:
    assert kubernetes.bundled_versions() == KUBERNETES_VERSIONS
    assert KUBERNETES_VERSIONS[0] == "1.25"
    assert shipped("kubernetes.xz").stat().st_size < 64 * 1024


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_every_kind_of_every_version_is_whole(version: str) -> None:
    schemas = kubernetes.load(version)
    assert set(EVERYWHERE) <= set(schemas.kinds)
    for kind in schemas.kinds:
        schema = schemas.schema(kind)
        assert schema is not None
        text = json.dumps(schema)
        missing = {
            name.split('"')[0]
            for name in text.split('"#/$defs/')[1:]
            if name.split('"')[0] not in schema["$defs"]
        }
        assert not missing, kind


def test_versions_differ() -> None:
    assert "autoscaling/v2beta2/HorizontalPodAutoscaler" in kubernetes.load("1.25").kinds
    assert "autoscaling/v2beta2/HorizontalPodAutoscaler" not in kubernetes.load("1.26").kinds
    assert kubernetes.load().version == KUBERNETES_VERSIONS[-1]
    assert kubernetes.load("v1.30.4").version == "1.30"


@pytest.mark.parametrize("version", ["1.24", "2", "latest", "1.300"])
def test_a_version_that_is_not_there(version: str) -> None:
    with pytest.raises(ConfigError, match=version) as caught:
        kubernetes.load(version)
    assert caught.value.next_step == "set one of 1.25 to 1.37"


def test_written_out(tmp_path: Path) -> None:
    location = kubernetes.write_out("1.33", tmp_path)
    assert (
        location == f"{tmp_path}/{{{{ .Group }}}}/{{{{ .ResourceKind }}}}_{{{{ .ResourceAPIVersion }}}}.json"
    )
    pod = json.loads((tmp_path / "v1" / "pod_v1.json").read_text())
    assert pod["$defs"]["io.k8s.api.core.v1.PodSpec"]["additionalProperties"] is False
    assert (tmp_path / "apps" / "deployment_v1.json").is_file()


def test_schemas_of_our_own_are_for_kinds_that_nobody_else_has() -> None:
    kinds = shipped_kinds()
    assert "argoproj.io/v1alpha1/application" in kinds
    assert "kustomize.config.k8s.io/v1beta1/kustomization" in kinds
    assert "source.toolkit.fluxcd.io/v1/ocirepository" in kinds
    for version in KUBERNETES_VERSIONS:
        assert not set(kinds) & {kubernetes.folded(kind) for kind in kubernetes.load(version).kinds}
