"""Locate, edit, verify over documents nobody wrote: never a byte outside the scalars, never an exception."""

import functools
import json
import random
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promoter import edit, templates, yamltext
from promoter.edit import StyleError
from promoter.image import ImageReference
from promoter.options import Style
from promoter.sites import find_sites
from promoter.sites.formats import EVERYWHERE, FORMATS
from promoter.sites.model import ManifestFile, Site, UnreadableFileError, read_manifest
from promoter.yamltext import EditError, Scalar

CASES = Path(__file__).parent.parent / "cases"
DIGEST = "sha256:" + "d" * 64
TAGS = ("2.0.1", "9.9.9-new", "1.10", "20240131", "1e3", "v7")
PROFILE = settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# --- what must hold of any file ---------------------------------------------------------------


def check(path: str, data: bytes, tag: str, *, anywhere: bool = False) -> int:
    """Move each site of the file by itself; returns how many moved."""
    formats = EVERYWHERE if anywhere else FORMATS
    try:
        file = read_manifest(path, data)
    except UnreadableFileError:
        return 0
    moved = 0
    for site in find_sites(file, formats=formats):
        named = site.reference.name or not any(part.role == "reference" for part in site.parts)
        if named and site.problem is None and site.shadowed_by is None:
            moved += sum(check_site(file, data, site, *wish, formats) for wish in wishes(site, tag))
    return moved


def wishes(site: Site, tag: str) -> list[tuple[ImageReference, Style]]:
    """The tag, with a digest and without one, in every style."""
    name = site.reference.name
    plain, full = ImageReference(name, tag), ImageReference(name, tag, DIGEST)
    return [(plain, Style()), (plain, Style(drop_digest=True)), (full, Style()), (full, Style(pin=True))]


def check_site(
    file: ManifestFile, data: bytes, site: Site, wanted: ImageReference, style: Style, formats: Any
) -> bool:
    try:
        version = edit.desired(site, wanted, style)
        if version == edit.current(site):
            return False
        edited = edit.edit_file(file, [(site, version)])
    except (EditError, StyleError):
        return False
    again = read_manifest(file.path, edited)
    check_spans(file, again, site)
    after = [one for one in find_sites(again, formats=formats) if is_same(one, site)]
    assert any(edit.current(one) == version for one in after), (edited, site, version)
    back(file, data, again, after, edit.current(site))
    return True


def is_same(one: Site, site: Site) -> bool:
    """The same place: by its name, or, where its own value is a part of that, by its scalar."""
    if one.where == site.where:
        return True
    return bool(one.parts and site.parts) and one.parts[0].scalar.event == site.parts[0].scalar.event


def check_spans(before: ManifestFile, after: ManifestFile, site: Site) -> None:
    """Outside of the site's scalars, outermost first, no character differs."""
    scalars = [part.scalar for part in site.parts]
    if not site.within:
        outside(before.text, after.text, scalars)
        return
    old, new, within = before.text, after.text, site.within
    for depth, outer in enumerate(within):
        outside(old, new, [outer])
        old, new = outer.value, scalar_at(new, outer, template=before.is_template or depth > 0)
    outside(old, new, scalars)


def outside(old: str, new: str, scalars: list[Scalar]) -> None:
    """What lies between the scalars stands in the new text in the same order, the ends at its ends."""
    cuts = sorted({(one.start, one.end) for one in scalars})
    kept, position = [], 0
    for start, end in cuts:
        kept.append(old[position:start])
        position = end
    kept.append(old[position:])
    assert new.startswith(kept[0])
    assert new.endswith(kept[-1])
    place = len(kept[0])
    for piece in kept[1:-1]:
        found = new.find(piece, place)
        assert found >= 0, (piece, new)
        place = found + len(piece)
    assert place <= len(new) - len(kept[-1])


def scalar_at(text: str, old: Scalar, *, template: bool) -> str:
    """The value of the same scalar in the new text."""
    view = templates.mask if template and view_fails(text) else str
    found = [one for root in yamltext.parse(view(text)) for one in scalars_below(root)]
    return next(one.value for one in found if one.event == old.event)


def view_fails(text: str) -> bool:
    try:
        yamltext.parse(text)
    except yamltext.YamlTextError:
        return True
    return False


def scalars_below(node: yamltext.Node) -> list[Scalar]:
    if isinstance(node, Scalar):
        return [node]
    if isinstance(node, yamltext.Mapping):
        return [one for pair in node.pairs for child in pair for one in scalars_below(child)]
    if isinstance(node, yamltext.Sequence):
        return [one for child in node.items for one in scalars_below(child)]
    return []


