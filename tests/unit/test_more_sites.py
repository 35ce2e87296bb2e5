"""Defaults of variables, base files of values, references anywhere, and new kustomize entries."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promoter.sites import find_sites, helm_values, interpolation
from promoter.sites.formats import EVERYWHERE
from promoter.sites.kustomize_create import add_image
from promoter.sites.model import read_manifest
from promoter.yamltext import EditError, Scalar

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "reference", "role", "before", "after"),
    [
        ("${A:-x.io/a:1}", "x.io/a:1", "reference", "${A:-", "}"),
        ("${A-x.io/a:1}", "x.io/a:1", "reference", "${A-", "}"),
        ("${A:=a}", "a", "reference", "${A:=", "}"),
        ("${A:-${B:-x/a:1}}", "x/a:1", "reference", "${A:-${B:-", "}}"),
        ("x/a:${T:-1}", "x/a:1", "tag", "x/a:${T:-", "}"),
        ("${R:-x.io}/a:1", "x.io/a:1", "tag", "${R:-x.io}/a:", ""),
        (f"${{R:-x.io}}/a@{DIGEST}", f"x.io/a@{DIGEST}", "digest", "${R:-x.io}/a@", ""),
    ],
)
def test_a_default(text: str, reference: str, role: str, before: str, after: str) -> None:
    found = interpolation.read(Scalar(text, 0, len(text), "", 1, 0))
    assert found is not None
    assert str(found[0]) == reference
    assert (found[1].role, found[1].before, found[1].after) == (role, before, after)


@pytest.mark.parametrize(
    "text",
    [
        "${A}",
        "$A/a:1",
        "${A}/a:1",
        "${A:?no}",
        "${A:+x/a:1}",
        "${A:-x/a:1",
        "${A:-}",
        "x/a:${T:-1}-b",
        "x}",
        "a$$b",
    ],
)
def test_no_default(text: str) -> None:
    assert interpolation.read(Scalar(text, 0, len(text), "", 1, 0)) is None


CHART = {"charts/api/Chart.yaml", "charts/api/values.yaml", "charts/values.yaml", "values.yaml"}


@pytest.mark.parametrize(
    ("path", "bases"),
    [
        ("charts/api/values-staging.yaml", ["charts/api/values.yaml"]),
        ("charts/api/env/staging/values.yaml", ["charts/api/values.yaml"]),
        ("charts/api/values/staging.yaml", ["charts/api/values.yaml"]),
        ("charts/api/values.yaml", []),
        ("charts/staging.yaml", ["charts/values.yaml", "values.yaml"]),
        ("staging/values.yaml", ["values.yaml"]),
        ("values.yaml", []),
        ("a/b/values.yaml", []),
    ],
)
def test_base_files(path: str, bases: list[str]) -> None:
    assert helm_values.bases(path, CHART) == bases
    assert set(bases) <= set(helm_values.looked_for(path))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: x.io/a:1", ["x.io/a:1"]),
        ("a: --image=redis:7", ["redis:7"]),
        ("a: redis:6379", []),
        ("a: x.io/a", []),
        ("a: see x.io/a:1.2.", ["x.io/a:1.2"]),
        ("a: http://x.io/a:1", []),
        ("a: oci://x.io/a:1", ["x.io/a:1"]),
        ("a: 'b: x.io/a:1'", ["x.io/a:1"]),
        ("x.io/a:1: a", []),
        ("a: ${V:-x.io/a:1}", ["x.io/a:1"]),
    ],
)
def test_anywhere(text: str, found: list[str]) -> None:
    sites = find_sites(read_manifest("a.yaml", text.encode()), formats=EVERYWHERE)
    assert [str(site.reference) for site in sites] == found


@pytest.mark.parametrize(
    "text",
    [
        "[a]",
        "",
        "images: ~\n",
        "images: {a: b}\n",
        "images: x\n",
        "images: []\nimages: []\n",
        "{",
        "a: |+\n  b\n\n\n",
    ],
)
def test_no_place_for_an_entry(text: str) -> None:
    with pytest.raises(EditError):
        add_image(text, "x/a", "1", None)


_PIECES = st.lists(
    st.sampled_from(
        [
            "resources:\n- a\n",
            "resources: [a, b] # c\n",
            "  \n",
            "# note\n",
            "patches:\n  - patch: |-\n      - op: add\n",
            "commonLabels: {a: b}\n",
            "images:\n  - name: b\n    newTag: '1'\n\n",
            "images: [{name: b, newTag: c}]\n",
            "images: []\n",
        ]
    ),
    min_size=1,
    max_size=5,
)


@given(pieces=_PIECES, crlf=st.booleans(), cut=st.booleans())
def test_a_new_entry_leaves_the_rest(pieces: list[str], crlf: bool, cut: bool) -> None:
    text = "".join(dict.fromkeys(pieces))
    text = text.removesuffix("\n") if cut else text
    text = text.replace("\n", "\r\n") if crlf else text
    if text.count("images:") > 1 or not isinstance(yaml.safe_load(text), dict):
        return
    edited = add_image(text, "x.io/a", "1.10", None)
    before, after = yaml.safe_load(text), yaml.safe_load(edited)
    assert after == {
        **before,
        "images": [*(before.get("images") or []), {"name": "x.io/a", "newTag": "1.10"}],
    }
    assert ("\r\n" in edited) == ("\r\n" in text) or "\n" not in text
    assert not crlf or not re.search(r"(?<!\r)\n", edited) or "\n" not in text
    assert edited.endswith("\n") == text.endswith("\n")
    rest = iter(edited)
    assert all(character in rest for character in text)
