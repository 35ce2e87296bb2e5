"""``promoter bump``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

from promoter.cli import options as read
from promoter.cli.options import common, option, repeatable
from promoter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from promoter.cli.output import Output
    from promoter.image import ImageReference
    from promoter.options import BumpOptions

T = TypeVar("T")

EXAMPLES = """\b
Examples:
  promoter bump --manifest-repo https://github.com/acme/deploy --env staging \\
      --image ghcr.io/acme/api:1.4.2
  promoter bump --manifest-repo ../deploy.git --path envs/staging \\
      --image ghcr.io/acme/api:1.4.2 --dry-run
"""


@click.command("bump", epilog=EXAMPLES)
@repeatable(
    "--image", metavar="REF", help="An image as it shall become: NAME:TAG, NAME:TAG@DIGEST or NAME@DIGEST."
)
@option(
    "--build-metadata",
    metavar="FILE",
    help="What docker buildx (build, bake) or metadata-action wrote as JSON: the images, with their digests; "
    "- is the standard input. --image NAME picks some of them.",
)
@option("--app", metavar="NAME", help="What is promoted; by default the first image's app.")
@option("--tag", metavar="TAG", help="With --app, for layouts that hold only a tag.")
@option("--digest", metavar="DIGEST", help="With --tag: the digest it stands for.")
@repeatable("--current", metavar="GLOB", help="Move only sites whose present tag matches.")
@option(
    "--marker",
    metavar="NS:NAME",
    help="Move the values that carry this Flux $imagepolicy marker, whatever image they hold; nothing else.",
)
@option("--only-marked", is_flag=True, help="Move only sites that carry a Flux $imagepolicy marker.")
@option(
    "--match",
    type=click.Choice(["image-keys", "anywhere"]),
    default="image-keys",
    show_default=True,
    help="Where references are looked for: under keys that speak of an image, or in any string.",
)
@repeatable("--exclude", metavar="GLOB", help="Leave files out, by their path in the manifest repository.")
@option(
    "--missing",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="What to do about an image that the environment does not use.",
)
@option("--create", is_flag=True, help="Add the kustomize images entry that an image lacks.")
@option(
    "--pin",
    is_flag=True,
    help="Write the digest also where none stands; where none is given, the one that the registry has.",
)
@option("--drop-digest", is_flag=True, help="Remove digests where they stand.")
@option(
    "--require-image",
    is_flag=True,
    help="Look in the registry first: the image must exist, for all the platforms configured for it.",
)
@option("--allow-downgrade", is_flag=True, help="Land an older version, or an older build.")
@option("--again", is_flag=True, help="Land what already landed here and is no longer current.")
@option("--strict-order", is_flag=True, help="Fail (6) where an older build would end as superseded.")
@option("--strict", is_flag=True, help="Fail (4) on unreadable mentions and sites that cannot be edited.")
@common
@click.pass_obj
def command(output: Output, /, **given: Any) -> None:  # noqa: ANN401 - click hands over what the options name
    """Make images current in an environment, after a build.

    Every image lands, in one commit, or none does. Running it again is safe.
    """
    # The heavy imports wait until the command line is known to be right.
    from promoter.deadline import Deadline

    read.apply_output(output, given)
    deadline = Deadline(given["deadline"])
    environ = dict(os.environ)
    asked = _options(given, environ)
    from promoter import session

    caller = read.caller(given, environ, output.say)

    with session.at_work(caller, deadline, output.debug) as hands:
        from promoter import pipeline  # imported while Git fetches

        output.outcome(pipeline.bump(asked, hands))


def _options(given: dict[str, Any], environ: dict[str, str]) -> BumpOptions:
    """Check what the options say together, and read them."""
    from promoter.decide import Policy
    from promoter.image import parse_digest, parse_reference, parse_tag
    from promoter.intent import Request
    from promoter.options import BumpOptions

    images = tuple(dict.fromkeys(_read("--image", parse_reference, text) for text in given["image"]))
    if given["build_metadata"]:
        from promoter import build_metadata

        built = build_metadata.read(given["build_metadata"])
        images = built.chosen(images)
        given = {**given, "source": given["source"] or built.revision}
    if given["digest"] and not given["tag"]:
        raise UsageError("--digest goes with --tag; an image takes its digest as NAME:TAG@DIGEST")
    if given["tag"] and not given["app"]:
        raise UsageError("--tag goes with --app; an image takes its tag as NAME:TAG")
    if bool(images) == bool(given["tag"]):
        raise UsageError(
            "say what shall land: --image REF (repeatable), --build-metadata FILE, or --app NAME --tag TAG"
        )
    for image in images:
        _check_image(image, images)
    _check_marker(given["marker"], images)
    request = Request(
        images,
        given["app"],
        _read("--tag", parse_tag, given["tag"]) if given["tag"] else None,
        _read("--digest", parse_digest, given["digest"]) if given["digest"] else None,
    )
    return BumpOptions(
        request=request,
        origin=read.origin(given, environ),
        style=read.style(given),
        policy=Policy(
            allow_downgrade=given["allow_downgrade"],
            again=given["again"],
            strict_order=given["strict_order"],
        ),
        current=tuple(given["current"]),
        exclude=read.repository_paths("--exclude", given["exclude"]),
        skip_missing=given["missing"] == "skip",
        strict=given["strict"],
        marker=given["marker"],
        anywhere=given["match"] == "anywhere",
        create=given["create"],
        only_marked=given["only_marked"],
        require_image=given["require_image"],
        lift_hold=given["lift_hold"],
        override=read.override(given),
        **read.where(given),
    )


def _read(option_name: str, parse: Callable[[str], T], text: str) -> T:
    """Parse one value; an error names the option it came from."""
    from promoter.image import InvalidReferenceError

    try:
        return parse(text)
    except InvalidReferenceError as error:
        raise InvalidReferenceError(f"{option_name}: {error.message}", next_step=error.next_step) from None


def _check_marker(marker: str | None, images: tuple[ImageReference, ...]) -> None:
    from promoter.sites.markers import is_policy

    if marker is None:
        return
    if not is_policy(marker):
        raise UsageError(
            f"--marker {marker!r} is no policy", next_step="write NAMESPACE:NAME as in the comment"
        )
    if len(images) > 1:
        raise UsageError("--marker takes one --image", next_step="run once for each marker")


def _check_image(image: ImageReference, images: tuple[ImageReference, ...]) -> None:
    if image.tag is None and image.digest is None:
        raise UsageError(f"--image {image}: a tag or a digest is missing")
    others = [one for one in images if one is not image and one.same_image(image)]
    if others:
        raise UsageError(f"--image names {image.name} twice, as {image} and as {others[0]}")