def back(
    file: ManifestFile, data: bytes, again: ManifestFile, after: list[Site], version: edit.Version
) -> None:
    """Editing back gives a file that reads the same: every scalar has its value again."""
    if len(after) != 1 or version[0] is None:
        return
    try:
        restored = edit.edit_file(again, [(after[0], version)])
    except (EditError, StyleError):
        return
    once_more = read_manifest(file.path, restored)
    assert resolved(once_more, after[0]) == resolved(file, after[0]), (data, restored)


def resolved(file: ManifestFile, site: Site) -> list[str]:
    """What readers make of every scalar, those around an embedded document and the site's own left out."""
    skipped = {scalar.event for scalar in site.within[:1]} or {part.scalar.event for part in site.parts}
    values = [
        yamltext.resolved_text(one)
        for root in file.documents
        for one in scalars_below(root)
        if one.event not in skipped
    ]
    return [*values, *(str(edit.current(one)) for one in find_sites(file) if one.where == site.where)]


# --- documents of every format ----------------------------------------------------------------

names = st.sampled_from(["ghcr.io/acme/api", "acme/web", "nginx", "reg.io:5000/a/b-c", "docker.io/library/x"])
tags = st.sampled_from(["1.4.2", "1.10", "v2", "latest", "20240101", "1e5", "0x1f", "yes", "a_b-c"])
digests = st.just("sha256:" + "a" * 64)
references = st.one_of(
    st.builds("{}:{}".format, names, tags),
    st.builds("{}@{}".format, names, digests),
    st.builds("{}:{}@{}".format, names, tags, digests),
    names,
)


