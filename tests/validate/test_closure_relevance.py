"""Only what may lead to a changed file is parsed, and that changes nothing about what an edit meets."""

import posixpath

from hypothesis import given, settings
from hypothesis import strategies as st

from promoter.config import Environment
from promoter.validate.closure import closure_of
from promoter.validate.listing import Listing
from promoter.validate.reach import Look, explore
from promoter.validate.relevance import leading_to
from promoter.validate.roots import Root
from tests.validate.rendering import CHART, DEPLOYMENT

DIRECTORIES = [
    "",
    "base",
    "base/db",
    "envs/a",
    "envs/b/web",
    "parts/pin",
    "a.b-c/d_e",
    "ümlaut",
    "with space",
]
NAMES = ["kustomization.yaml", "kustomization.yml", "Kustomization"]
ENVIRONMENT = Environment("env", ("envs", "a.b-c"))


def _spelt(here: str, target: str, style: int) -> str:
    """A path as people write it: short, with a dot, with a slash at the end, by a detour, quoted, escaped."""
    path = posixpath.relpath(target or ".", here or ".")
    detour = f"{path}/../{posixpath.basename(path)}"
    escaped = '"' + "".join(f"\\x{ord(one):02x}" if ord(one) < 256 else one for one in path) + '"'
    short = [path, f"./{path}", f"{path}/.", detour, path.replace("/", "//")]
    spellings = [*short, f'"{path}"', f"'{path}'", escaped]
    return spellings[style % len(spellings)]


@st.composite
def _repositories(draw: st.DrawFn) -> dict[str, bytes]:
    """Kustomizations that include files, charts and each other in every way, and what they include."""
    files = {"charts/api/Chart.yaml": CHART.encode(), "charts/api/templates/x.yaml": b"a: b\n"}
    chosen = draw(st.lists(st.sampled_from(DIRECTORIES), min_size=1, max_size=7, unique=True))
    for directory in chosen:
        files[posixpath.join(directory, "pod.yaml")] = DEPLOYMENT.encode()
    manifests = list(files)
    for directory in chosen:
        lines = []
        for key, many in (("resources", [*chosen, *manifests]), ("components", chosen)):
            targets = draw(st.lists(st.sampled_from(many), max_size=3, unique=True))
            style = draw(st.integers(0, 20))
            if targets:
                lines.append(f"{key}: [{', '.join(_spelt(directory, one, style) for one in targets)}]\n")
        patch = draw(st.none() | st.sampled_from(manifests))
        if patch is not None:
            lines.append(f"patches: [{{path: {_spelt(directory, patch, draw(st.integers(0, 20)))}}}]\n")
        if draw(st.integers(0, 5)) == 0:
            home = posixpath.relpath("charts", directory or ".")
            lines.append(f"helmGlobals: {{chartHome: {home}}}\nhelmCharts: [{{name: api}}]\n")
        if draw(st.integers(0, 5)) == 0:
            there = posixpath.relpath("plugin.yaml", directory or ".")
            lines.append(f"generators: [{there}]\n")
            text = "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: a}\nfiles: [pod.yaml]\n"
            files["plugin.yaml"] = text.encode()
        files[posixpath.join(directory, draw(st.sampled_from(NAMES)))] = "".join(lines).encode() or b"{}\n"
    if draw(st.booleans()):
        dependency = "dependencies: [{name: api, version: '1', repository: 'file://../../charts/api'}]\n"
        files["envs/chart/Chart.yaml"] = (CHART + dependency).encode()
    return files


@settings(max_examples=200, deadline=None, derandomize=True)
@given(_repositories(), st.data())
def test_the_same_changed_files_are_met(files: dict[str, bytes], data: st.DataObject) -> None:
    changed = set(data.draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2)))
    listing = Listing(files)
    leads = {path: text for path, text in files.items() if posixpath.basename(path) in (*NAMES, "Chart.yaml")}
    everything = closure_of(ENVIRONMENT, Look(listing, files, deep=False))
    relevant = leading_to(changed, leads, listing)
    pruned = closure_of(ENVIRONMENT, Look(listing, files, deep=False, relevant=relevant))
    assert pruned.reach.came.keys() & changed == everything.reach.came.keys() & changed
    met = {label for label, root in everything.roots.items() if _meets(root, files, listing, changed)}
    assert met <= set(pruned.roots)


def _meets(root: Root, files: dict[str, bytes], listing: Listing, changed: set[str]) -> bool:
    leads = [(lead, None) for lead in root.leads(listing)]
    return bool(explore(leads, Look(listing, files, deep=False)).came.keys() & changed)
