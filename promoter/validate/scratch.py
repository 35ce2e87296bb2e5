"""How a root is rendered: its files in a scratch directory, and the program that reads them.

Nothing else of the repository is there, no link, nothing to fetch with and nothing of the user's.
Flags: kubectl.docs.kubernetes.io/references/kustomize/cmd/build and helm.sh/docs/helm/helm_template.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.errors import UnreachableError
from promoter.git.door import machine_failure, spawn
from promoter.validate.chart_links import put_in_place
from promoter.validate.limited import Job, Ran
from promoter.validate.listing import is_ordinary
from promoter.validate.program import find_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.validate.reach import Look, Reach
    from promoter.validate.roots import Root

MOST_BYTES = 128 << 20  # of the files that one root is made from
_NOBODY = "http://127.0.0.1:9"  # the port that discards: what goes to the network ends there at once
_MOST_SAID = 600  # characters of a program's complaint
_RELEASE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?")  # what Helm takes for a name
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Programs:
    """What renders here: the first words of `kustomize build`, and of helm; empty where absent."""

    kustomize: tuple[str, ...] = ()
    helm: str = ""

    @classmethod
    def on(cls, environ: Mapping[str, str]) -> Programs:
        """Those on the caller's PATH; kubectl has a kustomize of its own."""
        names = ("kustomize", "kubectl", "helm")
        kustomize, kubectl, helm = (str(find_program(name, environ) or "") for name in names)
        if kustomize:
            return cls((kustomize, "build"), helm)
        return cls((kubectl, "kustomize") if kubectl else (), helm)

    def absent(self, root: Root, reach: Reach) -> str | None:
        """The program that the root needs and that is not here."""
        if root.tool == "kustomize" and not self.kustomize:
            return "kustomize"
        return "helm" if (root.tool == "helm" or reach.inflates) and not self.helm else None


def absence(program: str) -> UnreachableError:
    """The error that says how to get a program."""
    try:
        with spawn((program,), directory=Path("/"), environment={"PATH": "/nonexistent"}):
            pass
    except UnreachableError as error:
        return error
    return UnreachableError(f"the program {program} is not on PATH", reason=f"{program}-absent")


@dataclass(frozen=True)
class Rendered:
    """What became of a root: its text, or why there is none.

    ``is_error`` says that its own files are to blame, not this machine and nothing that is elsewhere.
    """

    root: Root
    text: str | None = None
    problem: str | None = None
    is_error: bool = False


def hindrance(root: Root, reach: Reach) -> str | None:
    """Why a root cannot be rendered here, told by its files."""
    if root.problem is not None:
        return root.problem
    if reach.problems:
        return str(reach.problems[0])
    if root.tool == "helm" and not _RELEASE.fullmatch(root.release):
        return f"{root.release!r} is no name for a release"
    if root.tool == "helm" and root.namespace and not _NAMESPACE.fullmatch(root.namespace):
        return f"{root.namespace!r} is no name for a namespace"
    return None


# --- files --------------------------------------------------------------------------------------


def files_of(root: Root, reach: Reach, look: Look) -> dict[str, str]:
    """Where each file is put, relative to the scratch directory, and which file of the repository it is."""
    files = {f"files/{path}": path for path in reach.came}
    for chart in reach.charts:
        directory = posixpath.join("files", posixpath.dirname(chart))
        for target, source in put_in_place(chart, look.contents, look.listing):
            files.setdefault(f"{directory}/{target}", source)
    files |= {f"values/{number}.yaml": path for number, path in enumerate(root.values)}
    return files


def materialise(scratch: Path, root: Root, files: Mapping[str, str], contents: Mapping[str, bytes]) -> None:
    """Write the files of a root below a directory of its own. Raises UnreachableError: the disk is full."""
    written = {target: contents[source] for target, source in files.items()}
    written |= {f"inline/{number}.yaml": text.encode("utf-8") for number, text in enumerate(root.inline)}
    if not root.own_values:
        written[posixpath.join("files", root.directory, "values.yaml")] = b"{}\n"
    try:
        for name in ("files", "home", "nothing"):
            (scratch / name).mkdir(parents=True, exist_ok=True)
        for target, content in written.items():
            if is_ordinary(target):
                path = scratch / target
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except OSError as error:
        raise machine_failure(error) from None


