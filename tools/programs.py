#!/usr/bin/env python3
"""Programs that some tests need and that Go and npm bring: built once, into a cache folder of the user's.

`tools/programs.py gitea kubeconform` builds what is not there yet. A version is pinned in exactly one place:
in GO_PACKAGES, in gitea/go.mod or in npm/package.json; what PyPI brings is in requirements/dev.txt.

The cache folder is $PROMOTER_TOOLS, else promoter-tools in the user's cache directory. It has one folder for
each pin, which is complete from the moment it is there: a build works beside it and renames, so that a kill
leaves only what the next build clears away. Old pins stay; the whole folder may be deleted at any time.
"""

import fcntl
import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

# A program of Go's is one line here.
GO_PACKAGES = {
    "actionlint": "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
    "conftest": "github.com/open-policy-agent/conftest@v0.71.1",
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0",
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.8.2",
}
BUILDERS = {"go": "golang-go", "cc": "gcc libc6-dev", "npm": "npm"}  # and Debian's packages that bring them


@dataclass(frozen=True)
class Recipe:
    """How a program is had: `build` fills an empty folder, in which `file` is what the tests use."""

    folder: str  # below the cache folder; another pin has another name
    file: str
    builders: tuple[str, ...]
    build: Callable[[Path], None]


def build_gitea(work: Path) -> None:
    """Gitea, and beside it the folders it reads at run time (STATIC_ROOT_PATH)."""
    package = "code.gitea.io/gitea"
    listing = ("go", "list", "-mod=readonly", "-m", "-f")
    version = run(*listing, "{{.Version}}", package, cwd=HERE / "gitea").strip().removeprefix("v")
    options = ("-tags", "sqlite sqlite_unlock_notify", "-ldflags", f"-X main.Version={version}")
    program = str(work / "gitea")
    run("go", "build", "-mod=readonly", *options, "-o", program, package, cwd=HERE / "gitea", CGO_ENABLED="1")
    source = run(*listing, "{{.Dir}}", package, cwd=HERE / "gitea").strip()  # the build brought it
    run("cp", "-R", *(f"{source}/{static}" for static in ("options", "public", "templates")), str(work))
    run("chmod", "-R", "u+w", str(work))  # Go's module cache is read-only; the copy shall be removable


def build_npm_packages(work: Path) -> None:
    """The packages of npm/package.json as its lock has them; none of them runs a script."""
    for name in (".npmrc", "package.json", "package-lock.json"):
        shutil.copyfile(HERE / "npm" / name, work / name)
    run("npm", "ci", cwd=work)
    for copy in work.rglob("*.deref.json"):  # GitHub's descriptions once more, six times as large: 340 MB
        copy.unlink()


def from_go(name: str, package: str) -> Recipe:
    """A program that `go install` takes as it is."""

    def build(work: Path) -> None:
        run("go", "install", package, cwd=work, GOBIN=str(work), CGO_ENABLED="0")

    return Recipe(f"{name}-{package.rpartition('@')[2]}", name, ("go",), build)


def from_files(
    name: str, file: str, builders: tuple[str, ...], build: Callable[[Path], None], *pins: str
) -> Recipe:
    """A program that files of ours pin; these and the way it is built make the folder's name."""
    content = inspect.getsource(build).encode() + b"".join((HERE / pin).read_bytes() for pin in pins)
    return Recipe(f"{name}-{hashlib.sha256(content).hexdigest()[:12]}", file, builders, build)


RECIPES = {
    "gitea": from_files("gitea", "gitea", ("go", "cc"), build_gitea, "gitea/go.mod", "gitea/go.sum"),
    "npm-packages": from_files(
        "npm-packages", "node_modules", ("npm",), build_npm_packages, "npm/.npmrc", "npm/package-lock.json"
    ),
} | {name: from_go(name, package) for name, package in GO_PACKAGES.items()}


def run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """Run a builder, and return what it prints."""
    settings = os.environ | {"GOWORK": "off"} | environment  # a go.work above the checkout is not ours
    done = subprocess.run(
        command, cwd=cwd, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return done.stdout


def cache() -> Path:
    """The folder of all programs."""
    if chosen := os.environ.get("PROMOTER_TOOLS"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "promoter-tools"


def path(name: str) -> Path:
    """Where a program is, once it is built."""
    recipe = RECIPES[name]
    return cache() / recipe.folder / recipe.file


def absence(name: str) -> str:
    """Why a program is not there, and the command that brings it; empty where it is there."""
    if path(name).exists():
        return ""
    missing = [builder for builder in RECIPES[name].builders if shutil.which(builder) is None]
    if not missing:
        return f"{name} absent: tools/programs.py {name}"
    packages = " ".join(BUILDERS[builder] for builder in missing)
    remedy = "sudo apt-get install" if shutil.which("apt-get") else "install what Debian calls"
    return f"{name} absent, for want of {' and '.join(missing)} to build it: {remedy} {packages}"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Have one build of a program at a time; a killed one lets go of its lock."""
    with (cache() / f"{RECIPES[name].folder}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name} is being built by another process: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(name: str) -> None:
    """Build a program that is not there."""
    recipe = RECIPES[name]
    target = cache() / recipe.folder
    cache().mkdir(parents=True, exist_ok=True)
    with locked(name):
        if target.exists():
            return
        for left in cache().glob(f"{recipe.folder}.part-*"):
            shutil.rmtree(left, ignore_errors=True)
        say(f"building {name}, once: {target}")
        work = Path(tempfile.mkdtemp(prefix=f"{recipe.folder}.part-", dir=cache()))
        try:
            recipe.build(work)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def bring(name: str) -> str:
    """Have a program; returns why it is absent all the same, or nothing."""
    if not absence(name):
        return ""
    if all(shutil.which(builder) for builder in RECIPES[name].builders):
        try:
            build(name)
        except subprocess.CalledProcessError as error:
            said = "\n  ".join(error.stderr.strip().splitlines()[-15:])
            return f"{name} absent: {error.cmd[0]} {error.cmd[1]} failed:\n  {said}"
        except OSError as error:  # such as a cache folder that is not ours to write
            return f"{name} absent: {error}"
    return absence(name)


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main(names: list[str]) -> int:
    """Bring programs by name. In CI an absent one is a failure; elsewhere its tests are skipped."""
    if unknown := [name for name in names if name not in RECIPES]:
        say(f"unknown: {' '.join(unknown)}; there are {' '.join(sorted(RECIPES))}")
        return 2
    reasons = [reason for name in names if (reason := bring(name))]
    for reason in reasons:
        say(reason)
    return 1 if reasons and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
