"""The images that a build says it made: ``--build-metadata FILE``.

Read is what these write, told apart by their keys:

* ``docker buildx build --metadata-file`` (docs.docker.com, "docker buildx build"), which is
  also the ``metadata`` output of docker/build-push-action: ``image.name``, names and tags
  joined by commas, and ``containerimage.digest``;
* ``docker buildx bake --metadata-file`` ("docker buildx bake"): one such object a target;
* the ``json`` output of docker/metadata-action (its README, "outputs"): ``tags`` and
  ``labels``, without a digest.

The revision is the label ``org.opencontainers.image.revision``, else the ``vcs`` of the
provenance ("Provenance attestations", SLSA 0.2 and 1). The file may come from anywhere: it
is bounded, and nothing in it is believed before it has the form that it should have.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from promoter.errors import UsageError
from promoter.image import ImageReference, InvalidReferenceError, parse_digest, parse_reference
from promoter.version import parse_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

_MOST_BYTES = 16 * 1024 * 1024  # a full provenance holds the whole build
_MOST_NAMES = 500
_NAME = "image.name"
_DIGEST = "containerimage.digest"
_CONFIG_DIGEST = "containerimage.config.digest"
_OF_A_BUILD = (_NAME, _DIGEST, _CONFIG_DIGEST, "buildx.build.ref")
_REVISION = "org.opencontainers.image.revision"
_PROVENANCE = "buildx.build.provenance"  # or, for several platforms, with one of them behind a slash
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # a tree with changes is told as ``<commit>-dirty``
_COMMIT_IN_TAG = re.compile(r"(?:.*[-_.])?g?[0-9a-f]{7,40}")
_PUSH = "push the image: docker buildx build --push --metadata-file FILE, or push: true"


@dataclass(frozen=True)
class BuildMetadata:
    """Every name and tag that the file ``source`` tells, in its order, and the commit they were built of."""

    source: str
    images: tuple[ImageReference, ...]
    revision: str | None = None

    def chosen(self, asked: tuple[ImageReference, ...]) -> tuple[ImageReference, ...]:
        """One reference for each image of the file, or of those asked for; with the digest it tells.

        Who asks for a name gets the `most_specific` tag, who asks for a tag or digest that one.

        Raises UsageError for what the file does not have.
        """
        if not asked:
            by_name: dict[tuple[str, str], list[ImageReference]] = {}
            for image in self.images:
                by_name.setdefault(image.key, []).append(image)
            return tuple(self._only(images) for images in by_name.values())
        return tuple(self._one(image) for image in asked)

    def _only(self, images: list[ImageReference]) -> ImageReference:
        other = next((one for one in images if one.digest != images[0].digest), None)
        if other is not None:
            raise UsageError(
                f"--build-metadata tells of two builds of {other.name}: {images[0]} and {other}",
                file=self.source,
                next_step="say which one: --image NAME:TAG",
            )
        return most_specific(images)

    def _one(self, asked: ImageReference) -> ImageReference:
        found = [
            one
            for one in self.images
            if one.same_image(asked)
            and asked.tag in (None, one.tag)
            and (asked.digest is None or asked.digest == one.digest)
        ]
        if not found:
            told = ", ".join(str(one) for one in self.images[:5])
            more = f" and {len(self.images) - 5} more" if len(self.images) > 5 else ""
            raise UsageError(
                f"--image {asked} is none of those that --build-metadata tells: {told}{more}",
                file=self.source,
                next_step="give an image of this build, or leave --image out to take them all",
            )
        return self._only(found)


def most_specific(images: list[ImageReference]) -> ImageReference:
    """Of several tags of one image the one that moves least; of equals the first.

    A version of three numbers (``1.4.2``, ``v1.4.2-rc.1``), then what names a build, a date
    or a commit (``main-42``, ``20260301``, ``sha-90dd603``), then ``1.4``, then ``1``, then
    any other word, then ``latest``.
    """
    return max(images, key=lambda image: _rank(image.tag or ""))  # the first of several that are greatest


def _rank(tag: str) -> int:
    if tag in ("", "latest"):
        return 0
    version = parse_version(tag)
    numbers = len(version.release) if version else 0
    if numbers >= 3:
        return 5
    if (version and (version.stamp or version.builds or version.ids)) or _COMMIT_IN_TAG.fullmatch(tag):
        return 4
    return 1 + numbers


# --- the file


def read(source: str) -> BuildMetadata:
    """The metadata in the file, ``-`` being the standard input.

    Raises UsageError where it cannot be read, is no such document, or tells of no image
    that was pushed.
    """
    document = _document(source)
    if isinstance(document.get("tags"), list):
        named = _bounded(_of_action(document, source), source)
        return BuildMetadata(source, named, _label(document.get("labels")))
    builds = _builds(document, source)
    images = [image for target, build in builds for image in _of_build(build, target, source)]
    if not any(_NAME in build for _, build in builds):
        raise UsageError(
            f"the build pushed no image under a name: {_NAME} is missing", file=source, next_step=_PUSH
        )
    revisions = {_revision(build) for _, build in builds if _NAME in build}
    return BuildMetadata(source, _bounded(images, source), revisions.pop() if len(revisions) == 1 else None)


def _document(source: str) -> dict[str, Any]:
    try:
        if source == "-":
            data = sys.stdin.buffer.read(_MOST_BYTES + 1) if sys.stdin else b""
        else:
            with Path(source).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"--build-metadata: {error.strerror}", file=source, next_step="give a file that can be read"
        ) from None
    if len(data) > _MOST_BYTES:
        raise UsageError(
            f"--build-metadata: more than {_MOST_BYTES // 1024 // 1024} MiB",
            file=source,
            next_step="give what --metadata-file wrote; BUILDX_METADATA_PROVENANCE=min keeps it small",
        )
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise UsageError(
            "--build-metadata is not JSON",
            file=source,
            line=line,
            next_step="give what docker buildx wrote with --metadata-file, as it is",
        ) from None
    if not isinstance(document, dict):
        raise _unknown(source)
    return document


def _unknown(source: str) -> UsageError:
    return UsageError(
        f"--build-metadata tells of no build: neither {_NAME} and {_DIGEST} (docker buildx build, "
        "build-push-action), nor a target that has them (bake), nor tags (metadata-action)",
        file=source,
        next_step="give what --metadata-file wrote, or the output metadata or json of the action",
    )


def _builds(document: dict[str, Any], source: str) -> list[tuple[str, dict[str, Any]]]:
    """Pairs of a target's name, empty for the only one, and what was built."""
    if any(key in document for key in _OF_A_BUILD):
        return [("", document)]
    targets = [
        (f"target {name!r}: ", value)
        for name, value in document.items()
        if isinstance(value, dict) and any(key in value for key in _OF_A_BUILD)
    ]
    if not targets:
        raise _unknown(source)
    return targets


