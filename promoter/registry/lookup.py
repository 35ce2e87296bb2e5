"""What a registry knows of an image: its digest, its platforms, its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.errors import NotFoundError
from promoter.registry import manifest as documents
from promoter.registry.manifest import INDEX_TYPES, MANIFEST_TYPES, InvalidDocumentError, mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from promoter.image import ImageReference
    from promoter.registry.client import Answer, RegistryClient
    from promoter.registry.manifest import RegistryImage

_ACCEPT = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))
# Others, as those of Helm charts, tell neither a platform nor labels.
_CONFIG_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_USUAL = "linux/amd64"  # whose labels speak for an index, where no platform is asked for


def look_up_one(client: RegistryClient, image: ImageReference, wanted: Sequence[str]) -> RegistryImage:
    """The image as its registry has it, of all ``wanted`` platforms.

    Raises NotFoundError (``image-missing``, ``platform-missing``), and all that ``fetch`` does.
    """
    answer = _manifest(client, image, image.tag or image.digest or "latest")
    if answer is None:
        raise _missing(client, image)
    try:
        return _read(client, image, answer, wanted)
    except InvalidDocumentError as error:
        raise client.bad_answer(image, str(error)) from None


def is_there(client: RegistryClient, image: ImageReference) -> bool:
    """Whether the registry has the image: the very one, where the reference has a digest."""
    path = f"manifests/{image.digest or image.tag or 'latest'}"
    return client.fetch("HEAD", image, path, _ACCEPT).status == 200


def _manifest(client: RegistryClient, image: ImageReference, reference: str) -> Answer | None:
    answer = client.fetch("GET", image, f"manifests/{reference}", _ACCEPT)
    return answer if answer.status == 200 else None


def _read(
    client: RegistryClient, image: ImageReference, answer: Answer, wanted: Sequence[str]
) -> RegistryImage:
    digest = _digest(answer, image)
    document = documents.parse_document(answer.body)
    annotations = mapping(document, "annotations")
    if "manifests" not in document:
        config = _config(client, image, document)
        platform = documents.platform_of(config)
        platforms = [platform] if platform is not None else []
        _check_platforms(image, platforms, wanted)
        return documents.image_of(digest, platforms, [_labels(config), annotations])
    entries = {str(documents.platform_of(one["platform"])): one for one in documents.entries_of(document)}
    _check_platforms(image, list(entries), wanted)
    # An index may list what was never pushed, or what a mirror left out.
    looked_at = _of_interest(list(entries), wanted)
    children = {one: _manifest(client, image, entries[one]["digest"]) for one in looked_at}
    gone = [platform for platform, child in children.items() if child is None]
    if gone and wanted:
        raise _platform_missing(image, f"{', '.join(gone)}, which its index lists in vain", entries)
    told = [annotations]
    if looked_at and (child := children[looked_at[0]]) is not None:
        _verify(child, entries[looked_at[0]]["digest"])
        inner = documents.parse_document(child.body)
        told = [_labels(_config(client, image, inner)), mapping(inner, "annotations"), annotations]
    return documents.image_of(digest, list(entries), told)


def _of_interest(platforms: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The platforms that are looked at: those wanted, else the one whose labels speak for all."""
    found = [next(one for one in platforms if documents.satisfies(one, name)) for name in wanted]
    if found:
        return list(dict.fromkeys(found))
    return [_USUAL] if _USUAL in platforms else list(platforms[:1])


def _digest(answer: Answer, image: ImageReference) -> str:
    """The digest of what was asked for, verified: that of the reference, else the registry's own word."""
    told = answer.headers.get("docker-content-digest")
    if image.tag is None and image.digest is not None:
        told = image.digest
    if not documents.is_digest(told) or told is None:
        return documents.digest_of(answer.body)
    _verify(answer, told)
    return told


def _verify(answer: Answer, digest: str) -> None:
    if not documents.matches(digest, answer.body):
        raise InvalidDocumentError(f"its bytes do not have the digest {digest}")


def _config(client: RegistryClient, image: ImageReference, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The image's configuration; empty where the manifest is of something else."""
    descriptor = mapping(document, "config")
    digest = descriptor.get("digest")
    if descriptor.get("mediaType") not in _CONFIG_TYPES or not documents.is_digest(digest):
        return {}
    answer = client.fetch("GET", image, f"blobs/{digest}")
    if answer.status != 200:
        raise InvalidDocumentError("the registry lacks its configuration")
    _verify(answer, str(digest))
    return documents.parse_document(answer.body)


def _labels(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(config, "config"), "Labels")


def _check_platforms(image: ImageReference, platforms: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if not any(documents.satisfies(one, name) for one in platforms)]
    if missing:
        raise _platform_missing(image, ", ".join(missing), platforms)


def _platform_missing(image: ImageReference, what: str, platforms: Iterable[str]) -> NotFoundError:
    there = ", ".join(platforms) or "none that is known"
    return NotFoundError(
        f"{image} is not there for {what}; its platforms are: {there}",
        next_step="build it for that platform too, or correct images[].platforms in the configuration",
        reason="platform-missing",
    )


def _missing(client: RegistryClient, image: ImageReference) -> NotFoundError:
    return NotFoundError(
        f"{image} is not in its registry, {client.address.name}",
        next_step="check that the build has pushed it, and that its name and tag are right",
        reason="image-missing",
    )
