"""The caller's credentials for a registry, as ``docker login`` leaves them.

docker/cli, "login": ``auths``, ``credHelpers`` and ``credsStore`` of ``config.json``, and the
protocol of ``docker-credential-*`` programs. ``DOCKER_AUTH_CONFIG`` is the same as text; GitLab CI
documents it, and Docker reads it since version 28.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promoter.errors import ConfigError, DeniedError
from promoter.git import door
from promoter.secrets import register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promoter.deadline import Deadline
    from promoter.registry.address import RegistryAddress

_VARIABLE = "DOCKER_AUTH_CONFIG"
_HELPER = re.compile(r"[A-Za-z0-9._-]+")
_IDENTITY = "<token>"  # the user name that says that the secret is an identity token


@dataclass(frozen=True)
class RegistryCredential:
    """What may be shown to one registry, and to the token server that it names.

    Either user name and password, or an identity token (OAuth 2 refresh token), or a
    ``registry_token`` that the registry takes as it is. ``source`` is where it comes from.
    """

    source: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def credential_for(
    registry: RegistryAddress, environ: Mapping[str, str], deadline: Deadline
) -> RegistryCredential | None:
    """The caller's credential for this registry; None where there is none.

    Raises:
        ConfigError: Docker's configuration cannot be read.
        DeniedError: the credential helper fails.
        UnreachableError, DeadlineError: it is absent, or does not answer in time.
    """
    if (text := environ.get(_VARIABLE, "").strip()) and (
        found := _entry(registry, _parsed(text, None), f"the variable {_VARIABLE}")
    ):
        return found
    file = _file(environ)
    if file is None:
        return None
    try:
        document = _parsed(file.read_text(encoding="utf-8"), file)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise _unreadable(file) from None
    helper = _helper(registry, document, file)
    asked = _ask(helper, registry, environ, deadline) if helper else None
    return asked or _entry(registry, document, str(file))


def _file(environ: Mapping[str, str]) -> Path | None:
    if directory := environ.get("DOCKER_CONFIG"):
        return Path(directory) / "config.json"
    home = environ.get("HOME")
    return Path(home) / ".docker" / "config.json" if home else None


def _parsed(text: str, file: Path | None) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _unreadable(file)
    return document


def _unreadable(file: Path | None) -> ConfigError:
    # Nothing of the text: it holds passwords.
    return ConfigError(
        f"Docker's configuration {f'in {_VARIABLE} ' if file is None else ''}is no JSON that can be read",
        file=str(file) if file is not None else None,
        next_step="correct it, or log in to the registry again with docker login",
    )


# --- auths -----------------------------------------------------------------------------------


def _entry(registry: RegistryAddress, document: dict[str, Any], source: str) -> RegistryCredential | None:
    """What ``auths`` has for the registry: by its name, else by a URL of its host, as old files have it."""
    auths = document.get("auths")
    if not isinstance(auths, dict):
        return None
    names = [name for name in registry.keys if name in auths]
    names += [name for name in auths if _host(name) in registry.keys]
    entries = (auths[name] for name in names)
    found = (_read(entry, source) for entry in entries if isinstance(entry, dict))
    return next((one for one in found if one is not None), None)


def _host(name: str) -> str:
    return (name.partition("://")[2] or name).partition("/")[0].lower()


def _read(entry: dict[str, Any], source: str) -> RegistryCredential | None:
    values = {key: _text(entry, key) for key in ("username", "password", "identitytoken", "registrytoken")}
    if encoded := _text(entry, "auth"):
        register(encoded)
        try:
            pair = base64.b64decode(encoded, validate=False).decode().rstrip("\0")
        except (ValueError, UnicodeDecodeError):
            pair = ""
        values["username"], _, values["password"] = pair.partition(":")
    return _credential(
        source, values["username"], values["password"], values["identitytoken"], values["registrytoken"]
    )


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _credential(
    source: str, username: str, password: str, identity_token: str = "", registry_token: str = ""
) -> RegistryCredential | None:
    """The credential with all its secrets registered; None where it holds none."""
    if not (username and password) and not identity_token and not registry_token:
        return None
    credential = RegistryCredential(source, username, password, identity_token, registry_token)
    encoded = credential.basic.removeprefix("Basic ") if password else ""
    for secret in filter(None, (password, encoded, identity_token, registry_token)):
        register(secret)
    return credential


# --- helpers ---------------------------------------------------------------------------------


def _helper(registry: RegistryAddress, document: dict[str, Any], file: Path) -> str | None:
    """The credential helper that the configuration names for the registry, or for all of them."""
    helpers = document.get("credHelpers")
    named = helpers if isinstance(helpers, dict) else {}
    name = next((named[key] for key in registry.keys if key in named), document.get("credsStore"))
    if not name:
        return None
    if not isinstance(name, str) or not _HELPER.fullmatch(name):
        raise ConfigError(
            f"the credential helper for {registry.name} has no name that a program has",
            file=str(file),
            next_step="write the part of the program's name after docker-credential-",
        )
    return name


def _ask(
    helper: str, registry: RegistryAddress, environ: Mapping[str, str], deadline: Deadline
) -> RegistryCredential | None:
    """What ``docker-credential-<helper> get`` answers; None where it knows nothing of the registry.

    The helper is the caller's own program and reads the caller's own key rings and cloud
    credentials by variables that only it knows: of the environment it lacks promoter's alone.
    """
    program = f"docker-credential-{helper}"
    completed = door.run(
        (program, "get"),
        directory=Path.cwd(),
        environment={name: value for name, value in environ.items() if not name.startswith("PROMOTER_")},
        deadline=deadline,
        stdin=registry.keys[0].encode(),
    )
    if completed.code != 0:
        # docker-credential-helpers, credentials/error.go: a helper says this on stdout.
        if "credentials not found" in completed.text:
            return None
        raise _helper_failure(program, registry, f"ends with code {completed.code}")
    try:
        answer = json.loads(completed.output)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _helper_failure(program, registry, "answers with something else than a credential")
    username, secret = _text(answer, "Username"), _text(answer, "Secret")
    if username == _IDENTITY:
        return _credential(program, "", "", secret)
    return _credential(program, username, secret)


def _helper_failure(program: str, registry: RegistryAddress, why: str) -> DeniedError:
    # Not its own words: nobody knows what a helper prints.
    return DeniedError(
        f"no credential for {registry.name}: {program} {why}",
        next_step=f"see what it says: echo {registry.keys[0]} | {program} get",
        reason="authentication",
    )
