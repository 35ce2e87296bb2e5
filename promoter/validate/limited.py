"""Programs that look at what others wrote: some at once, each stopped at its limits.

They run through the one subprocess door, in this thread: a signal ends them with the run.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import time
from collections import deque
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal

from promoter.git.door import GitTimeoutError, spawn

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from promoter.deadline import Deadline

_PIECE = 1 << 16
_MOST_SAID = 1 << 16  # bytes of stderr that are kept


@dataclass(frozen=True)
class Limits:
    """What one program may take: seconds, and bytes of output and of memory."""

    seconds: float = 30.0
    output: int = 32 << 20
    memory: int = 2 << 30


@dataclass(frozen=True)
class Job:
    """A program with its arguments, and where and how it runs."""

    arguments: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Ran:
    """How a program ended; ``stopped`` names the limit that it met."""

    code: int
    output: bytes
    errors: str
    stopped: Literal["", "time", "output"] = ""


@dataclass
class _Running:
    number: int
    child: subprocess.Popen[bytes]
    stack: contextlib.ExitStack
    ends: float
    pieces: list[bytes] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)
    size: int = 0
    open_pipes: int = 2


def run_all(jobs: Sequence[Job], limits: Limits, deadline: Deadline, at_once: int = 2) -> list[Ran]:
    """Run the programs to their ends, in the order of ``jobs`` and at most so many at once.

    Raises GitTimeoutError at the deadline and UnreachableError where one cannot be run.
    """
    ended: dict[int, Ran] = {}
    waiting = deque(enumerate(jobs))
    running: list[_Running] = []
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as everything:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(_start(*waiting.popleft(), limits, everything, selector))
            _wait(selector, running, deadline, limits)
            for one in [one for one in running if _is_done(one, limits)]:
                running.remove(one)
                ended[one.number] = _end(one, limits, selector)
    return [ended[number] for number in range(len(jobs))]


def _start(
    number: int,
    job: Job,
    limits: Limits,
    everything: contextlib.ExitStack,
    selector: selectors.BaseSelector,
) -> _Running:
    stack = everything.enter_context(contextlib.ExitStack())
    child = stack.enter_context(spawn(job.arguments, directory=job.directory, environment=job.environment))
    _limit_memory(child.pid, limits.memory)
    one = _Running(number, child, stack, time.monotonic() + limits.seconds)
    for pipe, into in ((child.stdout, one.pieces), (child.stderr, one.said)):
        if pipe is not None:
            selector.register(pipe, selectors.EVENT_READ, (one, into))
    return one


def _limit_memory(process: int, size: int) -> None:
    """Set a limit for the child and what it starts, where the system can (Linux)."""
    if hasattr(resource, "prlimit"):
        # Data, not address space: Go reserves far more of that than it uses.
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(process, resource.RLIMIT_DATA, (size, size))


def _wait(
    selector: selectors.BaseSelector, running: Sequence[_Running], deadline: Deadline, limits: Limits
) -> None:
    """Take what the children say, once."""
    if deadline.passed():
        raise GitTimeoutError(os.path.basename(str(running[0].child.args[0])))  # type: ignore[index]  # noqa: PTH119 - a list of texts was given, and no file is meant
    soonest = min(one.ends for one in running) - time.monotonic()
    for key, _ in selector.select(max(0.0, min(soonest, deadline.remaining()))):
        one, into = key.data
        pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]  # a pipe was registered
        piece = os.read(pipe.fileno(), _PIECE)
        if not piece:
            selector.unregister(pipe)
            one.open_pipes -= 1
        elif into is one.pieces:
            one.size += len(piece)
            if one.size <= limits.output:
                into.append(piece)
        elif sum(map(len, into)) < _MOST_SAID:
            into.append(piece)


def _is_done(one: _Running, limits: Limits) -> bool:
    return one.open_pipes == 0 or one.size > limits.output or time.monotonic() >= one.ends


def _end(one: _Running, limits: Limits, selector: selectors.BaseSelector) -> Ran:
    stopped: Literal["", "time", "output"] = ""
    if one.size > limits.output:
        stopped = "output"
    elif one.open_pipes:
        stopped = "time"
    for pipe in (one.child.stdout, one.child.stderr):
        if pipe is not None:
            with contextlib.suppress(KeyError, ValueError):
                selector.unregister(pipe)
    if not stopped:
        with contextlib.suppress(Exception):  # it has closed its output; it is killed below if it stays
            one.child.wait(timeout=max(0.0, one.ends - time.monotonic()))
    one.stack.close()
    errors = b"".join(one.said)[:_MOST_SAID].decode("utf-8", "replace")
    return Ran(one.child.returncode, b"".join(one.pieces), errors, stopped)
