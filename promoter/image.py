"""Image references: parse, compare, format. Pure: no file, no network.

The grammar is that of ``github.com/distribution/reference`` (its package documentation,
``regexp.go`` and ``normalize.go``), which the container engines and Kubernetes use; the
OCI distribution spec ("Pulling manifests") gives the same one for repositories and tags.
Four choices where the sources differ or leave a trap open:

* digests follow distribution (hex only, 32 digits or more), not the wider grammar of the
  OCI image spec ("Descriptors", section "Digests"), whose encoded part may be base64;
* 255 characters bound registry + repository together, which the distribution spec names
  as the limit of many clients; recent distribution counts the repository alone;
* a registry whose host holds ``_`` is refused; distribution accepts ``my_host.io/app`` by
  reading it as a repository without any registry, which nothing can pull;
* ``sha256:<64 hex>`` alone is refused like a bare identifier: it is a digest without a
  name far more likely than the tag of an image called ``sha256``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from promoter.errors import UsageError
from promoter.paths import glob_text

MAX_NAME = 255
MAX_TAG = 128

_DEFAULT_REGISTRY = "docker.io"
# Both hosts mean Docker Hub (normalize.go); registry-1.docker.io does not count there.
_DEFAULT_REGISTRY_HOSTS = frozenset({_DEFAULT_REGISTRY, "index.docker.io"})
_OFFICIAL = "library/"

# OCI image spec, "Descriptors", section "Registered algorithms" (sha384: go-digest).
_HEX_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_MIN_HEX_LENGTH = 32
_LOWER_HEX = frozenset("0123456789abcdef")
_HEX = _LOWER_HEX | frozenset("ABCDEF")
_ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_FIRST = _ALPHANUMERIC | {"["}
_PATH_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_TAG_CHARACTERS = _ALPHANUMERIC | frozenset("_.-")

# Possessive quantifiers throughout: no input makes the match backtrack, however long.
_LABEL = r"[a-zA-Z0-9]++(?:-++[a-zA-Z0-9]++)*+"
_REGISTRY = rf"(?:{_LABEL}(?:\.{_LABEL})*+|\[[a-fA-F0-9:]++\])(?::[0-9]++)?"
_COMPONENT = r"[a-z0-9]++(?:(?:__|[._]|-++)[a-z0-9]++)*+"
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*+(?:[-_+.][A-Za-z][A-Za-z0-9]*+)*+"
# What makes the first component a registry, see _split.
_NAMES_REGISTRY = r"localhost/|[^/.:A-Z]*+[.:A-Z][^/]*+/"
_REFERENCE = re.compile(
    rf"((?:(?={_NAMES_REGISTRY}){_REGISTRY}/|(?!{_NAMES_REGISTRY})){_COMPONENT}(?:/{_COMPONENT})*+)"
    rf"(?::([a-zA-Z0-9_][a-zA-Z0-9_.-]{{0,{MAX_TAG - 1}}}+))?"
    rf"(?:@({_ALGORITHM}:[0-9a-fA-F]{{{_MIN_HEX_LENGTH},}}+))?"
)

# How much of a text a message shows, of the whole and of the part that is wrong.
_SHOWN = 60
_PIECE = 20
_EXPECTED = {
    "an image reference": "write [registry/]repository[:tag][@digest], e.g. ghcr.io/acme/app:1.2.3",
    "an image name": "write [registry/]repository without tag and digest, e.g. ghcr.io/acme/app",
    "a tag": "write the tag alone, e.g. 1.2.3",
    "a digest": "write algorithm:hex, e.g. sha256: and 64 digits 0-9a-f",
}


class InvalidReferenceError(UsageError):
    """A text that should be an image reference, a name, a tag or a digest is not one."""

    reason = "invalid-reference"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """``name[:tag][@digest]``; the name is kept as it was written.

    Building one directly checks nothing: what comes from outside goes through
    `parse_reference` or `looks_like_reference`.
    """

    name: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        # An empty tag or digest, as split fields in files may hold, counts as none.
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    @property
    def key(self) -> tuple[str, str]:
        """Registry and repository, normalized: equal for every spelling of one image.

        The rules are distribution's (``normalize.go``); besides, hosts compare without
        regard to case (RFC 3986, 3.2.2). A port is part of the registry.
        """
        return _normalize(self.name)

    @property
    def version(self) -> tuple[str | None, str | None]:
        """Tag and digest."""
        return self.tag, self.digest

    def is_meant_by(self, pattern: str) -> bool:
        """Whether a name or glob of the configuration means this image, however either is spelled."""
        registry, repository = self.key
        spellings = {self.name, f"{registry}/{repository}"}
        if registry == _DEFAULT_REGISTRY:
            short = repository.removeprefix(_OFFICIAL)
            spellings |= {repository, short, f"{registry}/{short}"}
        host, slash, rest = pattern.partition("/")
        if slash:  # only a host may have capitals
            host = host.lower()
            pattern = f"{_DEFAULT_REGISTRY if host in _DEFAULT_REGISTRY_HOSTS else host}/{rest}"
        # The brackets of an IPv6 host mean something else in a glob.
        is_its_name = self.same_image(ImageReference(pattern))
        return is_its_name or any(glob_text(spelling, pattern) for spelling in spellings)

    @property
    def search_text(self) -> str:
        """A text that every file mentioning the image contains, whatever the spelling.

        It is the repository without the registry; for an official image of Docker Hub
        the last component, since ``library/`` may be left out.
        """
        registry, repository = self.key
        short = repository.removeprefix(_OFFICIAL)
        return short if registry == _DEFAULT_REGISTRY and "/" not in short else repository

    @property
    def names_registry(self) -> bool:
        """Whether the name begins with a registry's host."""
        return _split(self.name)[0] is not None

    @property
    def last_component(self) -> str:
        """The part of the name after its last ``/``."""
        return self.name.rpartition("/")[2]

    def same_image(self, other: ImageReference) -> bool:
        """Whether both name one image, whatever their tags and digests."""
        return self.key == other.key


