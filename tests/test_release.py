"""What a release consists of, built here as release.yml builds it: the wheel from the source distribution."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from promoter import __version__

ROOT = Path(__file__).parents[1]
SECONDS = 120


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    env = {"PATH": os.environ["PATH"], "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment}
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel; nothing of it comes from the checkout but through the source distribution."""
    work = tmp_path_factory.mktemp("release")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", work, cwd=ROOT)
    with tarfile.open(work / f"promoter-{__version__}.tar.gz") as archive:
        archive.extractall(work, filter="data")
    source = work / f"promoter-{__version__}"
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", work, cwd=source)
    return work / f"promoter-{__version__}-py3-none-any.whl"


def test_the_wheel_holds_what_the_package_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    package, schemas = ROOT / "promoter", ROOT / "schemas"
    wanted = {
        f"promoter/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {
        f"promoter/schemas/{path.relative_to(schemas).as_posix()}"
        for path in schemas.rglob("*")
        if path.is_file()
    }
    assert {
        "promoter/py.typed",
        "promoter/report/board.css",
        "promoter/schemas/outcome.schema.json",
    } <= wanted
    assert wanted - held == set()
    assert {name.partition("/")[0] for name in held} == {"promoter", f"promoter-{__version__}.dist-info"}


def test_the_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    place = tmp_path / "installed"
    run(*pip, "--target", place, wheel, cwd=tmp_path)
    path = {"PYTHONPATH": str(place)}  # which stands before the checkout's own
    where = run(sys.executable, "-c", "import promoter; print(promoter.__file__)", cwd=tmp_path, **path)
    assert Path(where.strip()).is_relative_to(place)
    program = (sys.executable, "-m", "promoter")
    assert run(*program, "--version", cwd=tmp_path, **path).split()[-1] == __version__
    assert '"promoter outcome"' in run(*program, "schema", "print", "outcome", cwd=tmp_path, **path)
    assert "each exactly once" in run(*program, "demo", cwd=tmp_path, **path)


def test_the_tag_is_checked_against_the_version(tmp_path: Path) -> None:
    """The step of release.yml itself, with the right tag and with a wrong one."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))["jobs"]
    [step] = [one["run"] for one in jobs["build"]["steps"] if "TAG" in one.get("env", {})]
    (tmp_path / "promoter").mkdir()
    (tmp_path / "promoter" / "__init__.py").write_bytes((ROOT / "promoter" / "__init__.py").read_bytes())
    assert __version__ in run("bash", "-ec", step, cwd=tmp_path, TAG=f"v{__version__}")
    with pytest.raises(AssertionError):
        run("bash", "-ec", step, cwd=tmp_path, TAG=f"v{__version__}.1")


@pytest.mark.parametrize(
    ("tags", "moved"),
    [(["v1.9.0", "v1.10.0"], True), (["v1.10.0", "v1.11.0"], False), (["v1.10.0", "v1.10.0-rc1"], True)],
)
def test_the_moving_tag_never_goes_backwards(tmp_path: Path, tags: list[str], moved: bool) -> None:
    """The last step of release.yml, with a stand-in for gh that lists these tags."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))["jobs"]
    step = jobs["github"]["steps"][-1]["run"]
    listed = "\n".join(f"refs/tags/{tag}" for tag in tags)
    stub = tmp_path / "gh"
    stub.write_text(f'#!/bin/sh\ncase "$*" in\n*matching-refs*) echo "{listed}" ;;\n*) echo "$@" ;;\nesac\n')
    stub.chmod(0o755)
    settings = {"TAG": "v1.10.0", "GH_REPO": "acme/promoter", "GITHUB_SHA": "f" * 40}
    said = run("bash", "-ec", step, cwd=tmp_path, **settings, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert ("git/refs/tags/v1 -f sha=ffff" in said) == moved
