"""How the action gets promoter onto a runner, and what it says where that cannot be."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from promoter import __version__
from tests.action.conftest import IMAGE, GitHub, kustomization
from tests.action.test_act import exit_codes, failing
from tests.support.act import ROOT, ActBench, path_of_a_runner, path_without_uv, the_action, wheels
from tests.support.cli import REPOSITORY

SCRIPTS = ROOT / ".github" / "actions"


def script(name: str, tmp_path: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """One script of the action, as the runner starts it."""
    fixed = {
        "PATH": os.environ["PATH"],
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "RUNNER_TEMP": str(tmp_path),
        "RUNNER_TOOL_CACHE": str(tmp_path / "tools"),
        "RUNNER_OS": "Linux",
        "VERSION": "",
    }
    return subprocess.run(
        [shutil.which("bash") or "bash", str(SCRIPTS / name)],
        env=fixed | dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def planned(tmp_path: Path, **env: str) -> dict[str, str]:
    done = script("plan.sh", tmp_path, env)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "output").read_text().splitlines()[-3:]
    return dict(line.split("=", 1) for line in lines)


def test_with_pip_alone(tmp_path_factory: pytest.TempPathFactory, github: GitHub) -> None:
    root = tmp_path_factory.mktemp("pip")
    bench = ActBench(root, path_without_uv(root))
    assert shutil.which("uv", path=bench.path) is None
    bump = github.step(environment="staging", image=f"{IMAGE}:1.1.0")
    run = GitHub(github.double, github.repo, bench).run(bump, {**bump, "id": "again"})
    assert run.code == 0, run.log
    assert run.outputs("again")["status"] == "unchanged"
    assert github.read() == kustomization("1.1.0")


def test_a_released_version(tmp_path_factory: pytest.TempPathFactory, github: GitHub) -> None:
    """The one that is asked for, not the one at the action's commit, which is broken here."""
    bench = ActBench(tmp_path_factory.mktemp("released"))
    (the_action(bench.root) / "promoter" / "__main__.py").write_text("raise SystemExit(77)\n")
    built = bench.root / "wheels"
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built))
    subprocess.run([sys.executable, *build, str(REPOSITORY)], check=True, capture_output=True, timeout=120)
    for wheel in wheels().iterdir():
        (built / wheel.name).symlink_to(wheel)
    env = {"UV_FIND_LINKS": str(built)}
    bump = github.step(environment="staging", image=f"{IMAGE}:1.1.0")
    released = github.step(environment="staging", image=f"{IMAGE}:1.1.0", version=__version__)
    absent = github.step(environment="staging", image=f"{IMAGE}:1.1.0", version="99.0")
    steps = ({**failing(bump), "id": "own"}, released, {**failing(absent), "id": "absent"})
    run = GitHub(github.double, github.repo, bench).run(*steps, env=env)
    assert run.steps["own"]["outcome"] == "failure"
    assert 77 in exit_codes(run)
    assert run.outputs()["status"] == "promoted", run.log
    assert run.steps["absent"]["outcome"] == "failure"
    assert "promoter==99.0" in run.log


@pytest.mark.parametrize(
    "version", ["-r evil.txt", "1.0 --index-url=http://x", "git+https://x/y", "1.0\n-e .", "./x"]
)
def test_a_version_is_a_number(version: str, tmp_path: Path) -> None:
    done = script("plan.sh", tmp_path, {"VERSION": version})
    assert done.returncode == 2
    assert done.stdout.startswith("::error title=promoter::the input version")
    assert not (tmp_path / "output").exists()


def test_windows_is_refused(tmp_path: Path) -> None:
    done = script("plan.sh", tmp_path, {"RUNNER_OS": "Windows"})
    assert done.returncode == 2
    assert "Linux and macOS" in done.stdout


def test_an_old_python_is_passed_over(tmp_path: Path) -> None:
    """The runner's images keep newer ones in the tool cache; without any the message says what to do."""
    programs = tmp_path / "bin"
    programs.mkdir()
    old = programs / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = script("plan.sh", tmp_path, {"PATH": str(programs)})
    assert done.returncode == 2
    assert "actions/setup-python" in done.stdout

    newer = tmp_path / "tools" / "Python" / "3.12.9" / "x64" / "bin"
    newer.mkdir(parents=True)
    (newer / "python3").symlink_to(sys.executable)
    assert planned(tmp_path, PATH=str(programs))["python"] == str(newer / "python3")


def test_the_folder_is_of_all_that_it_depends_on(tmp_path: Path) -> None:
    first, same, other = planned(tmp_path), planned(tmp_path), planned(tmp_path, VERSION="1.0.0")
    assert first == same
    assert first["folder"].startswith(str(tmp_path))
    assert first["folder"] != other["folder"]
    changed = tmp_path / "action" / "requirements"
    changed.mkdir(parents=True)
    (changed / "runtime.txt").write_text("click==8.1.7\n")
    assert planned(tmp_path, GITHUB_ACTION_PATH=str(changed.parent))["folder"] != first["folder"]


def test_packages_from_a_cache_run_what_stands_at_the_action(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    env = {"PYTHON": plan["python"], "FOLDER": plan["folder"], "PATH": path_of_a_runner()}
    env |= {"UV_FIND_LINKS": str(wheels()), "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "uv")}
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        action = the_action(tmp_path / name)
        done = script("install.sh", tmp_path, env | {"GITHUB_ACTION_PATH": str(action)})
        assert done.returncode == 0, done.stdout + done.stderr
        where = (f"{plan['folder']}/bin/python", "-I", "-c", "import promoter; print(promoter.__file__)")
        found = subprocess.run(where, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == str(action / "promoter" / "__init__.py")


def test_a_package_of_another_content_is_refused(tmp_path: Path) -> None:
    """What the index, a proxy or a cache serves is checked against the lock."""
    served = tmp_path / "served"
    shutil.copytree(wheels(), served)
    click = next(served.glob("click-*.whl"))
    with zipfile.ZipFile(click, "a") as wheel:
        wheel.writestr("click/more.py", "raise SystemExit\n")
    plan = planned(tmp_path)
    env = {
        "PYTHON": plan["python"],
        "FOLDER": plan["folder"],
        "PATH": path_of_a_runner(),
        "UV_FIND_LINKS": str(served),
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }
    done = script("install.sh", tmp_path, env)
    assert done.returncode != 0
    assert "hash" in (done.stdout + done.stderr).lower()
    assert not (Path(plan["folder"]) / ".complete").exists()
