"""Only the kustomizations on the way to a file are parsed, and that changes nothing about shadowing."""

from __future__ import annotations

import posixpath

from hypothesis import given, settings
from hypothesis import strategies as st

from promoter.discover.includers import Includers
from promoter.sites import find_sites, flux, kustomize, kustomize_build
from promoter.sites.model import ManifestFile, Site, read_manifest

DIRECTORIES = ["", "base", "base/db", "overlays/a", "overlays/b", "components/pin", "a.b-c/d_e"]
NAMES = ["kustomization.yaml", "kustomization.yml", "Kustomization"]
POD = b"kind: Pod\nspec: {containers: [{name: a, image: ghcr.io/acme/api:1.4.2}]}\n"


def _spelt(here: str, target: str, style: int) -> str:
    """A path as people write it: short, with a dot, with a slash at the end, by a detour, quoted."""
    path = posixpath.relpath(target or ".", here or ".")
    detour = f"{path}/../{posixpath.basename(path)}"
    spellings = [path, f"./{path}", f"{path}/", detour, f'"{path}"', f"'{path}'", path.replace("/", "//")]
    return spellings[style % len(spellings)]


@st.composite
def _repositories(draw: st.DrawFn) -> dict[str, bytes]:
    """Kustomizations in some directories that include files and each other, and pods beside them."""
    files: dict[str, bytes] = {}
    chosen = draw(st.lists(st.sampled_from(DIRECTORIES), min_size=1, max_size=6, unique=True))
    for directory in chosen:
        if draw(st.booleans()):
            files[posixpath.join(directory, "pod.yaml")] = POD
    for directory in chosen:
        lines = []
        for key in ("resources", "components"):
            targets = draw(st.lists(st.sampled_from([*chosen, *files]), max_size=3, unique=True))
            if targets:
                style = draw(st.integers(0, 20))
                items = ", ".join(_spelt(directory, target, style) for target in targets)
                lines.append(f"{key}: [{items}]\n")
        if draw(st.booleans()):
            new_tag = ", newTag: 1.4.2" if draw(st.booleans()) else ", newName: ghcr.io/acme/other"
            lines.append(f"images: [{{name: ghcr.io/acme/api{new_tag}}}]\n")
        name = posixpath.join(directory, draw(st.sampled_from(NAMES)))
        files[name] = "".join(lines).encode() or b"{}\n"
    for number in range(draw(st.integers(0, 2))):
        files[f"clusters/{number}.yaml"] = "---\n".join(draw(_applying(chosen))).encode()
    return files


def _applying(directories: list[str]) -> st.SearchStrategy[list[str]]:
    """Flux Kustomizations that build some of the directories."""

    @st.composite
    def one(draw: st.DrawFn) -> str:
        path = _spelt("", draw(st.sampled_from(directories)), draw(st.integers(0, 20)))
        key = draw(st.sampled_from(["path", '"path"', "'path' "]))
        written = f"  {key}: {path}\n" if draw(st.booleans()) else ""
        new_tag = ", newTag: 1.4.2" if draw(st.booleans()) else ", newName: ghcr.io/acme/other"
        images = f"  images: [{{name: ghcr.io/acme/api{new_tag}}}]\n" if draw(st.booleans()) else ""
        head = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec:\n"
        return f"{head}  prune: true\n{written}{images}"

    return st.lists(one(), min_size=1, max_size=3)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(_repositories())
def test_the_same_sites_are_shadowed_as_with_all_kustomizations_at_hand(files: dict[str, bytes]) -> None:
    read: dict[str, ManifestFile] = {path: read_manifest(path, data) for path, data in sorted(files.items())}
    sites: list[Site] = [site for file in read.values() for site in find_sites(file)]
    kustomizations = [file for file in read.values() if kustomize.is_kustomization(file.path)]
    contents = {file.path: files[file.path] for file in kustomizations}
    applied = {path: data for path, data in sorted(files.items()) if flux.APPLIES in data}
    parsed = [file for path, file in read.items() if path in contents and b"acme/api" in files[path]]
    overlays = [overlay for path in applied for overlay in flux.overlays(read[path])]
    expected = kustomize_build.shadow(sites, kustomizations, overlays)
    found = Includers(contents, parsed, applied).shadow(sites)
    assert [site.shadowed_by for site in found] == [site.shadowed_by for site in expected]
