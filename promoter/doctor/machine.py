"""What this machine has: programs that the configuration needs, and the time."""

from __future__ import annotations

import posixpath
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from promoter.doctor.model import MACHINE, Check, failed
from promoter.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from promoter.config import Config
    from promoter.deadline import Deadline
    from promoter.validate.kubeconform import Program

_MOST_SECONDS = 60  # GitHub's "Generating a JSON Web Token" allows for as much
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_CLOCK_WHY = "soak, freezes, holds and a GitHub App's key go by this machine's clock"


def programs(
    config: Config, paths: Collection[str], environ: Mapping[str, str], deadline: Deadline
) -> Iterator[Check]:
    """kubeconform, kustomize, helm and the commands, as the configuration and the files ask for them."""
    from promoter.validate.kubeconform import find_kubeconform

    settings = config.validate
    try:
        found = find_kubeconform(settings.kubeconform, None, environ, deadline)
    except UnreachableError as error:
        yield failed("kubeconform", MACHINE, error, "validate.kubeconform is required")
    else:
        yield Check("kubeconform", MACHINE, "ok", _kubeconform(found))
    yield from _renderers(config, paths, environ)
    yield from _commands(config, environ)


def _kubeconform(found: Program | str | None) -> str:
    if found is None:
        return "off"
    return f"not used: {found.partition(':')[0]}" if isinstance(found, str) else str(found.path)


def _renderers(config: Config, paths: Collection[str], environ: Mapping[str, str]) -> Iterator[Check]:
    from promoter.validate.scratch import Programs, absence

    presence = config.validate.render
    if presence == "off":
        return
    here = Programs.on(environ)
    names = {posixpath.basename(path) for path in paths}
    charts = "Chart.yaml" in names or any(one.helm for one in config.environments.values())
    wanted = {
        "kustomize": (bool(names.intersection(_KUSTOMIZATIONS)), " ".join(here.kustomize)),
        "helm": (charts, here.helm),
    }
    for name, (is_needed, there) in wanted.items():
        if not is_needed:
            continue
        if there:
            yield Check(name, MACHINE, "ok", there)
            continue
        why = f"what only {name} renders is not compared before and after an edit"
        problem = failed(name, MACHINE, absence(name), why)
        is_required = presence == "required"
        yield problem if is_required else Check(name, MACHINE, "warning", problem.seen, why, problem.next)


def _commands(config: Config, environ: Mapping[str, str]) -> Iterator[Check]:
    from promoter.validate.program import find_program

    for command in config.validate.commands:
        program = command.run[0]
        found = find_program(program, environ)
        if found is not None:
            yield Check("command", MACHINE, "ok", f"{command.name}: {found}")
            continue
        yield Check(
            "command",
            MACHINE,
            "warning",
            f"{command.name}: {program} is not on PATH",
            "promoter validate, and bumps with --allow-commands, end with 9",
            f"install {program}, or take the command out of validate.commands",
        )


def clock(url: str, ca_file: str | None, deadline: Deadline, verbose: Callable[[str], None]) -> Check:
    """The machine's clock against a server's ``Date`` (RFC 9110 §6.6.1), asked without a credential."""
    import requests

    from promoter.forges.calls import Connection
    from promoter.forges.web import Session

    connection = Connection(url, url, "", None, "none", ca_file, deadline, verbose)
    try:
        with Session(connection) as session:
            before = time.time()
            answer = session.get(url, timeout=session.timeout, stream=True, allow_redirects=False)
            middle = (before + time.time()) / 2
            answer.close()
        there = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (requests.RequestException, KeyError, ValueError) as error:
        return Check(
            "clock", MACHINE, "unknown", f"the server does not tell the time: {type(error).__name__}"
        )
    off = middle - there
    if abs(off) <= _MOST_SECONDS:
        return Check("clock", MACHINE, "ok", f"within {_MOST_SECONDS} seconds of the server's")
    direction = "ahead of" if off > 0 else "behind"
    seen = f"{abs(off):.0f} seconds {direction} the server's"
    return Check("clock", MACHINE, "warning", seen, _CLOCK_WHY, "set the clock of this machine, as by NTP")
