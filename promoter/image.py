"""Image references: ``[registry/]repository[:tag][@digest]``.

The grammar is that of distribution/reference (its ``regexp.go`` and ``normalize.go``),
which every container tool reads; the OCI distribution specification gives the same for
names and tags. Digests of unknown algorithms follow distribution's own, narrower form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from promoter.errors import UsageError

_LONGEST_NAME = 255
_DOMAIN_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?", re.ASCII
)
_NAME = re.compile(rf"(?:{_HOST}/)?{_PATH}", re.ASCII)
_TAG_ALONE = re.compile(_TAG, re.ASCII)
_DIGEST_ALONE = re.compile(_DIGEST, re.ASCII)
_HEX_ID = re.compile(r"[0-9a-f]{64}")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}

_DEFAULT_REGISTRY = "docker.io"
_LEGACY_REGISTRY = "index.docker.io"
_OFFICIAL = "library/"


class InvalidReferenceError(UsageError):
    """The text is no image reference; the message says where it departs from the grammar."""

    reason = "invalid-reference"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A reference as it is written: ``name`` is registry + repository, nothing is filled in."""

    name: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}@{self.digest}" if self.digest else f"{self.name}{tag}"

    @property
    def key(self) -> tuple[str, str]:
        """Registry and repository as container tools complete them; equal for every spelling."""
        first, slash, rest = self.name.partition("/")
        if not slash or not _is_registry(first):
            registry, path = _DEFAULT_REGISTRY, self.name
        else:
            registry, path = first.lower(), rest
        if registry == _LEGACY_REGISTRY:
            registry = _DEFAULT_REGISTRY
        if registry == _DEFAULT_REGISTRY and "/" not in path:
            path = _OFFICIAL + path
        return registry, path

    @property
    def search_text(self) -> str:
        """The text that every spelling of this image holds, the registry being a key of its own or not."""
        registry, path = self.key
        return path.removeprefix(_OFFICIAL) if registry == _DEFAULT_REGISTRY else path

    @property
    def last_component(self) -> str:
        """What an app is called unless something else is said."""
        return self.name.rpartition("/")[2]

    def same_image(self, other: ImageReference) -> bool:
        """Whether both name the same repository of the same registry."""
        return self.name == other.name or self.key == other.key


def _is_registry(component: str) -> bool:
    """The rule of distribution: a first component with a dot, a port or an uppercase letter is a host."""
    return (
        component == "localhost" or any(mark in component for mark in ".:") or component != component.lower()
    )


def looks_like_reference(text: str) -> ImageReference | None:
    """The reference that the text is, or None. Never raises; fast for the many scalars that are none."""
    match = _REFERENCE.fullmatch(text)
    if match is None or len(match["name"]) > _LONGEST_NAME:
        return None
    if _HEX_ID.fullmatch(match["name"]) or (match["digest"] and _wrong_length(match["digest"])):
        return None
    return ImageReference(match["name"], match["tag"], match["digest"])


def parse_reference(text: str) -> ImageReference:
    """Parse a reference. Raises InvalidReferenceError that says what is wrong with it."""
    found = looks_like_reference(text)
    return found if found is not None else _explain(text)


def parse_name(text: str) -> str:
    """A name without tag and digest. Raises InvalidReferenceError."""
    found = parse_reference(text)
    if found.tag or found.digest:
        raise InvalidReferenceError(f"{_shown(text)}: a name without tag and digest is expected")
    return found.name


def parse_tag(text: str) -> str:
    """A tag. Raises InvalidReferenceError."""
    if not _TAG_ALONE.fullmatch(text):
        _explain_tag(text)
    return text


def parse_digest(text: str) -> str:
    """A digest, its length checked where the algorithm is a registered one. Raises InvalidReferenceError."""
    if not _DIGEST_ALONE.fullmatch(text) or _wrong_length(text):
        _explain_digest(text)
    return text


def _wrong_length(digest: str) -> bool:
    algorithm, _, value = digest.partition(":")
    expected = _DIGEST_LENGTHS.get(algorithm)
    return expected is not None and (len(value) != expected or value != value.lower())


# --- What is wrong ---------------------------------------------------------------------


def _explain(text: str) -> NoReturn:
    if not text:
        raise InvalidReferenceError("the image reference is empty")
    if text != text.strip() or any(mark.isspace() or not mark.isprintable() for mark in text):
        raise InvalidReferenceError(
            f"{_shown(text)}: white space and line breaks have no place in a reference"
        )
    if text.startswith("-"):
        raise InvalidReferenceError(f"{_shown(text)}: a reference does not begin with a dash")
    rest, at, digest = text.partition("@")
    if at and (not _DIGEST_ALONE.fullmatch(digest) or _wrong_length(digest)):
        _explain_digest(digest)
    path, colon, tag = rest.rpartition(":")
    if colon and "/" not in tag:
        rest = path
        if not _TAG_ALONE.fullmatch(tag):
            _explain_tag(tag)
    _explain_name(rest)


def _explain_name(name: str) -> NoReturn:
    path = name.partition("/")[2] if "/" in name and _is_registry(name.partition("/")[0]) else name
    if not name or name.endswith("/"):
        problem = "the repository is missing"
    elif len(name) > _LONGEST_NAME:
        problem = f"the name has {len(name)} characters, {_LONGEST_NAME} are allowed"
    elif _HEX_ID.fullmatch(name):
        problem = "64 hexadecimal digits are an image id, no name"
    elif path != path.lower():
        problem = "the repository must be lowercase"
    elif "://" in name:
        problem = "a reference has no scheme"
    else:
        problem = "the name is not of the form [registry/]repository"
    raise InvalidReferenceError(f"{_shown(name)}: {problem}")


def _explain_tag(tag: str) -> NoReturn:
    if not tag:
        problem = "the tag is empty"
    elif len(tag) > 128:
        problem = f"the tag has {len(tag)} characters, 128 are allowed"
    else:
        problem = "a tag holds letters, digits, '_', '.' and '-', and does not begin with '.' or '-'"
    raise InvalidReferenceError(f"{_shown(tag)}: {problem}")


def _explain_digest(digest: str) -> NoReturn:
    algorithm, colon, value = digest.partition(":")
    expected = _DIGEST_LENGTHS.get(algorithm)
    if not colon:
        problem = "a digest has the form algorithm:hex"
    elif expected is not None and len(value) != expected:
        problem = f"a {algorithm} digest has {expected} hexadecimal digits, this one has {len(value)}"
    elif expected is not None:
        problem = f"a {algorithm} digest has {expected} lowercase hexadecimal digits"
    else:
        problem = "a digest has the form algorithm:hex with at least 32 hexadecimal digits"
    raise InvalidReferenceError(f"{_shown(digest)}: {problem}")


def _shown(text: str) -> str:
    """User text in a message: escaped, and never long."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
