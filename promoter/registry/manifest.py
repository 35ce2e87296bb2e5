"""What a registry's documents say: digests, platforms, annotations. Pure, and nothing in them is trusted.

OCI image spec: "Image Index", "Image Manifest", "Image Configuration", "Annotations"; Docker's
"Image Manifest Version 2, Schema 2" has the same shape.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
MAX_BYTES = 4 << 20  # of a document; distribution's own limit for manifests

_DIGEST = re.compile(r"(sha256|sha384|sha512):([0-9a-f]{64,128})")
_WORD = re.compile(r"[a-z0-9._-]{1,32}")
_LONGEST_LABEL = 1024
_PREFIX = "org.opencontainers.image."
# containerd's platforms.Normalize: what these architectures are without a word about the variant.
_USUAL_VARIANTS = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


class InvalidDocumentError(ValueError):
    """The document is not what its place promises; the text says why."""


@dataclass(frozen=True)
class RegistryImage:
    """An image as its registry has it.

    ``digest`` is that of what the reference names: an index as it is, never one of its platforms.
    ``platforms`` are ``os/architecture[/variant]``. The rest are the OCI annotations of the same
    names, from the labels of the image's configuration, else from manifest or index: ``source`` is
    the URL of the source repository, ``revision`` the commit there, ``created`` when the image was
    built (with zone; of a reproducible build any time at all, so it orders nothing).
    """

    digest: str
    platforms: tuple[str, ...] = ()
    source: str | None = None
    revision: str | None = None
    created: datetime | None = None
    version: str | None = None


def digest_of(content: bytes) -> str:
    """The digest of some bytes, by SHA-256."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_digest(text: object) -> bool:
    """Whether this is a digest that can be verified here."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def matches(digest: str, content: bytes) -> bool:
    """Whether the bytes have this digest, of SHA-256, 384 or 512."""
    match = _DIGEST.fullmatch(digest)
    return match is not None and hashlib.new(match[1], content).hexdigest() == match[2]


def parse_document(content: bytes) -> dict[str, Any]:
    """A JSON object. Raises InvalidDocumentError."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidDocumentError("it is no JSON object")
    # A document that is both is read as either by different clients (CVE-2021-41190).
    if "manifests" in document and ("config" in document or "layers" in document):
        raise InvalidDocumentError("it is an index and a manifest at once")
    return document


def entries_of(index: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The images of an index that name their platform; attestations are there as ``unknown/unknown``."""
    listed = index["manifests"]
    if not isinstance(listed, list):
        raise InvalidDocumentError("its manifests are no list")
    return tuple(
        one
        for one in listed
        if isinstance(one, dict)
        and one.get("mediaType") in MANIFEST_TYPES
        and is_digest(one.get("digest"))
        and platform_of(one.get("platform")) is not None
    )


def platform_of(described: object) -> str | None:
    """``os/architecture[/variant]`` of an index's entry or an image's configuration."""
    if not isinstance(described, dict):
        return None
    words = [described.get("os"), described.get("architecture"), described.get("variant") or None]
    found = [word for word in words if isinstance(word, str) and _WORD.fullmatch(word)]
    if len(found) != len([word for word in words if word is not None]) or len(found) < 2:
        return None
    return None if "unknown" in found else "/".join(found)


def satisfies(platform: str, wanted: str) -> bool:
    """Whether an image for ``platform`` is one for ``wanted``; without a variant any is meant."""
    if wanted.count("/") == 1:
        return platform == wanted or platform.startswith(f"{wanted}/")
    return _whole(platform) == _whole(wanted)


def _whole(platform: str) -> str:
    usual = _USUAL_VARIANTS.get(platform.partition("/")[2])
    return f"{platform}/{usual}" if usual else platform


def image_of(digest: str, platforms: Sequence[str], told: Sequence[Mapping[str, Any]]) -> RegistryImage:
    """The image; of each annotation the first of ``told`` that has it decides."""

    def text(name: str) -> str | None:
        values = (one.get(_PREFIX + name) for one in told)
        return next((value for value in values if _is_plain(value)), None)

    return RegistryImage(
        digest,
        tuple(dict.fromkeys(platforms)),
        text("source"),
        text("revision"),
        _time(text("created")),
        text("version"),
    )


def mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A part of a document that is an object; empty where it is none."""
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_LABEL and value.isprintable()


def _time(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
