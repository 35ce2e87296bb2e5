"""Which repository and branch an environment lives in, and what may be shown there (DESIGN §5). Pure.

A configuration names the place; only the caller's own word sends a credential to it:
``PROMOTER_REPOSITORY_<NAME>`` has to say the same.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from promoter.address import parse_address
from promoter.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from promoter.config import Environment
    from promoter.git.repository import Snapshot
    from promoter.session import Caller

# What belongs to the manifest repository's host, and is not shown to another one.
_OF_ONE_HOST = (
    "PROMOTER_TOKEN",
    "PROMOTER_USERNAME",
    "PROMOTER_APP_ID",
    "PROMOTER_APP_PRIVATE_KEY",
    "PROMOTER_SSH_KEY",
)


def elsewhere(here: Caller, main: Caller, environment: Environment, snapshot: Snapshot) -> Caller | None:
    """The caller for the place that an environment lives in; None where that is ``here``.

    ``snapshot`` is of the branch that ``here`` is about. ``main`` is what the caller gave in
    the beginning. Raises ConfigError where the caller does not confirm another repository.
    """
    address = environment.repository or here.address
    if _same(address, main.address):
        base = main.base or environment.base
        place = replace(main, base=base)
    elif _same(address, here.address):
        base, place = environment.base, replace(here, base=environment.base)
    else:
        return replace(_confirmed(main, environment, address), base=environment.base)
    is_here = _same(address, here.address) and base in (here.base, snapshot.base)
    return None if is_here else place


def _confirmed(main: Caller, environment: Environment, address: str) -> Caller:
    suffix = re.sub(r"[^A-Z0-9]", "_", environment.name.upper())
    variable = f"PROMOTER_REPOSITORY_{suffix}"
    given = main.environ.get(variable, "").strip()
    if not given:
        raise ConfigError(
            f"{environment.name} lives in another repository, {_shown(address)}, and {variable} is not set",
            next_step=f"set {variable} to that address, and PROMOTER_TOKEN_{suffix} to a token for it",
            reason="other-repository",
        )
    if not _same(given, address):
        raise ConfigError(
            f"{variable} is {_shown(given)}, but the configuration has {environment.name} "
            f"in {_shown(address)}",
            next_step="have both name the same repository: no credential goes where the caller did not say",
            reason="other-repository",
        )
    same_host = parse_address(given).origin == parse_address(main.address).origin
    environ = {name: value for name, value in main.environ.items() if same_host or name not in _OF_ONE_HOST}
    for name in ("PROMOTER_TOKEN", "PROMOTER_USERNAME", "PROMOTER_SSH_KEY"):
        if own := main.environ.get(f"{name}_{suffix}"):
            environ[name] = own
    return replace(
        main, address=given, environ=environ, forge_api=main.forge_api if same_host else None, base=None
    )


def _same(one: str, other: str) -> bool:
    """Whether two addresses are spellings of one: with ``.git`` or without."""
    return _plain(one) == _plain(other)


def _plain(address: str) -> str:
    return _shown(address).rstrip("/").removesuffix(".git")


def _shown(address: str) -> str:
    """The address without user and password."""
    try:
        return parse_address(address).url
    except UsageError:
        return "an address that cannot be read"
