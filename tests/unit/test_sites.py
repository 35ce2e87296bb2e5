"""Which places of a document are sites, of which image, and what overrides or endangers them."""

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promoter import edit
from promoter.config import KeyPath, parse_key_path
from promoter.image import ImageReference, parse_reference
from promoter.sites import find_sites, is_manifest_name, kustomize, kustomize_build, targets
from promoter.sites.model import ManifestFile, Site, UnreadableFileError, read_manifest, split_tag

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def _file(text: str, path: str = "app.yaml") -> ManifestFile:
    return read_manifest(path, textwrap.dedent(text).replace("DIGEST", DIGEST).encode())


def _sites(text: str, path: str = "app.yaml") -> list[Site]:
    return find_sites(_file(text, path))


def _found(text: str, path: str = "app.yaml") -> list[tuple[str, str, str]]:
    """Format, place and reference of each site."""
    return [
        (site.format, site.where, str(site.reference).replace(DIGEST, "DIGEST"))
        for site in _sites(text, path)
    ]


# --- Whole references ----------------------------------------------------------------------

WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  template:
    spec:
      imagePullSecrets:
      - name: acme/pull-secret
      initContainers:
      - {name: migrate, image: "ghcr.io/acme/migrate:1"}
      containers:
      - name: api
        image: ghcr.io/acme/api:1.4.2
        imagePullPolicy: Always
      - image: nginx
      ephemeralContainers:
      - name: debug
        image: busybox@DIGEST
      volumes:
      - name: models
        image: {reference: ghcr.io/acme/models:7, pullPolicy: Always}
