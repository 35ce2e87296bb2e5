"""From one run's plan to the pull request that shall hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.options import template_of
from promoter.proposal.branch_name import ALL, branch_name
from promoter.proposal.wanted import Wanted, options_of
from promoter.publish.converge import Converged, Table, converge
from promoter.publish.draft import Desk

if TYPE_CHECKING:
    from promoter.pipeline import Attempt, Hands
    from promoter.publish.push import Publisher


def propose(hands: Hands, publisher: Publisher, this: Attempt) -> Converged | None:
    """Have the environment's pull request hold the plan's images; None where somebody was faster.

    A plan without edits only heals what is there: the base may have overtaken it.
    """
    environment, plan = this.rules.environment, this.plan
    key = ALL if environment.pull_request.group == "environment" else plan.intent.app
    name = branch_name(environment.pull_request, environment.name, key)
    if not plan.edits and name not in hands.repository.tips(f"refs/heads/{name}"):
        return Converged()
    template = template_of(this.options)
    desk = Desk(hands.repository, template, this.rules, this.snapshot, hands.write_commit, hands.validate)
    table = Table(desk, hands.forge(this.rules.config), publisher, this.gates, this.number)
    return converge(table, name, key, _wanted(this) if plan.edits else ())


def _wanted(this: Attempt) -> tuple[Wanted, ...]:
    """The images of this run that the environment uses."""
    intent = this.plan.intent
    return tuple(
        Wanted(decision.wish.image, intent.app, intent.origin, this.promoter_id, options_of(this.options))
        for decision in this.plan.decisions
    )
