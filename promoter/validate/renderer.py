"""The effects of rendering: read the files of roots, lay them out, run the programs, take what they write."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.git.door import machine_failure
from promoter.validate.limited import run_all
from promoter.validate.reach import explore
from promoter.validate.scratch import (
    MOST_BYTES,
    Rendered,
    absence,
    files_of,
    hindrance,
    job,
    materialise,
    rendered,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.deadline import Deadline
    from promoter.validate.reach import Look, Reach
    from promoter.validate.render import RenderSettings
    from promoter.validate.roots import Root
    from promoter.validate.tree import Tree

_LAID_OUT = 8  # roots whose files are in the scratch directory at once


@dataclass(frozen=True)
class Order:
    """A root of one state of the repository; ``again`` tells renders of the same input apart."""

    root: Root
    tree: Tree
    look: Look
    again: int = 0


@dataclass(frozen=True)
class _Ready:
    """A root with what it is made from."""

    key: bytes
    root: Root
    reach: Reach
    files: Mapping[str, str]
    contents: Mapping[str, bytes]


class Renderer:
    """Renders roots, each input once. ``cache`` holds what is known by the digest of what it is made from."""

    def __init__(
        self, settings: RenderSettings, deadline: Deadline, cache: dict[bytes, Rendered] | None
    ) -> None:
        self._settings = settings
        self._deadline = deadline
        self._cache = {} if cache is None else cache

    def render(self, orders: Sequence[Order]) -> list[Rendered]:
        """What became of each. Raises UnreachableError where a program that is required is absent."""
        reaches = [_reach(one) for one in orders]
        contents = self._contents(orders, reaches)
        prepared = [
            self._prepared(one, reach, contents[id(one.tree)])
            for one, reach in zip(orders, reaches, strict=True)
        ]
        new = {one.key: one for one in prepared if isinstance(one, _Ready) and one.key not in self._cache}
        waiting = list(new.values())
        for start in range(0, len(waiting), _LAID_OUT):
            self._run(waiting[start : start + _LAID_OUT])
        return [self._cache[one.key] if isinstance(one, _Ready) else one for one in prepared]

    def _contents(self, orders: Sequence[Order], reaches: Sequence[Reach]) -> dict[int, dict[str, bytes]]:
        """All files of these roots, read in one batch for each state of the repository."""
        known: dict[int, dict[str, bytes]] = {}
        wanted: dict[int, set[str]] = {}
        trees = {id(one.tree): one.tree for one in orders}
        for one, reach in zip(orders, reaches, strict=True):
            if hindrance(one.root, reach):
                continue
            have = known.setdefault(id(one.tree), {})
            files = set(files_of(one.root, reach, one.look).values())
            have.update({path: one.look.contents[path] for path in files if path in one.look.contents})
            wanted.setdefault(id(one.tree), set()).update(files - have.keys())
        for number, missing in wanted.items():
            if missing:
                known[number].update(trees[number].read(missing))
        return {number: known.get(number, {}) for number in trees}

    def _prepared(self, order: Order, reach: Reach, contents: Mapping[str, bytes]) -> _Ready | Rendered:
        root = order.root
        hindered = hindrance(root, reach)
        if hindered:
            return Rendered(root, None, hindered)
        absent = self._settings.programs.absent(root, reach)
        if absent:
            error = absence(absent)
            if self._settings.render == "required":
                raise error
            return Rendered(root, None, f"{error.message} ({error.next_step})")
        files = files_of(root, reach, order.look)
        if sum(len(contents[path]) for path in files.values()) > MOST_BYTES:
            return Rendered(root, None, f"it is made of more than {MOST_BYTES >> 20} MiB")
        return _Ready(self._key(order, files, contents), root, reach, files, contents)

    def _key(self, order: Order, files: Mapping[str, str], contents: Mapping[str, bytes]) -> bytes:
        settings = (order.root, order.again, self._settings.kubernetes, self._settings.programs)
        digest = hashlib.sha256(repr(settings).encode("utf-8", "surrogateescape"))
        for target, source in sorted(files.items()):
            digest.update(target.encode("utf-8", "surrogateescape") + b"\0")
            digest.update(hashlib.sha256(contents[source]).digest())
        return digest.digest()

    def _run(self, ready: Sequence[_Ready]) -> None:
        settings = self._settings
        try:
            scratch = tempfile.TemporaryDirectory(prefix="render-", dir=settings.scratch)
        except OSError as error:
            raise machine_failure(error) from None
        with scratch as directory:
            places = [Path(directory) / str(number) for number in range(len(ready))]
            for one, place in zip(ready, places, strict=True):
                materialise(place, one.root, one.files, one.contents)
            jobs = [
                job(place, one.root, one.reach, settings.programs, settings.kubernetes)
                for one, place in zip(ready, places, strict=True)
            ]
            ran = run_all(jobs, settings.limits, self._deadline, settings.at_once)
            for one, place, result in zip(ready, places, ran, strict=True):
                self._cache[one.key] = rendered(one.root, result, place, settings.limits.seconds)


def _reach(order: Order) -> Reach:
    """What one tool reads for the root: not what agents make of it."""
    leads = order.root.leads(order.look.listing)
    return explore([(lead, None) for lead in leads], order.look.shallow())
