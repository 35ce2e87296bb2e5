"""Programs that some tests need and a person's machine may lack."""

import os
import shutil

import pytest


def need(package: str, *programs: str) -> None:
    """Leave the test out where a program is absent, naming the package that brings it; in CI it fails."""
    absent = [name for name in programs if shutil.which(name) is None]
    if not absent:
        return
    reason = f"{', '.join(absent)} absent: install Debian's package {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