"""
_SPEC = "Deployment/api.spec.template.spec"


def test_a_workload() -> None:
    assert _found(WORKLOAD) == [
        ("container", f"{_SPEC}.initContainers[name=migrate].image", "ghcr.io/acme/migrate:1"),
        ("container", f"{_SPEC}.containers[name=api].image", "ghcr.io/acme/api:1.4.2"),
        ("container", f"{_SPEC}.containers[1].image", "nginx"),
        ("container", f"{_SPEC}.ephemeralContainers[name=debug].image", "busybox@DIGEST"),
        ("image", f"{_SPEC}.volumes[name=models].image.reference", "ghcr.io/acme/models:7"),
    ]


@pytest.mark.parametrize(
    ("text", "where", "reference"),
    [
        ("image: a/b:1", "#0.image", "a/b:1"),
        ("image: a/b", "#0.image", "a/b"),
        ("image: 'a/b:1'", "#0.image", "a/b:1"),
        ("image: a/b:1@DIGEST", "#0.image", "a/b:1@DIGEST"),
        ("services: {web: {image: a/b:1}}", "#0.services.web.image", "a/b:1"),
        ("sidecarImage: a/b:1", "#0.sidecarImage", "a/b:1"),
        ("SIDECAR_IMAGE: a/b:1", "#0.SIDECAR_IMAGE", "a/b:1"),
        ("images: [a/b:1]", "#0.images[0]", "a/b:1"),
        ("images: {api: a/b:1}", "#0.images.api", "a/b:1"),
        ("image: {full: a/b:1}", "#0.image.full", "a/b:1"),
        ("image: {repository: a/b:1}", "#0.image.repository", "a/b:1"),
        ('{"image": "a/b:1"}', "#0.image", "a/b:1"),
        ("---\na: 1\n---\nimage: a/b:1", "#1.image", "a/b:1"),
        ("kind: Job\nmetadata: {name: x}\nimage: a/b:1", "Job/x.image", "a/b:1"),
        ("kind: Job\nmetadata: {generateName: x}\nimage: a/b:1", "#0.image", "a/b:1"),
        ("list: [{name: n, image: a/b:1}]", "#0.list[name=n].image", "a/b:1"),
    ],
)
def test_a_whole_reference(text: str, where: str, reference: str) -> None:
    assert _found(text) == [("image", where, reference)]


@pytest.mark.parametrize(
    "text",
    [
        "name: a/b:1",
        "spec: {source: a/b:1}",
        "image: a/b:1 --flag",
        "image: [[{deep: {er: a/b:1}}]]",
        "image: '{{ .Values.image }}'",
        "image: ''",
        "image:",
        "image: ${IMAGE}",
        "image: Not A Reference",
        "image: https://a.b/c.png",
        "image: {repository: a/b}",
        "image: {registry: a.b/c}",
        "imageRegistry: a.b/c",
        "imagePullPolicy: Always",
        "imagePullSecrets: [{name: acme/pull-secret}]",
        "imagePullSecrets: [acme/pull-secret:1]",
        "global: {imagePullSecrets: [acme/pull-secret]}",
        "image: {pullSecrets: [acme/pull-secret]}",
        "image: {imagePullSecrets: {extra: {name: acme/x:1}}}",
        "a/b:1: image",
        "# image: a/b:1",
        "image: |\n  a/b:1 and more\n",
    ],
)
def test_no_site(text: str) -> None:
    assert _found(text) == []


def test_lines_and_parts() -> None:
    text = "# one\nimage: # two\n  # three\n  'a/b:1'\n"
    (site,) = _sites(text)
    ((part),) = site.parts
    assert (site.line, part.role) == (4, "reference")
    assert text[part.scalar.start : part.scalar.end] == "'a/b:1'"


def test_file_order() -> None:
    sites = _sites("b: {repository: x/y, tag: '1'}\nimage: a/b:1\na: {repo: x/y, tag: '2'}\n")
    assert [site.line for site in sites] == [1, 2, 3]


# --- Fields beside each other ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reference", "roles"),
    [
        ("image: {repository: a/b, tag: v1}", "a/b:v1", ["tag"]),
        ("image: {repository: a/b, tag: '1.10'}", "a/b:1.10", ["tag"]),
        ("image: {repository: a/b, tag: 1.10}", "a/b:1.1", ["tag"]),  # what a reader makes of it
        ("image: {repository: a/b, tag: 010}", "a/b:8", ["tag"]),
        ("image: {repository: a/b, tag: _1}", "a/b:_1", ["tag"]),
        ("image: {repository: a/b, tag: ''}", "a/b", ["tag"]),
        ("image: {repository: a/b, tag: null}", "a/b", ["tag"]),
        ("image: {repository: a/b, tag: }", "a/b", ["tag"]),
        ("image: {registry: r.io, repository: a/b, tag: v1}", "r.io/a/b:v1", ["tag"]),
        ("image: {registry: r.io/, repository: /a/b, tag: v1}", "r.io/a/b:v1", ["tag"]),
        ("image: {registry: '', repository: a/b, tag: v1}", "a/b:v1", ["tag"]),
        ("image: {registry: null, repository: a/b, tag: v1}", "a/b:v1", ["tag"]),
        ("image: {registry: 'r.io:5000', repository: b, tag: v1}", "r.io:5000/b:v1", ["tag"]),
        ("image: {repository: a/b, digest: DIGEST}", "a/b@DIGEST", ["digest"]),
        ("image: {repository: a/b, tag: v1, digest: DIGEST}", "a/b:v1@DIGEST", ["tag", "digest"]),
        ("image: {repository: a/b, tag: v1, digest: ''}", "a/b:v1", ["tag", "digest"]),
        ("image: {repository: a/b, tag: v1, digest: null}", "a/b:v1", ["tag", "digest"]),
        ("image: {repository: a/b, tag: v1@DIGEST}", "a/b:v1@DIGEST", ["tag"]),
        ("image: {repository: a/b, tag: v1@DIGEST, digest: ''}", "a/b:v1@DIGEST", ["tag", "digest"]),
        ("image: {name: a/b, tag: v1}", "a/b:v1", ["tag"]),
        ("image: {repository: a/b, name: x, tag: v1}", "a/b:v1", ["tag"]),
        ("api: {repo: a/b, tag: v1}", "a/b:v1", ["tag"]),
        ("api: {image: a/b, tag: v1}", "a/b:v1", ["tag"]),
        ("api: {image: a/b, imageTag: v1}", "a/b:v1", ["tag"]),
        ("imageRepository: a/b\nimageTag: v1", "a/b:v1", ["tag"]),
        ("imageRegistry: r.io\nimageRepository: a/b\nimageTag: v1", "r.io/a/b:v1", ["tag"]),
        ("imageRepository: a/b\nimageTag: v1\nimageDigest: DIGEST", "a/b:v1@DIGEST", ["tag", "digest"]),
        ('{"image": {"repository": "a/b", "tag": "v1"}}', "a/b:v1", ["tag"]),
        ("image: {repository: a/b, tag: '${TAG:-v1}'}", "a/b:v1", ["tag"]),
        ("image: {repository: a/b, tag: '${TAG:-v1@DIGEST}'}", "a/b:v1@DIGEST", ["tag"]),
        (
            "image: {repository: a/b, tag: '${A:-${B:-v1}}', digest: '${D-DIGEST}'}",
            "a/b:v1@DIGEST",
            ["tag", "digest"],
        ),
        ("image: {repository: a/b, tag: v1, digest: '${D:-${E:-}}'}", "a/b:v1", ["tag", "digest"]),
        ("image: {repository: a/b, tag: v1@DIGEST, sha: ''}", "a/b:v1@DIGEST", ["tag", "digest"]),
    ],
)
def test_fields(text: str, reference: str, roles: list[str]) -> None:
    (site,) = _sites(text)
    assert (site.format, str(site.reference).replace(DIGEST, "DIGEST")) == ("split", reference)
    assert [part.role for part in site.parts] == roles


@pytest.mark.parametrize(
    "text",
    [
        "api: {name: a/b, tag: v1}",  # a bare name names anything
        "image: {repository: a/b}",
        "image: {tag: v1}",
        "image: {tag: alpine}",  # a lone tag, not the image of that name
        "imageTag: alpine",
        "image: {digest: alpine, pullPolicy: always}",
        "image: {repository: [], tag: v1}",
        "image: {repository: a/b, tag: [v1]}",
        "image: {repository: Not One, tag: v1}",
        "api: {repository: 'https://charts.acme.io', tag: v1}",
    ],
)
def test_no_fields(text: str) -> None:
    assert _found(text) == []


def test_a_repository_beside_its_tag_is_no_untagged_reference() -> None:
    assert _found("api: {image: a/b, tag: v1}\nweb: {image: a/c}") == [
        ("split", "#0.api", "a/b:v1"),
        ("image", "#0.web.image", "a/c"),
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1.2", ("1.2", None)),
        ("", (None, None)),
        (f"1.2@{DIGEST}", ("1.2", DIGEST)),
        (f"@{DIGEST}", (None, DIGEST)),
        ("1.2@", ("1.2", None)),
    ],
)
def test_split_tag(text: str, parts: tuple[str | None, str | None]) -> None:
    assert split_tag(text) == parts


# --- kustomize -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "reference", "roles"),
    [
        ("{name: a/b, newTag: v1}", "a/b:v1", ["tag"]),
        ("{name: a/b, newTag: '1.10'}", "a/b:1.10", ["tag"]),
        ("{name: a/b, newTag: 1.10}", "a/b:1.1", ["tag"]),
        ("{name: a/b, newTag: }", "a/b", ["tag"]),
        ("{name: a/b, digest: DIGEST}", "a/b@DIGEST", ["digest"]),
        ("{name: a/b, newTag: v1, digest: DIGEST}", "a/b:v1@DIGEST", ["tag", "digest"]),
        ("{name: a/b, newTag: v1@DIGEST}", "a/b:v1@DIGEST", ["tag"]),
        ("{name: api, newName: r.io/a/b, newTag: v1}", "r.io/a/b:v1", ["tag"]),
        ("{name: api, newName: '', newTag: v1}", "api:v1", ["tag"]),
        ("{newTag: v1, name: a/b}", "a/b:v1", ["tag"]),
    ],
)
@pytest.mark.parametrize("file", ["kustomization.yaml", "deep/down/kustomization.yml", "x/Kustomization"])
def test_an_entry(file: str, entry: str, reference: str, roles: list[str]) -> None:
    (site,) = _sites(f"images:\n- {entry}\n", file)
    assert (site.format, str(site.reference).replace(DIGEST, "DIGEST")) == ("kustomize", reference)
    assert [part.role for part in site.parts] == roles
    assert site.problem is None


@pytest.mark.parametrize(
    ("entries", "kustomize", "flux"),
    [
        ("{name: a/b, newTag: v1}|{name: a/b, newTag: v2}", [2, None], [2, None]),
        ("{name: x, newName: a/b, newTag: v1}|{name: a/b, newTag: v2}", [2, None], [2, None]),
        ("{name: a/b, newTag: v1}|{name: x, newName: a/b, newTag: v2}", [None, None], [None, None]),
        ("{name: a/b, newTag: v1}|{name: a/b, newName: a/c}", [None], [2]),
        # For Flux the last one stands in the place of the first.
        (
            "{name: x, newName: a/b, newTag: v1}|{name: a/b, newTag: v2}|{name: x, newName: a/b, newTag: v3}",
            [2, None, None],
            [3, None, 2],
        ),
    ],
)
def test_an_entry_sees_the_names_of_those_before_it(
    entries: str, kustomize: list[int | None], flux: list[int | None]
) -> None:
    listed = "".join(f"  - {entry}\n" for entry in entries.split("|"))
    head = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec:\n  images:\n"

    def overriding(text: str, path: str, before: int) -> list[int | None]:
        found = [site.shadowed_by for site in find_sites(read_manifest(path, text.encode()))]
        return [int(one.rpartition(":")[2]) - before if one else None for one in found]

    assert overriding(f"images:\n{listed}", "kustomization.yaml", 1) == kustomize
    assert overriding(head + listed, "flux.yaml", 4) == flux


@pytest.mark.parametrize(
    "entry",
    [
        "{name: a/b}",
        "{name: a/b, newName: c/d}",  # names the image, but holds nothing of its version
        "{newTag: v1}",
        "{name: PLACEHOLDER, newTag: v1}",
        "{name: a/b, newTag: [v1]}",
        "a/b",
    ],
)
def test_no_untagged_reference_in_an_entry(entry: str) -> None:
    found = _found(f"images:\n- {entry}\n- {{name: x/y, newTag: v1}}\n", "kustomization.yaml")
    expected = [("kustomize", "#0.images[name=x/y]", "x/y:v1")]
    assert found == (expected if entry.startswith("{") else [("image", "#0.images[0]", "a/b"), *expected])


@pytest.mark.parametrize(
    "entry", ["newTag: v1", "newTag: v1, digest: DIGEST", "newName: c/d", "newTag: [v1]"]
)
def test_an_entry_of_another_format_is_no_untagged_reference(entry: str) -> None:
    assert _found(f"spec:\n  images:\n  - {{name: a/b, {entry}}}\n", "flux.yaml") == []


@pytest.mark.parametrize(
    "entry", ["{name: a/b, newName: 'c/d:1', newTag: v1}", "{name: 'a/b:1', newTag: v1}"]
)
def test_a_name_that_holds_a_tag_is_a_problem(entry: str) -> None:
    (site,) = _sites(f"images:\n- {entry}\n", "kustomization.yaml")
    assert site.problem is not None
    assert "holds a tag" in site.problem


# --- Duplicates ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "count"),
    [
        ("image: a/b:1\nimage: a/b:2\n", 2, 2),
        ("image: a/b:1\nimage: a/b:2\nimage: a/b:3\n", 3, 3),
        ("'image': a/b:1\n\"image\": a/b:2\n", 2, 2),
        ("x:\n  image: a/b:1\nx:\n  image: a/b:2\n", 3, 2),
        ("x:\n  y: {image: a/b:1}\nx: 1\n", 3, 1),
        ('{"image": "a/b:1",\n"image": "a/b:2"}', 2, 2),
        ("image: {repository: a/b, tag: v1,\n tag: v2}\n", 2, 1),
        ("image: {repository: a/b, tag: v1, repository: a/c}\n", 1, 1),
        ("image: {repository: a/b, tag: v1}\nimage: {repository: a/b, tag: v2}\n", 2, 2),
    ],
)
def test_a_key_on_the_path_that_stands_twice(text: str, line: int, count: int) -> None:
    sites = _sites(text)
    problem = f"a key on its path stands twice (again in line {line})"
    assert [site.problem for site in sites] == [problem] * count


@pytest.mark.parametrize(
    ("text", "line", "count"),
    [
        ("images:\n- {name: a/b, newTag: v1, newTag: v2}\n", 2, 1),
        ("images:\n- name: a/b\n  newTag: v1\n  name: a/b\n", 4, 1),
        ("images:\n- {name: a/b, newTag: v1}\nimages:\n- {name: c/d, newTag: v1}\n", 3, 2),
    ],
)
def test_a_key_of_a_kustomization_that_stands_twice(text: str, line: int, count: int) -> None:
    sites = _sites(text, "kustomization.yaml")
    problem = f"a key on its path stands twice (again in line {line})"
    assert [(site.format, site.problem) for site in sites] == [("kustomize", problem)] * count


@pytest.mark.parametrize(
    "text",
    [
        "image: a/b:1\nx: 1\nx: 2\n",
        "image: {repository: a/b, tag: v1, pullPolicy: A, pullPolicy: B}\n",
        "x: {image: a/b:1}\ny: {image: a/b:1}\n",
        "image: a/b:1\n---\nimage: 1\n",
    ],
)
def test_what_stands_twice_elsewhere_is_no_problem(text: str) -> None:
    assert {site.problem for site in _sites(text)} == {None}


# --- Anchors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # One tag of two images: both know of each other.
        (
            "x: &t v1\na: {repository: r/a, tag: *t}\nb: {repository: r/b, tag: *t}\n",
            {"r/a:v1": ("r/b",), "r/b:v1": ("r/a",)},
        ),
        # One tag of one image in two places: nobody else's.
        ("a: {repository: r/a, tag: &t v1}\nb: {repository: r/a, tag: *t}\n", {"r/a:v1": ()}),
        # A merge key brings the tag of the base along.
        (
            "a: &a {repository: r/a, tag: v1}\nb: {<<: *a, repository: r/b}\nc: {<<: *a, tag: v2}\n",
            {"r/a:v1": ("r/b",), "r/b:v1": ("r/a",), "r/a:v2": ()},
        ),
        (
            "- {repo: r/a, tag: &t v1}\n- {repo: r/b, tag: *t}\n- {repo: r/c, tag: *t}\n- {repo: d, tag: x}",
            {"r/a:v1": ("r/b", "r/c"), "r/b:v1": ("r/a", "r/c"), "r/c:v1": ("r/a", "r/b"), "d:x": ()},
        ),
        ("a: {image: &i 'r/a:v1'}\nb: {image: *i}\n", {"r/a:v1": ()}),
    ],
)
def test_shares(text: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert {str(site.reference): site.shares for site in _sites(text)} == expected


def test_an_anchored_collection_is_walked_once() -> None:
    assert _found("base: &b\n  image: a/b:1\none: *b\ntwo: {<<: *b}\n") == [
        ("image", "#0.base.image", "a/b:1")
    ]


# --- Targets ---------------------------------------------------------------------------------

IMAGE = ImageReference("ghcr.io/acme/api", "1.5.0", OTHER)


def _path(text: str | None) -> KeyPath | None:
    return None if text is None else parse_key_path(text)


def _target(
    text: str, *, tag: str | None = None, digest: str | None = None, reference: str | None = None
) -> Site | None:
    return targets.site(
        _file(text, "any.name"), IMAGE, tag=_path(tag), digest=_path(digest), reference=_path(reference)
    )


@pytest.mark.parametrize(
    ("text", "tag", "digest", "where", "reference"),
    [
        ("tag: v1", "tag", None, "#0.tag", ":v1"),
        ("a: {b: {c: 1.10}}", "a.b.c", None, "#0.a.b.c", ":1.1"),
        ("a: [x, v1]", "a[1]", None, "#0.a[1]", ":v1"),
        ("- {name: db, tag: no}\n- {name: api, tag: v1}", "[name=api].tag", None, "#0[name=api].tag", ":v1"),
        ("a:\n- {key: x, tag: v1}", "a[key=x].tag", None, "#0.a[0].tag", ":v1"),
        ("t: v1\nd: DIGEST", "t", "d", "#0.t", ":v1@DIGEST"),
        ("d: DIGEST", "t", "d", "#0.d", "@DIGEST"),
        ("t:", "t", "d", "#0.t", ""),
        ("other: 1\n---\nkind: K\nmetadata: {name: n}\ntag: v1", "tag", None, "K/n.tag", ":v1"),
        ("tag: {no: scalar}\n---\ntag: v1", "tag", None, "#1.tag", ":v1"),
        ("x: &x {tag: v1}\na: {<<: *x}", "a.tag", None, "#0.a.tag", ":v1"),
        ("x: &x [{tag: v1}]\na: *x", "a[0].tag", None, "#0.a[0].tag", ":v1"),
    ],
)
def test_a_target(text: str, tag: str | None, digest: str | None, where: str, reference: str) -> None:
    site = _target(text, tag=tag, digest=digest)
    assert site is not None
    assert (site.format, site.where, site.problem) == ("target", where, None)
    assert str(site.reference).replace(DIGEST, "DIGEST") == "ghcr.io/acme/api" + reference


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("tag: v1", "other"),
        ("a: v1", "a.b"),
        ("a: {b: v1}", "a"),
        ("a: [v1]", "a[1]"),
        ("a: {0: v1}", "a[0]"),
        ("a: [{name: x, tag: v1}]", "a[name=y].tag"),
        ("a: [x]", "a[name=x]"),
        ("a: [v1]", "a.tag"),
        ("", "tag"),
    ],
)
def test_no_target(text: str, tag: str) -> None:
    assert _target(text, tag=tag) is None
    assert _target(text, reference=tag) is None


@pytest.mark.parametrize(
    ("text", "reference", "problem"),
    [
        ("r: ghcr.io/acme/api:1", "ghcr.io/acme/api:1", None),
        ("r: ghcr.io/acme/api", "ghcr.io/acme/api", None),
        ("r: ghcr.io/acme/web:1", "ghcr.io/acme/web:1", "holds 'ghcr.io/acme/web:1', no reference of"),
        ("r: v1 or so", "ghcr.io/acme/api", "holds 'v1 or so', no reference of ghcr.io/acme/api"),
        ("r: ghcr.io/acme/api:1\nr: ghcr.io/acme/api:2", "ghcr.io/acme/api:1", "again in line 2"),
    ],
)
def test_a_target_that_is_a_reference(text: str, reference: str, problem: str | None) -> None:
    site = _target(text, reference="r")
    assert site is not None
    assert str(site.reference) == reference
    assert [part.role for part in site.parts] == ["reference"]
    assert (site.problem is None) if problem is None else problem in (site.problem or "")


@pytest.mark.parametrize(
    ("text", "tag", "digest"),
    [
        ("a: {t: v1}\na: {t: v2}\n", "a.t", None),
        ("a: {t: v1,\n t: v2}\n", "a.t", None),
        ("a: {t: v1, d: DIGEST,\n d: DIGEST}\n", "a.t", "a.d"),
        ("a: [{t: v1,\n t: v2}]\n", "a[0].t", None),
    ],
)
def test_a_target_on_a_key_that_stands_twice(text: str, tag: str, digest: str | None) -> None:
    site = _target(text, tag=tag, digest=digest)
    assert site is not None
    assert site.problem == "a key on its path stands twice (again in line 2)"


# --- Shadowing ---------------------------------------------------------------------------------

DEPLOYMENT = (
    "kind: Deployment\nmetadata: {name: api}\nspec: {containers: [{name: api, image: 'acme/api:1'}]}\n"
)
POD_SITE = "base/deployment.yaml"


def _shadows(files: dict[str, str]) -> dict[str, str | None]:
    """What overrides each site, by its file and, in a kustomization, its image."""
    read = [_file(text, path) for path, text in files.items()]
    sites = [site for file in read for site in find_sites(file)]
    kustomizations = [file for file in read if kustomize.is_kustomization(file.path)]
    shadowed = kustomize_build.shadow(sites, kustomizations)
    assert [site.parts for site in shadowed] == [site.parts for site in sites]
    return {
        f"{site.file} {site.reference}" if site.format == "kustomize" else site.file: site.shadowed_by
        for site in shadowed
    }


BASE = {POD_SITE: DEPLOYMENT, "base/kustomization.yaml": "resources: [deployment.yaml]\n"}
ENTRY = "images:\n- {name: acme/api, newTag: '2'}\n"


@pytest.mark.parametrize(
    ("kustomization", "shadowed_by"),
    [
        (f"resources: [deployment.yaml]\n{ENTRY}", "base/kustomization.yaml:3"),
        (f"resources: [./deployment.yaml]\n{ENTRY}", "base/kustomization.yaml:3"),
        (f"bases: [../base/deployment.yaml]\n{ENTRY}", "base/kustomization.yaml:3"),
        (
            "resources: [deployment.yaml]\nimages: [{name: acme/api, digest: DIGEST}]",
            "base/kustomization.yaml:2",
        ),
        ("resources: [deployment.yaml]\nimages: [{name: acme/api, newName: acme/other}]", None),
        ("resources: [deployment.yaml]\nimages: [{name: acme/api, newTag: ''}]", None),
        ("resources: [deployment.yaml]\nimages: [{name: acme/api}]", None),
        ("resources: [deployment.yaml]\nimages: [{name: docker.io/acme/api, newTag: '2'}]", None),
        ("resources: [deployment.yaml]\nimages: [{name: acme/web, newTag: '2'}]", None),
        ("resources: [deployment.yaml]\n", None),
        (f"resources: [other.yaml]\n{ENTRY}", None),
        (ENTRY, None),
        (
            "bases: [deployment.yaml]\nimages: [{name: acme/api, newName: x/y},\n {name: x/y, newTag: '2'}]",
            "base/kustomization.yaml:3",
        ),
        (
            "bases: [deployment.yaml]\nimages: [{name: acme/api, newName: x}, {name: acme/api, newTag: '2'}]",
            None,  # the first entry has renamed it
        ),
    ],
)
def test_one_kustomization(kustomization: str, shadowed_by: str | None) -> None:
    found = _shadows({POD_SITE: DEPLOYMENT, "base/kustomization.yaml": kustomization})
    assert found[POD_SITE] == shadowed_by


def test_an_overlay_over_a_base() -> None:
    found = _shadows(BASE | {"prod/kustomization.yaml": f"resources: [../base]\n{ENTRY}"})
    assert found == {POD_SITE: "prod/kustomization.yaml:3", "prod/kustomization.yaml acme/api:2": None}


def test_overlays_over_overlays() -> None:
    found = _shadows(
        BASE
        | {
            "mid/kustomization.yaml": f"resources: [../base]\n{ENTRY}",
            "top/kustomization.yml": "resources: [../mid]\nimages: [{name: acme/api, newTag: '3'}]\n",
            "above/Kustomization": "resources: [../top]\nnamespace: x\n",
        }
    )
    assert found == {
        POD_SITE: "top/kustomization.yml:2",
        "mid/kustomization.yaml acme/api:2": "top/kustomization.yml:2",
        "top/kustomization.yml acme/api:3": None,
    }


def test_an_overlay_sees_the_name_that_the_inner_one_wrote() -> None:
    inner = "resources: [../base]\nimages: [{name: acme/api, newName: r.io/api, newTag: '2'}]\n"
    by_new_name = "resources: [../mid]\nimages: [{name: r.io/api, newTag: '3'}]\n"
    by_old_name = "resources: [../mid]\nimages: [{name: acme/api, newTag: '3'}]\n"
    files = BASE | {"mid/kustomization.yaml": inner}
    found = _shadows(files | {"top/kustomization.yaml": by_new_name})
    assert found["mid/kustomization.yaml r.io/api:2"] == "top/kustomization.yaml:2"
    assert found[POD_SITE] == "top/kustomization.yaml:2"
    found = _shadows(files | {"top/kustomization.yaml": by_old_name})
    assert found["mid/kustomization.yaml r.io/api:2"] is None
    assert found[POD_SITE] == "mid/kustomization.yaml:2"


def test_a_chain_of_new_names() -> None:
    found = _shadows(
        BASE
        | {
            "a/kustomization.yaml": "resources: [../base]\nimages: [{name: acme/api, newName: one/api}]\n",
            "b/kustomization.yaml": "resources: [../a]\nimages: [{name: one/api, newName: two/api}]\n",
            "c/kustomization.yaml": "resources: [../b]\nimages: [{name: two/api, newTag: '3'}]\n",
        }
    )
    assert found[POD_SITE] == "c/kustomization.yaml:2"


def test_a_root_that_overrides_nothing_leaves_the_site_effective() -> None:
    overriding = {"prod/kustomization.yaml": f"resources: [../base]\n{ENTRY}"}
    plain = {"staging/kustomization.yaml": "resources: [../base]\n"}
    assert _shadows(BASE | overriding)[POD_SITE] == "prod/kustomization.yaml:3"
    assert _shadows(BASE | overriding | plain)[POD_SITE] is None


def test_two_ways_of_one_root() -> None:
    files = BASE | {
        "one/kustomization.yaml": f"resources: [../base]\n{ENTRY}",
        "two/kustomization.yaml": "resources: [../base]\nnameSuffix: -two\n",
        "top/kustomization.yaml": "resources: [../one, ../two]\n",
    }
    assert _shadows(files)[POD_SITE] is None
    files["two/kustomization.yaml"] += "images: [{name: acme/api, newTag: '3'}]\n"
    assert _shadows(files)[POD_SITE] == "one/kustomization.yaml:3"


COMPONENT = "kind: Component\nimages: [{name: acme/api, newTag: '9'}]\n"


def test_a_component_overrides_what_was_gathered_before_it() -> None:
    found = _shadows(
        BASE
        | {
            "mid/kustomization.yaml": f"resources: [../base]\n{ENTRY}",
            "part/kustomization.yaml": COMPONENT,
            "top/kustomization.yaml": "resources: [../mid]\ncomponents: [../part]\n",
        }
    )
    assert found == {
        POD_SITE: "part/kustomization.yaml:2",
        "mid/kustomization.yaml acme/api:2": "part/kustomization.yaml:2",
        "part/kustomization.yaml acme/api:9": None,
    }


def test_a_kustomization_runs_after_its_components() -> None:
    found = _shadows(
        BASE
        | {
            "part/kustomization.yaml": COMPONENT,
            "top/kustomization.yaml": f"resources: [../base]\ncomponents: [../part]\n{ENTRY}",
        }
    )
    assert found == {
        POD_SITE: "top/kustomization.yaml:4",
        "part/kustomization.yaml acme/api:9": "top/kustomization.yaml:4",
        "top/kustomization.yaml acme/api:2": None,
    }


@pytest.mark.parametrize(
    ("components", "first", "second"),
    [
        ("../one, ../two", "two/kustomization.yaml:2", None),
        ("../two, ../one", None, "one/kustomization.yaml:2"),
    ],
)
def test_a_component_overrides_the_ones_before_it(
    components: str, first: str | None, second: str | None
) -> None:
    found = _shadows(
        BASE
        | {
            "one/kustomization.yaml": COMPONENT.replace("9", "8"),
            "two/kustomization.yaml": COMPONENT,
            "top/kustomization.yaml": f"resources: [../base]\ncomponents: [{components}]\n",
        }
    )
    assert found["one/kustomization.yaml acme/api:8"] == first
    assert found["two/kustomization.yaml acme/api:9"] == second
    assert found[POD_SITE] == first or second


def test_a_component_within_a_component() -> None:
    found = _shadows(
        BASE
        | {
            "inner/kustomization.yaml": COMPONENT,
            "outer/kustomization.yaml": "kind: Component\ncomponents: [../inner]\n",
            "top/kustomization.yaml": "resources: [../base]\ncomponents: [../outer]\n",
        }
    )
    assert found == {POD_SITE: "inner/kustomization.yaml:2", "inner/kustomization.yaml acme/api:9": None}


def test_a_resource_of_a_component() -> None:
    found = _shadows(
        {
            "part/job.yaml": DEPLOYMENT,
            "part/kustomization.yaml": COMPONENT + "resources: [job.yaml]\n",
            "top/kustomization.yaml": "components: [../part]\n",
        }
    )
    assert found == {"part/job.yaml": "part/kustomization.yaml:2", "part/kustomization.yaml acme/api:9": None}


def test_what_kustomize_does_not_rewrite_stays_effective() -> None:
    files = {
        "debug.yaml": "spec: {ephemeralContainers: [{name: d, image: 'acme/api:1'}]}\n",
        "custom.yaml": "spec: {image: 'acme/api:1'}\n",
        "values.yaml": "image: {repository: acme/api, tag: '1'}\n",
        "init.yaml": "spec: {initContainers: [{name: d, image: 'acme/api:1'}]}\n",
        "kustomization.yaml": f"resources: [debug.yaml, custom.yaml, values.yaml, init.yaml]\n{ENTRY}",
    }
    found = _shadows(files)
    assert {path: found[path] for path in list(files)[:4]} == {
        "debug.yaml": None,
        "custom.yaml": None,
        "values.yaml": None,
        "init.yaml": "kustomization.yaml:3",
    }


def test_addresses_and_missing_directories_are_passed_over() -> None:
    remote = "https://github.com/acme/base?ref=v1"
    files = BASE | {"prod/kustomization.yaml": f"resources: [{remote}, ../gone, ../base]\n{ENTRY}"}
    assert _shadows(files)[POD_SITE] == "prod/kustomization.yaml:3"


def test_a_circle_ends() -> None:
    found = _shadows(
        {
            "a/kustomization.yaml": f"resources: [../b]\n{ENTRY}",
            "b/kustomization.yaml": f"resources: [../a]\n{ENTRY}",
            "top/kustomization.yaml": "resources: [../a]\n",
        }
    )
    assert set(found) == {"a/kustomization.yaml acme/api:2", "b/kustomization.yaml acme/api:2"}


# --- Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.yaml", True),
        ("a/b.yml", True),
        ("a.JSON", True),
        ("A.Yaml", True),
        ("x/Kustomization", True),
        ("Kustomization", True),
        ("kustomization", False),
        ("a.yaml.bak", False),
        ("a.txt", False),
        ("yaml", False),
        ("README.md", False),
    ],
)
def test_manifest_names(path: str, expected: bool) -> None:
    assert is_manifest_name(path) is expected


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_all_other_bytes_stay(mark: bytes, end: bytes) -> None:
    data = mark + end.join([b"# \xc3\xa9", b"image: acme/api:1.4.2 # x", b"a:   [b,c]", b""])
    file = read_manifest("a.yaml", data)
    (site,) = find_sites(file)
    edited = edit.edit_file(file, [(site, ("1.5.0", None))])
    assert edited == data.replace(b"1.4.2", b"1.5.0")
    assert edit.edit_file(file, []) == data


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"a: x\nb: \xff\n", 2), (b"a: x\nb: [\n", 3), (b"\xff\xfea\x00:\x00", 1), (b"a: *b\n", 1)],
)
def test_unreadable_files(data: bytes, line: int) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        read_manifest("a.yaml", data)
    assert (caught.value.file, caught.value.line) == ("a.yaml", line)
    assert caught.value.why


# --- Edits of sites --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wanted", "after"),
    [
        ("image: acme/api:1", ("2", None), "image: acme/api:2"),
        ("image: acme/api", ("2", None), "image: acme/api:2"),
        ("image: 'acme/api:1'", ("2", DIGEST), "image: 'acme/api:2@DIGEST'"),
        ("image: acme/api:1@DIGEST", ("2", None), "image: acme/api:2"),
        ("image: acme/api@DIGEST", (None, OTHER), "image: acme/api@OTHER"),
        ("image: {repository: a, tag: v1}", ("v2", None), "image: {repository: a, tag: v2}"),
        ("image: {repository: a, tag: v1}", ("1.10", None), 'image: {repository: a, tag: "1.10"}'),
        ("image: {repository: a, tag: 1.10}", ("1.10", None), 'image: {repository: a, tag: "1.10"}'),
        ("image: {repository: a, tag: 1.10}", ("1.1", None), "image: {repository: a, tag: 1.10}"),
        ("image: {repository: a, tag: }", ("v2", None), "image: {repository: a, tag: v2}"),
        ("image:\n  repository: a\n  tag:\n", ("v2", None), "image:\n  repository: a\n  tag: v2\n"),
        ("image: {repository: a, tag: v1}", ("v2", DIGEST), "image: {repository: a, tag: v2@DIGEST}"),
        (
            "image: {repository: a, tag: v1, digest: ''}",
            ("v2", None),
            "image: {repository: a, tag: v2, digest: ''}",
        ),
        (
            "image: {repository: a, tag: v1, digest: null}",
            ("v2", None),
            "image: {repository: a, tag: v2, digest: null}",
        ),
        (
            "image: {repository: a, tag: ~, digest: DIGEST}",
            (None, OTHER),
            "image: {repository: a, tag: ~, digest: OTHER}",
        ),
        (
            "image: {repository: a, tag: v1, digest: DIGEST}",
            ("v2", None),
            'image: {repository: a, tag: v2, digest: ""}',
        ),
        (
            "image: {repository: a, tag: v1@DIGEST, digest: ''}",
            ("v2", OTHER),
            "image: {repository: a, tag: v2@OTHER, digest: ''}",
        ),
    ],
)
def test_an_edit(before: str, wanted: tuple[str | None, str | None], after: str) -> None:
    file = _file(before)
    (site,) = find_sites(file)
    edited = edit.edit_file(file, [(site, wanted)]).decode()
    assert edited == after.replace("DIGEST", DIGEST).replace("OTHER", OTHER)
    (again,) = find_sites(_file(edited))
    assert edit.current(again) == wanted
    assert edit.replacements(again, wanted) == []


_words = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
_tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}", fullmatch=True)
_shapes = st.sampled_from(
    [
        "image: {name}:{old}\n",
        "image: '{name}:{old}'\n",
        "spec:\n  containers:\n  - name: x\n    image: {name}\n",
        "image:\n  repository: {name}\n  tag: '{old}'\n",
        "image:\n  repository: {name}\n  tag:\n",
        "image: {{registry: r.io, repository: {name}, tag: {old}}}\n",
    ]
)


@settings(deadline=None)
@given(_shapes, _words, _tags, _tags)
def test_an_edit_is_read_back(shape: str, name: str, old: str, new: str) -> None:
    file = _file(shape.format(name=f"acme/{name}", old=old))
    (site,) = find_sites(file)
    edited = _file(edit.edit_file(file, [(site, (new, None))]).decode())
    (again,) = find_sites(edited)
    assert again.where == site.where
    assert again.reference == ImageReference(site.reference.name, new)
    assert parse_reference(str(again.reference)).tag == new