def parse_reference(text: str) -> ImageReference:
    """The reference a text spells; the error says what is wrong with it.

    The digest grammar is distribution/reference's, narrower than the OCI image spec's.
    """
    reference = looks_like_reference(text)
    if reference is None:
        raise _invalid(text, "an image reference", _reference_problem(text))
    return reference


def parse_name(text: str) -> str:
    """A name (registry and repository) that carries neither tag nor digest."""
    reference = looks_like_reference(text)
    if reference is None:
        raise _invalid(text, "an image name", _reference_problem(text))
    if reference.digest is not None:
        raise _invalid(text, "an image name", "it has a digest")
    if reference.tag is not None:
        raise _invalid(text, "an image name", f"{_show(reference.tag, _PIECE)} reads as its tag")
    return reference.name


def parse_tag(text: str) -> str:
    """A tag: up to 128 of ``A-Za-z0-9_.-``, no leading ``.`` or ``-`` (OCI distribution spec)."""
    problem = _tag_problem(text)
    if problem is not None:
        raise _invalid(text, "a tag", problem)
    return text


def parse_digest(text: str) -> str:
    """A digest, ``algorithm:hex``, in distribution/reference's grammar.

    Algorithms with a registered length are held to it and to lowercase (OCI image spec,
    "Descriptors"); any other needs 32 hex digits or more.
    """
    problem = _digest_problem(text)
    if problem is not None:
        raise _invalid(text, "a digest", problem)
    return text


def looks_like_reference(text: str) -> ImageReference | None:
    """`parse_reference` without the explanation: None for what it would refuse.

    Meant for every candidate scalar of a big repository: most of them end at the first
    tests, the others cost one match that cannot backtrack.
    """
    if not text or text[0] not in _FIRST or " " in text or "\n" in text:
        return None
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return None
    name, tag, digest = match.groups()
    if len(name) > MAX_NAME:
        return None
    if digest is None:
        if _is_bare_hash(name, tag):
            return None
    elif _digest_problem(digest) is not None:
        return None
    return ImageReference(name, tag, digest)


def _is_bare_hash(name: str, tag: str | None) -> bool:
    """Whether ``name[:tag]`` is a content hash without a name.

    64 hex digits may be an image's identifier (``reference.go``, "identifier").
    """
    if tag is None:
        return len(name) == _HEX_LENGTHS["sha256"] and _LOWER_HEX.issuperset(name)
    return _HEX_LENGTHS.get(name) == len(tag) and _LOWER_HEX.issuperset(tag)


def _split(name: str) -> tuple[str | None, str]:
    """The registry, if the name has one, and the rest (``normalize.go``, splitDockerDomain).

    The first of several components is a registry if it is ``localhost`` or holds what a
    repository's first component does not: ``.``, ``:`` or an uppercase letter.
    """
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first or first != first.lower()):
        return first, rest
    return None, name


# The names of a repository repeat in thousands of its files.
@lru_cache(maxsize=4096)
def _normalize(name: str) -> tuple[str, str]:
    registry, repository = _split(name)
    host = _DEFAULT_REGISTRY if registry is None else registry.lower()
    if host not in _DEFAULT_REGISTRY_HOSTS:
        return host, repository
    if "/" not in repository:
        repository = _OFFICIAL + repository
    return _DEFAULT_REGISTRY, repository


# --- What is wrong: only reached once a text is known to be refused (tags, digests: always) ---


def _invalid(text: str, kind: str, problem: str) -> InvalidReferenceError:
    return InvalidReferenceError(
        f"{_show(_without_credentials(text))} is not {kind}: {problem}",
        next_step=_EXPECTED[kind],
    )


def _show(text: str, limit: int = _SHOWN) -> str:
    """The text quoted, control characters escaped, cut to about ``limit`` characters."""
    quoted = repr(text[:limit])
    if len(text) <= limit and len(quoted) <= limit + 2:
        return quoted
    return quoted[: limit + 1].removesuffix(quoted[0]) + "…" + quoted[0]


