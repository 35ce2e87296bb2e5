"""Flux's ``$imagepolicy`` comments, which say what a value belongs to.

Source: fluxcd.io/flux/guides/image-update, "Configure image update for custom resources":
``# {"$imagepolicy": "<namespace>:<name>[:tag|:name|:digest]"}`` behind a value on its line.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from promoter import yamltext
from promoter.image import ImageReference, looks_like_reference
from promoter.sites import fields
from promoter.sites.image_string import duplicate_problem
from promoter.sites.model import ManifestFile, Part, Place, Site, walk
from promoter.sites.split import read_fields
from promoter.yamltext import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from promoter.sites.model import Role

KEY = "$imagepolicy"
_COMMENT = re.compile(r"[ \t]+#[ \t]*(\{[^\n]*\})[ \t\r]*$", re.MULTILINE)
_POLICY = re.compile(r"(?P<policy>[^\s:]+:[^\s:]+)(?::(?P<field>tag|name|digest))?")


@dataclass(frozen=True, slots=True)
class _Marked:
    """A value with a marker; its ``role`` is what the marker says that it holds."""

    place: Place
    scalar: Scalar
    policy: str
    role: Role


def is_policy(text: str) -> bool:
    """Whether the text names a policy: ``namespace:name``."""
    match = _POLICY.fullmatch(text)
    return match is not None and match["field"] is None


def mark(file: ManifestFile, sites: list[Site]) -> list[Site]:
    """The sites, each with its marker, and a site for every marked value that no format found."""
    if KEY not in file.text:
        return sites
    marked = {one.scalar.event: one for one in _marked(file)}
    found = [_with_marker(site, marked) for site in sites]
    found = [site for site in found if not _is_beside_a_whole(site, marked)]
    explained = {part.scalar.event for site in found for part in site.parts}
    loose: dict[tuple[str, str], list[_Marked]] = defaultdict(list)
    for event, one in marked.items():
        if event not in explained:
            loose[one.place.where.rpartition(".")[0], one.policy].append(one)
    return found + [_site(file.path, where, group) for (where, _), group in loose.items()]


def _marked(file: ManifestFile) -> Iterator[_Marked]:
    for place in walk(file):
        scalar = place.node
        comment = _COMMENT.match(file.text, scalar.end) if isinstance(scalar, Scalar) else None
        match = _POLICY.fullmatch(_policy_text(comment[1])) if comment else None
        if match and isinstance(scalar, Scalar):
            yield _Marked(place, scalar, match["policy"], cast("Role", match["field"] or "reference"))


def _policy_text(comment: str) -> str:
    try:
        said = json.loads(comment)
    except ValueError:
        return ""
    text = said.get(KEY) if isinstance(said, dict) else None
    return text if isinstance(text, str) else ""


def _is_beside_a_whole(site: Site, marked: dict[int, _Marked]) -> bool:
    """Whether a marker says that the name beside a tag is a whole reference: the tag is of something else."""
    wholes = [one.place.where for one in marked.values() if one.role == "reference" and _may_be_whole(one)]
    return site.format == "split" and any(site.where in (where, where.rpartition(".")[0]) for where in wholes)


def _may_be_whole(one: _Marked) -> bool:
    return not one.place.keys or not fields.is_part_only(one.place.keys[-1])


def _with_marker(site: Site, marked: dict[int, _Marked]) -> Site:
    """The site with the marker of its values; a marked name beside them belongs to it."""
    own = {part.role: one for part in site.parts if (one := marked.get(part.scalar.event))}
    if not own:
        return site
    role, first = next(iter(own.items()))
    beside = first.place.where.rpartition(".")[0]
    names = [
        Part("name", one.scalar)
        for one in marked.values()
        if one.role == "name" and (one.place.where.rpartition(".")[0], one.policy) == (beside, first.policy)
    ]
    problem = site.problem
    if first.role != role:
        problem = problem or f"its marker says {first.role} and the value is a {role}"
    return replace(site, marker=first.policy, parts=(*site.parts, *names[:1]), problem=problem)


def _site(path: str, where: str, group: Iterable[_Marked]) -> Site:
    """Marked values of one policy beside each other, whose image nothing names but they."""
    by_role = {one.role: one for one in group}
    first = next(iter(by_role.values()))
    problem = duplicate_problem(first.place.duplicate)
    if whole := by_role.get("reference"):
        text = yamltext.scalar_value(whole.scalar)
        reference = looks_like_reference(text) if text else ImageReference("")
        if reference is None:
            reference, problem = ImageReference(""), "its marker says a whole reference, and it is none"
        elif not _may_be_whole(whole):
            problem = problem or "its marker says a whole reference, and its key holds a part of one"
        parts: tuple[Part, ...] = (Part("reference", whole.scalar),)
    else:
        tag, digest, name = (by_role.get(role) for role in ("tag", "digest", "name"))
        parts, tag_text, digest_text = read_fields(
            tag.scalar if tag else None, digest.scalar if digest else None
        )
        reference = ImageReference(name.scalar.value if name else "", tag_text, digest_text)
        if not parts:
            problem = problem or "only its name is marked, not its tag or digest"
        if name:
            parts = (*parts, Part("name", name.scalar))
    return Site(
        file=path,
        line=parts[0].scalar.line,
        format="marker",
        where=whole.place.where if whole else f"{where}{{{first.policy}}}",
        reference=reference,
        parts=parts,
        problem=problem,
        marker=first.policy,
    )


def select(sites: Iterable[Site], policy: str, image: ImageReference) -> list[Site]:
    """The sites of a policy, to hold an image whatever they hold now, and the image's other sites."""
    return [
        _renamed(site, image) if site.marker == policy else site
        for site in sites
        if site.marker == policy or site.reference.same_image(image)
    ]


def _renamed(site: Site, image: ImageReference) -> Site:
    """The site with the name that an edit writes, where the marker covers the name."""
    named = next((one for one in site.parts if one.role in ("reference", "name")), None)
    if not site.reference.name:
        known = replace(site.reference, name=image.name)
        return replace(site, reference=known, new_name=image.name if named else None)
    if named is None or site.reference.same_image(image):
        return site
    if named.role == "name" and named.scalar.value != site.reference.name:
        return replace(site, problem=site.problem or "its name stands in two fields, one of them marked")
    return replace(site, new_name=image.name)