# --- programs ------------------------------------------------------------------------------------


def job(scratch: Path, root: Root, reach: Reach, programs: Programs, kubernetes: str | None) -> Job:
    """The program that renders a root whose files are in place."""
    arguments = (
        _kustomize(scratch, root, reach, programs)
        if root.tool == "kustomize"
        else _helm(root, programs, kubernetes)
    )
    return Job(tuple(arguments), scratch / "files", _environment(scratch))


def _kustomize(scratch: Path, root: Root, reach: Reach, programs: Programs) -> Sequence[str]:
    # An absolute path: kustomize takes none for the address of a repository.
    options = [str(scratch / "files" / root.directory)]
    if reach.above:
        options.append("--load-restrictor=LoadRestrictionsNone")
    if reach.inflates:
        options += ["--enable-helm", f"--helm-command={programs.helm}"]
    return [*programs.kustomize, *options]


def _helm(root: Root, programs: Programs, kubernetes: str | None) -> Sequence[str]:
    options = ["--include-crds"] if root.with_crds else []
    options += [f"--namespace={root.namespace}"] if root.namespace else []
    options += [f"--kube-version={kubernetes}"] if kubernetes else []
    options += [f"--values=../values/{number}.yaml" for number in range(len(root.values))]
    options += [f"--values=../inline/{number}.yaml" for number in range(len(root.inline))]
    options += [f"{option}={argument}" for option, argument in root.parameters]
    chart = f"./{root.directory}"  # relative names: helm splits some of its arguments at commas
    return [programs.helm, "template", root.release, chart, *options]


def _environment(scratch: Path) -> dict[str, str]:
    """All that a renderer knows: a home of its own, no program but itself, no way to the network."""
    home = str(scratch / "home")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {
        "PATH": str(scratch / "nothing"),  # kustomize fetches with the git that it finds
        "HOME": home,
        "TMPDIR": home,
        "LC_ALL": "C",
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_CONFIG_HOME": f"{home}/config",
        "XDG_DATA_HOME": f"{home}/data",
        "HELM_CACHE_HOME": f"{home}/cache",
        "HELM_CONFIG_HOME": f"{home}/config",
        "HELM_DATA_HOME": f"{home}/data",
        "HELM_PLUGINS": str(scratch / "nothing"),
        "KUSTOMIZE_PLUGIN_HOME": str(scratch / "nothing"),
        "KUBECONFIG": "/dev/null",
        "GIT_ALLOW_PROTOCOL": "none",
        **dict.fromkeys(proxies, _NOBODY),
        **{name.lower(): _NOBODY for name in proxies},
    }


def rendered(root: Root, ran: Ran, scratch: Path, seconds: float) -> Rendered:
    """What a program made of a root."""
    program = "kustomize" if root.tool == "kustomize" else "helm"
    if ran.stopped == "time":
        return Rendered(root, None, f"{program} had not ended after {seconds:g} seconds")
    if ran.stopped == "output":
        return Rendered(root, None, f"{program} writes more than a render may hold")
    if ran.code != 0:
        said = _said(ran.errors, scratch)
        lack = ran.code < 0 or "out of memory" in ran.errors or "cannot allocate memory" in ran.errors
        return Rendered(root, None, f"{program} fails: {said}", is_error=not lack)
    try:
        return Rendered(root, ran.output.decode("utf-8"))
    except UnicodeDecodeError:
        return Rendered(root, None, f"{program} writes what is not UTF-8", is_error=True)


def _said(errors: str, scratch: Path) -> str:
    """The gist of what a program complains of, without the names of this machine's directories."""
    shortened = errors.replace(f"{scratch}/files/", "").replace(str(scratch), ".")
    lines = [line.strip() for line in shortened.splitlines() if line.strip()]
    lines = [line for line in lines if not line.lower().startswith(("warning", "#", "usage", "use --debug"))]
    text = " ".join(lines).removeprefix("Error: ")
    if len(text) > _MOST_SAID:  # what was done stands at the beginning, what went wrong at the end
        text = f"{text[: _MOST_SAID // 3]} … {text[-_MOST_SAID // 3 * 2 :]}"
    return text or "it does not say why"
