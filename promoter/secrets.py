"""Every secret that a run knows, to be masked in all that goes out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_VARIABLES = (
    "GITHUB_TOKEN",
    "GITEA_TOKEN",
    "FORGEJO_TOKEN",
    "CI_JOB_TOKEN",
    "PROMOTER_APP_PRIVATE_KEY",
    "PROMOTER_SSH_KEY",
    "PROMOTER_SIGNING_KEY",
)
# And those of one environment each.
_PREFIXES = ("PROMOTER_TOKEN", "PROMOTER_SSH_KEY")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_ADDRESSES = ("PROMOTER_MANIFEST_REPO", "PROMOTER_REPOSITORY_", *_PROXIES, *map(str.lower, _PROXIES))
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_SHORTEST = 4
# One line of a key's base64: a part of the key must not come out either, however its lines are joined.
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]{24,}")

_registered: set[str] = set()
_obtained: list[str] = []


def register(secret: str) -> None:
    """Have a secret masked that this run was given in a file, or obtained by itself."""
    _registered.update(_forms(secret))


def register_obtained(secret: str) -> None:
    """Have a secret masked that nobody but this run has seen: the CI system cannot know it yet."""
    register(secret)
    _obtained.append(secret)


def obtained() -> tuple[str, ...]:
    """The secrets that this run obtained by itself."""
    return tuple(_obtained)


def secrets_in(environ: Mapping[str, str], arguments: Iterable[str]) -> frozenset[str]:
    """Every secret that the caller gave, in each form it could show up in."""
    names = [*_VARIABLES, *(name for name in environ if name.startswith(_PREFIXES))]
    found = {environ[name].strip() for name in names if environ.get(name)}
    # A key is given as text or as a file; a file's name is no secret.
    found = {secret for secret in found if "\n" in secret or not secret.startswith(("/", ".", "~"))}
    addresses = (value for name, value in environ.items() if name.startswith(_ADDRESSES))
    for text in (*arguments, *addresses):
        found |= {form for written in _PASSWORD_IN_URL.findall(text) for form in (written, unquote(written))}
    return frozenset(form for secret in found for form in _forms(secret))


def mask(text: str, secrets: Collection[str]) -> str:
    """The text without these secrets and without those that were registered."""
    for secret in sorted({*secrets, *_registered}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _forms(secret: str) -> set[str]:
    forms = {secret, quote(secret, safe=""), _in_json(secret)}
    if "PRIVATE KEY" in secret:
        forms |= set(_KEY_LINE.findall(secret.replace("\\r", " ").replace("\\n", " ")))
    return {form for form in forms if len(form) >= _SHORTEST}


def _in_json(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
