"""The look-up as a step of a run: what is wanted, as its registry has it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from promoter.config import environment
from promoter.errors import NotFoundError
from promoter.intent import intent_of
from promoter.registry import look_up
from promoter.rules import rule_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promoter.config import Config
    from promoter.deadline import Deadline
    from promoter.image import ImageReference
    from promoter.options import BumpOptions
    from promoter.registry.manifest import RegistryImage


def checked(
    options: BumpOptions,
    config: Config,
    environ: Mapping[str, str],
    deadline: Deadline,
    verbose: Callable[[str], None],
) -> BumpOptions:
    """The options with what the registries say of the images; the same ones where nobody asked.

    ``--require-image`` asks for every image, ``--pin`` for those without a digest. To be called
    once a run: a tag that moves in between shall not make one run land two digests.

    Raises NotFoundError (``image-missing``, ``platform-missing``, ``digest-differs``), and all that
    ``look_up`` does.
    """
    if not (options.require_image or options.style.pin):
        return options
    named = _named(options, config)
    asked = [image for image in named.request.images if options.require_image or image.digest is None]
    if not asked:
        return options
    # What a person moves by its digest is that build, wherever its tag has moved since.
    sought = {(_by_digest(image) if options.policy.explicit else image): image for image in asked}
    found = look_up(
        list(sought),
        platforms=lambda image: _platforms(image, config),
        environ=environ,
        deadline=deadline,
        verbose=verbose,
    )
    return pinned(named, {sought[image]: there for image, there in found.items()})


def _named(options: BumpOptions, config: Config) -> BumpOptions:
    """The options with the images that ``--app --tag`` means. Raises as ``intent_of``."""
    if options.request.images:
        return options
    only = next(iter(config.environments.values()))  # of --path
    where = only if options.paths else environment(config, options.environment or "")
    images = intent_of(options.request, options.origin, config, where).images
    return replace(options, request=replace(options.request, images=images))


def pinned(options: BumpOptions, found: Mapping[ImageReference, RegistryImage]) -> BumpOptions:
    """The options with digests where ``--pin`` wants them, and the revision where nobody gave one. Pure.

    The revision is that of the labels, if all images agree. The build's time is none of the
    source's, so it orders nothing.

    Raises NotFoundError (``digest-differs``) where a given digest is another one.
    """
    for image, there in found.items():
        if image.digest is not None and image.digest != there.digest:
            raise NotFoundError(
                f"{replace(image, digest=None)} is {there.digest} in its registry, not {image.digest}",
                next_step="give the digest of what the tag names (of the index, not of one platform), "
                "or leave the digest out and have it looked up with --pin",
                reason="digest-differs",
            )
    images = tuple(_with_digest(image, options, found.get(image)) for image in options.request.images)
    revisions = {there.revision for there in found.values()}
    origin = options.origin
    if origin.revision is None and len(revisions) == 1 and len(found) == len(images):
        origin = replace(origin, revision=revisions.pop())
    return replace(options, request=replace(options.request, images=images), origin=origin)


def _with_digest(image: ImageReference, options: BumpOptions, there: RegistryImage | None) -> ImageReference:
    if there is None or not options.style.pin:
        return image
    return replace(image, digest=there.digest)


def _platforms(image: ImageReference, config: Config) -> tuple[str, ...]:
    rule = rule_of(image, config)
    return rule.platforms if rule is not None else ()


def _by_digest(image: ImageReference) -> ImageReference:
    return replace(image, tag=None) if image.digest else image
