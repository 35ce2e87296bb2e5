"""The text of a proposal, from what its head changes on the base."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promoter.outcome import Notice
from promoter.plan import changes_of
from promoter.proposal import body as text
from promoter.proposal.marker import Marker
from promoter.publish.draft import sources_on_base

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promoter.outcome import Change
    from promoter.publish.converge import Table
    from promoter.publish.draft import Draft, Step
    from promoter.validate.model import Finding


@dataclass(frozen=True)
class Description:
    """Title and body, the state in the body, and subject and text of the commit that a merge makes."""

    title: str
    body: str
    marker: Marker
    landing: tuple[str, str]

    def tells_the_same_as(self, known: Marker | None) -> bool:
        """Whether a text with that marker needs no change: where the head is, Git knows better."""
        here = self.marker
        return known is not None and replace(known, head=here.head, fork=here.fork) == here


def describe(table: Table, key: str, draft: Draft, head: str, fork: str, known: Marker | None) -> Description:
    """What a pull request with this head says; ``fork`` is where the head was made from.

    Where the text that is there, ``known`` by its marker, tells the same, it is not made again:
    what stands on the base came from somewhere, and to know from where costs a look at history.
    """
    desk, forge, settings = table.desk, table.forge, table.settings
    environment = desk.rules.environment.name
    wanted = tuple(one for step in draft.steps for one in step.wanted)
    described = text.Described(
        environment,
        wanted,
        _changes(draft.steps),
        Marker(environment, desk.base.base, key, fork, head, wanted),
        gates=table.gates,
        notes=text.notes_of(wanted),
        warnings=draft.notices,
    )
    title = text.title(settings.title, described, forge.longest_title)
    marker = replace(described.marker, told=_told(title, described))
    landing = text.landing_message(desk.rules.config.commit.message, described)
    same = Description(title, "", marker, landing)
    if same.tells_the_same_as(known):
        return same
    checked = desk.check(draft)
    described = replace(
        described,
        marker=marker,
        previous=sources_on_base(desk, draft),
        findings=tuple(as_notice(one) for one in checked.findings if one.introduced),
        diff=checked.diff or None,
    )
    body = text.body(settings.body, described, forge.longest_body)
    return Description(title, body, marker, landing)


def _told(title: str, described: text.Described) -> str:
    """A fingerprint of what people are told, but for line numbers: they move with every push to the base.

    While it stays, a text that people have added to is left alone.
    """
    facts = [
        title,
        [(one.app, one.file, one.before, one.after) for one in described.changes],
        [gate.message for gate in described.gates],
        [(one.code, one.message, one.file) for one in described.warnings],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def as_notice(finding: Finding) -> Notice:
    """A finding as the text tells it."""
    return Notice(finding.validator, finding.message, finding.file, finding.line)


def _changes(steps: Sequence[Step]) -> tuple[Change, ...]:
    listed = (change for step in steps for change in changes_of(step.plan, "proposed"))
    return tuple(change for change in listed if change.status == "proposed")
