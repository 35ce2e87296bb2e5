"""Run the real program as a process in a clean environment, and read what it said.

The child gets `PATH` and what the caller names, nothing else: no CI variables, no token, no home directory.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-m", "promoter")
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Result:
    """What one run left behind."""

    arguments: Sequence[str]
    code: int
    stdout: str
    stderr: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def document(self) -> Any:
        """The one JSON document on stdout; None where stdout is anything else."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            return None


def environment_of(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The clean environment of a run, with what the caller wants in it."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY),
        **(env or {}),
    }


def start_promoter(
    *args: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    wrapper: Sequence[str] = (),
    **popen: Any,
) -> subprocess.Popen[str]:
    """Start a run in its own process group; the caller waits for it. `popen` goes to Popen.

    `wrapper` is a command that runs the one in its arguments.
    """
    settings: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "encoding": "utf-8",
        "start_new_session": True,
    } | popen
    return subprocess.Popen([*wrapper, *PROGRAM, *args], env=environment_of(env), cwd=cwd, **settings)


def finish(process: subprocess.Popen[str], timeout: float = 60, *, arguments: Sequence[str] = ()) -> Result:
    """Wait for a started run; kills its process group and raises TimeoutExpired where it takes too long."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.communicate()
        raise
    return Result(arguments, process.returncode, stdout or "", stderr or "")


def run_promoter(
    *args: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 60,
    **popen: Any,
) -> Result:
    """One whole run."""
    process = start_promoter(*args, env=env, cwd=cwd, **popen)
    result = finish(process, timeout, arguments=args)
    result.environment = environment_of(env)
    return result
