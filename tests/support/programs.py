"""Programs that some tests need and a person's machine may lack: Debian's, and those of tools/programs.py."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from tools.programs import absence, path


def need(package: str, *programs: str) -> None:
    """Leave the test out where a program is absent, naming the package that brings it; in CI it fails."""
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        leave_out(f"{', '.join(absent)} absent: install Debian's package {package}")


def program(name: str) -> Path:
    """A program (or folder) of tools/programs.py; the test is left out where it is absent, in CI it fails."""
    if reason := absence(name):
        leave_out(reason)
    return path(name)


def npm_package(name: str) -> Path:
    """The folder of a package in tools/npm, e.g. `@octokit/openapi`; left out or failing as above."""
    return program("npm-packages") / name


def leave_out(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
