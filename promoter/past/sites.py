"""What stood at a site before, and which build brought what stands there now. Pure (DESIGN §8)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from promoter import edit
from promoter.ci.facts import parse_time
from promoter.decide import Build, SiteHistory, TagDigest
from promoter.proposal.wanted import parse_order, trailers_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from promoter.git.history import Revision
    from promoter.image import ImageReference
    from promoter.intent import Origin
    from promoter.sites.model import Site


def site_history(
    site: Site, wanted: TagDigest, revisions: Sequence[Revision], find: Callable[[bytes], list[Site]]
) -> SiteHistory:
    """Read a site's past from the versions of its file, newest first.

    ``find`` gives the sites of another version, none where it cannot be read.
    """
    present = edit.current(site)
    stood = {revision.commit: _stood_at(site, revision, find) for revision in revisions}
    introduced = _introduced(present, stood, revisions)
    earlier = {_as_expressed(version, wanted) for version in stood.values() if version is not None}
    return SiteHistory(
        build_of(trailers_for(introduced.trailers, site.reference)) if introduced is not None else None,
        tuple(earlier - {_as_expressed(present, wanted)}),
    )


def introduced_by(
    site: Site, revisions: Sequence[Revision], find: Callable[[bytes], list[Site]]
) -> Revision | None:
    """The commit that brought what stands at a site now; None where it is older than ``revisions``."""
    stood = {revision.commit: _stood_at(site, revision, find) for revision in revisions}
    return _introduced(edit.current(site), stood, revisions)


def _introduced(
    present: TagDigest, stood: Mapping[str, TagDigest | None], revisions: Sequence[Revision]
) -> Revision | None:
    """The revision that brought the present value: older ones are followed as long as they hold it too.

    A merge is followed to the side that the value came from. None where it is older than all.
    """
    by_commit = {revision.commit: revision for revision in revisions if stood[revision.commit] == present}
    found, older = None, revisions[0].commit if revisions else None
    while older in by_commit:
        found = by_commit[older]
        older = next((parent for parent in found.parents if parent in by_commit), None)
    return None if found is not None and found.is_edge else found


def _stood_at(site: Site, revision: Revision, find: Callable[[bytes], list[Site]]) -> TagDigest | None:
    if revision.content is None:
        return None
    for one in find(revision.content):
        if one.where == site.where and one.reference.same_image(site.reference):
            return edit.current(one)
    return None


def _as_expressed(version: TagDigest, wanted: TagDigest) -> TagDigest:
    """An earlier version seen as the wanted one is written: with or without tag and digest."""
    tag, digest = version
    return (tag if wanted[0] is not None else None, digest if wanted[1] is not None else None)


def origin_of(trailers: Iterable[tuple[str, str]], image: ImageReference, run: Origin) -> Origin:
    """Where an image came from by the trailers of the commit that brought it, moved by the run ``run``."""
    told = trailers_for(trailers, image)
    build = build_of(told)
    return replace(
        run,
        revision=told.get("Promoter-Source"),
        source_time=build.source_time if build is not None else None,
        source_branch=told.get("Promoter-Source-Branch"),
        order=(build.namespace, build.number)
        if build is not None and build.namespace is not None and build.number is not None
        else None,
    )


def build_of(trailers: Mapping[str, str]) -> Build | None:
    """The build that a commit's trailers name; None where they name none."""
    moment = parse_time(trailers.get("Promoter-Source-Time"))
    namespace, number = parse_order(trailers.get("Promoter-Order", "")) or (None, None)
    return Build(namespace, number, moment) if namespace or moment else None