def _has_credentials(text: str) -> bool:
    """Whether something like ``user:password@host/…`` was given: no digest holds a ``/``."""
    return "@" in text and "/" in text.rpartition("@")[2]


def _without_credentials(text: str) -> str:
    return "…@" + text.rpartition("@")[2] if _has_credentials(text) else text


def _reference_problem(text: str) -> str:
    return (
        _text_problem(text)
        or _shape_problem(text)
        or _parts_problem(text)
        or "it does not follow the grammar of image references"
    )


def _text_problem(text: str) -> str | None:
    """What no reference, tag or digest may hold, and what a paste or a shell leaves there."""
    if not text:
        return "it is empty"
    for character in text:
        if character.isspace():
            return f"it holds whitespace ({character!r})"
        if character == "#" or not character.isprintable():
            return f"it holds the character {character!r}"
    if text[0] == "-":
        return "it starts with '-', like a command line option"
    return None


def _shape_problem(text: str) -> str | None:
    """What makes the text something else than a reference."""
    if _has_credentials(text):
        return "'@' stands before a '/'; credentials do not belong here"
    if "://" in text:
        return "it is a URL; leave the scheme out"
    name, colon, tag = text.partition(":")
    if _is_bare_hash(name, tag if colon else None):
        return "it is a hash without a name; write name@sha256:<hex>"
    return None


def _parts_problem(text: str) -> str | None:
    rest, at, digest = text.partition("@")
    if at and (problem := _digest_problem(digest)):
        return problem
    # A colon before the last slash belongs to the registry's port.
    parent, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    return _name_problem(parent + slash + last) or (_tag_problem(tag) if colon else None)


def _name_problem(name: str) -> str | None:
    if not name:
        return "the name is empty"
    if len(name) > MAX_NAME:
        return f"the name has {len(name)} characters, at most {MAX_NAME} are allowed"
    registry, repository = _split(name)
    if registry is not None and not re.fullmatch(_REGISTRY, registry):
        return (
            f"{_show(registry, _PIECE)} before the first '/' reads as a registry but is not "
            "host[:port] (letters, digits, '-' and '.'; a tag cannot hold '/')"
        )
    for component in repository.split("/"):
        if problem := _component_problem(component):
            return problem
    return None


def _component_problem(component: str) -> str | None:
    if not component:
        return "the repository has an empty component (a '/' at an end, or two in a row)"
    if re.fullmatch(_COMPONENT, component):
        return None
    shown = _show(component, _PIECE)
    if component != component.lower():
        return f"the repository must be lowercase, not {shown}"
    for character in component:
        if character not in _PATH_CHARACTERS:
            return f"the repository cannot hold {character!r}, only a-z, 0-9, '.', '_', '-' and '/'"
    if component[0] in "._-" or component[-1] in "._-":
        return f"the repository's component {shown} must start and end with a letter or digit"
    return f"in the repository's component {shown} only '.', '_', '__' or dashes may separate words"


def _tag_problem(tag: str) -> str | None:
    if not tag:
        return "the tag is empty"
    for character in tag:
        if character not in _TAG_CHARACTERS:
            return f"the tag cannot hold {character!r}, only letters, digits, '_', '.' and '-'"
    if tag[0] in ".-":
        return f"the tag cannot start with {tag[0]!r}"
    if len(tag) > MAX_TAG:
        return f"the tag has {len(tag)} characters, at most {MAX_TAG} are allowed"
    return None


def _digest_problem(digest: str) -> str | None:
    if not digest:
        return "the digest is empty"
    algorithm, colon, encoded = digest.partition(":")
    if not colon or not re.fullmatch(_ALGORITHM, algorithm):
        return "the digest does not have the shape algorithm:hex, such as sha256:<64 hex digits>"
    if algorithm in _HEX_LENGTHS:
        return _registered_hex_problem(algorithm, encoded)
    if algorithm.lower() in _HEX_LENGTHS:
        # The grammar lets it pass, but no engine knows the algorithm by that name (go-digest).
        return f"the digest's algorithm is written {algorithm.lower()}, not {algorithm}"
    if not _HEX.issuperset(encoded):
        return "the digest's value is not hexadecimal"
    if len(encoded) < _MIN_HEX_LENGTH:
        return f"the digest has {len(encoded)} hex digits, at least {_MIN_HEX_LENGTH} are needed"
    return None


def _registered_hex_problem(algorithm: str, encoded: str) -> str | None:
    length = _HEX_LENGTHS[algorithm]
    if not _HEX.issuperset(encoded):
        return f"the digest's value is not hexadecimal; {algorithm} has {length} digits 0-9a-f"
    if len(encoded) != length:
        return f"the digest has {len(encoded)} hex digits, {algorithm} has {length}"
    if not _LOWER_HEX.issuperset(encoded):
        return "the digest's hex digits must be lowercase"
    return None