def _of_build(build: dict[str, Any], target: str, source: str) -> Iterator[ImageReference]:
    """The references of one build; none where it has no name."""
    names, digest = build.get(_NAME), build.get(_DIGEST)
    if names is None:
        return
    if not isinstance(names, str) or not isinstance(digest, str):
        missing = _NAME if not isinstance(names, str) else _DIGEST
        raise UsageError(f"{target}{missing} is missing or no text", file=source, next_step=_PUSH)
    if digest == build.get(_CONFIG_DIGEST):
        # The registry's digest takes its place once the image is pushed (docker/buildx, build/build.go).
        raise UsageError(
            f"{target}{_DIGEST} is that of the image's configuration: it was loaded and not pushed",
            file=source,
            next_step=_PUSH,
        )
    digest = _read(f"{target}{_DIGEST}", parse_digest, digest, source)
    for text in filter(None, map(str.strip, names.split(","))):
        image = _read(f"{target}{_NAME}", parse_reference, text, source)
        yield ImageReference(image.name, image.tag, digest)


def _of_action(document: dict[str, Any], source: str) -> Iterator[ImageReference]:
    for text in document["tags"]:
        image = _read("tags", parse_reference, text if isinstance(text, str) else repr(text), source)
        if image.tag is None:
            raise UsageError(f"tags: {image} has no tag", file=source, next_step="give it one")
        yield image


def _bounded(images: Iterable[ImageReference], source: str) -> tuple[ImageReference, ...]:
    listed = tuple(dict.fromkeys(islice(images, _MOST_NAMES + 1)))
    if len(listed) > _MOST_NAMES:
        raise UsageError(
            f"--build-metadata names more than {_MOST_NAMES} images",
            file=source,
            next_step="give one build's file at a time",
        )
    if not listed:
        raise UsageError(
            "--build-metadata names no image", file=source, next_step="give the build a tag: --tag NAME:TAG"
        )
    return listed


def _read(where: str, parse: Callable[[str], T], text: str, source: str) -> T:
    try:
        return parse(text)
    except InvalidReferenceError as error:
        raise InvalidReferenceError(
            f"{where}: {error.message}", file=source, next_step=error.next_step
        ) from None


# --- the revision


def _revision(build: dict[str, Any]) -> str | None:
    """The commit of one build, where all of its platforms agree."""
    annotated = _label(_at(build, "containerimage.descriptor", "annotations"))
    if annotated:
        return annotated
    statements = [value for key, value in build.items() if key.partition("/")[0] == _PROVENANCE]
    found = {_of_provenance(statement) for statement in statements}
    return found.pop() if len(found) == 1 else None


def _of_provenance(statement: object) -> str | None:
    arguments = (
        _at(statement, "invocation", "parameters", "args"),
        _at(statement, "buildDefinition", "externalParameters", "request", "args"),
    )
    labels = [_label(one, f"label:{_REVISION}") for one in arguments]
    vcs = [
        _label(_at(statement, "metadata", "https://mobyproject.org/buildkit@v1#metadata", "vcs"), "revision"),
        _label(_at(statement, "runDetails", "metadata", "buildkit_metadata", "vcs"), "revision"),
    ]
    return next(filter(None, [*labels, *vcs]), None)


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _label(labels: object, name: str = _REVISION) -> str | None:
    """A whole commit id below this name; None for anything else."""
    value = labels.get(name) if isinstance(labels, dict) else None
    return value if isinstance(value, str) and _COMMIT.fullmatch(value) else None