@st.composite
def scalars(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    """A value in one of the ways to write it."""
    value = draw(values)
    forms = [value, value, f"'{value}'", f'"{value}"', f"!!str {value}", f"&a {value}", "*a"]
    forms += [f"{value}  # a comment", f"\n{{in}}  {value}", f"|-\n{{in}}  {value}", f">-\n{{in}}  {value}"]
    forms += [f"${{V:-{value}}}".replace("{", "{{").replace("}", "}}"), '"{{{{ .Values.tag }}}}"', "", "~"]
    forms.append(json.dumps(value).replace("/", "\\/", 1))
    return draw(st.sampled_from(forms))


SHAPES = (
    "containers:\n- name: x\n  image: R\n- image: R\n  name: y",
    "image: R",
    "image:\n  repository: N\n  tag: T",
    "image:\n  registry: ghcr.io\n  repository: acme/api\n  tag: T\n  digest: D",
    "image: {{repository: N, tag: 'T1', digest: ''}}",
    "images:\n- name: N\n  newTag: T\n- name: N\n  newName: N\n  digest: D",
    "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec: {{images: [{{name: a}}]}}",
    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nspec:\n url: oci://a/b\n ref: {{tag: T1}}",
    "kind: Application\nspec:\n  source:\n    kustomize:\n      images:\n      - R\n      - old=R",
    "helm:\n  parameters:\n  - name: image.repository\n    value: N\n  - name: image.tag\n    value: T",
    "params:\n- name: image\n  value: R\n- {{name: IMAGE, value: R1}}",
    "resolver: bundles\nparams:\n- name: bundle\n  value: R",
    "apiImage: N\napiImageTag: T\nwebImage: R",
    "baseImage: N\nversion: T\nsha: " + "b" * 64,
    "a: &m\n  image: R\nb:\n  <<: *m\n  tag: T",
    'tag: T1 # {{"$imagepolicy": "flux:api:tag"}}\nweb:\n  image: R1 # {{"$imagepolicy": "flux:web"}}',
    "args:\n- --image=R1\n- R1",
    "{{{{- if .Values.on }}}}\nimage: R1\n{{{{- end }}}}",
    "sops:\n  mac: x",
    "- - image: R\n- [{{image: R1}}, x]",
    "? image\n: R",
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A document of one shape, or one inside of a string of another."""
    text = draw(st.sampled_from(SHAPES))
    for mark, values in (("R", references), ("N", names), ("T", tags), ("D", digests)):
        while f" {mark}1" in text or f"={mark}1" in text or f"'{mark}1'" in text:
            text = text.replace(f"{mark}1", draw(values), 1)
        lines = []
        for line in text.split("\n"):
            indent = " " * (len(line) - len(line.lstrip(" -")))
            head, found, tail = line.rpartition(mark)
            if found and not tail and head[-1:] in (" ", "="):
                value = draw(scalars(values)).replace("{in}", indent)
                lines.append(head + value)
            else:
                lines.append(line)
        text = "\n".join(lines)
    text = text.replace("{{", "{").replace("}}", "}") + "\n"
    wrapping = draw(st.sampled_from(("no", "no", "block", "json", "indent", "list")))
    if wrapping == "block":
        header = draw(st.sampled_from(("|", "|-", "|+", "|2", ">")))
        return f"data:\n  values.yaml: {header}\n" + indented(text, "    ")
    if wrapping == "json":
        inner = {"image": draw(references), "n": [{"image": {"repository": draw(names), "tag": draw(tags)}}]}
        dumped = json.dumps(inner, indent=draw(st.sampled_from((None, 1))))
        quoted = draw(st.sampled_from((json.dumps(dumped), "'" + dumped + "'", dumped)))
        return f"annotation: {quoted}\n" if "\n" not in quoted else quoted + "\n"
    if wrapping == "indent":
        return "spec:\n" + indented(text, draw(st.sampled_from((" ", "   ", "       "))))
    return f"kind: X\nitems:\n- a: 1\n---\n{text}" if wrapping == "list" else text


def indented(text: str, by: str) -> str:
    return "".join(by + line if line.strip() else line for line in text.splitlines(keepends=True))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(("\n---\n", "", "# c\n"))).join(
        draw(st.lists(documents(), min_size=1, max_size=3))
    )
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("\n", draw(st.sampled_from(("\r\n", "\r", "\x85"))))
    return draw(st.sampled_from((b"", b"", b"\xef\xbb\xbf", b"%YAML 1.1\n---\n"))) + text.encode()


paths = st.sampled_from(("app.yaml", "kustomization.yaml", "values.yaml", "a.json", ".argocd-source.yaml"))


@PROFILE
@given(path=paths, data=files(), tag=st.sampled_from(TAGS), anywhere=st.booleans())
def test_generated_files_change_only_in_their_scalars(
    path: str, data: bytes, tag: str, *, anywhere: bool
) -> None:
    check(path, data, tag, anywhere=anywhere)


# --- files of the cases, spoiled --------------------------------------------------------------


@functools.cache
def case_files() -> list[tuple[str, bytes]]:
    found = sorted(path for path in CASES.glob("*/before/**/*") if path.is_file())
    return [(path.name, path.read_bytes()) for path in found if path.stat().st_size < 4000]


INSERTS = (
    *(b" ", b"\t", b"\n", b"\r", b":", b"- ", b"#", b"'", b'"', b"{", b"}", b"[", b",", b"|", b">", b"&a "),
    *(b"*a", b"!!str ", b"@", b"\\", b"\x00", b"\xc2\x85", b"\xe2\x80\xa8", b"\xff", b"{{", b"}}", b"<<: "),
    *(b"---\n", b"image: nginx:1\n", b"\xf0\x9f\x90\xb3", b"?", b"%"),
)


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """One change of a character or a line."""
    where = chance.randrange(len(data) + 1)
    what = chance.randrange(6)
    if what == 0:
        return data[:where] + data[where + 1 :]
    if what == 1:
        return data[:where] + chance.choice(INSERTS) + data[where:]
    if what == 2:
        return data[:where] + data[where : where + 1] * 2 + data[where + 1 :]
    lines = data.splitlines(keepends=True) or [b""]
    number = chance.randrange(len(lines))
    if what == 3:
        del lines[number]
    elif what == 4:
        lines.insert(chance.randrange(len(lines)), lines[number])
    else:
        lines[number] = chance.choice((b" ", b"  ", b"\t", b"# ")) + lines[number]
    return b"".join(lines)


@PROFILE
@given(number=st.integers(0, 10_000), seed=st.integers(0, 2**32), count=st.integers(0, 4))
def test_spoiled_files_change_only_in_their_scalars(number: int, seed: int, count: int) -> None:
    chance = random.Random(seed)
    listed = case_files()
    path, data = listed[number % len(listed)]
    for _ in range(count):
        data = spoiled(data, chance)
    check(path, data, chance.choice(TAGS), anywhere=chance.random() < 0.3)


def test_the_cases_themselves_are_edited() -> None:
    moved = sum(check(path, data, "9.9.9-new") for path, data in case_files())
    assert moved > 100
