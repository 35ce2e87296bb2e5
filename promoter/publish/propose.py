"""From the plans of runs to the pull request that shall hold them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from promoter.gatekeeper import closed_gates
from promoter.options import template_of
from promoter.plan import wanted_of
from promoter.proposal.branch_name import ALL, branch_name
from promoter.publish.converge import Converged, Table, converge
from promoter.publish.draft import Desk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promoter.hands import Hands
    from promoter.pipeline import Attempt
    from promoter.publish.push import Publisher


def propose(hands: Hands, publisher: Publisher, these: Sequence[Attempt]) -> Converged | None:
    """Have one pull request hold the images of these runs; None where somebody was faster.

    They are several where an environment's apps go together. A plan without edits only heals
    what is there: the base may have overtaken it.
    """
    this = these[0]
    environment = this.rules.environment
    key = ALL if environment.pull_request.group == "environment" else this.plan.intent.app
    name = branch_name(environment.pull_request, environment.name, key)
    telling = [one for one in these if one.plan.says_something]
    if not telling and name not in hands.repository.tips(f"refs/heads/{name}"):
        return Converged()
    template = template_of(this.options)
    desk = Desk(hands.repository, template, this.rules, this.snapshot, hands.write_commit, hands.validate)
    keeper = partial(closed_gates, hands, this.rules, this.snapshot)
    reopen = this.options.policy.explicit  # a person asks for it again
    table = Table(desk, hands.forge(this.rules.config), publisher, keeper, this.number, reopen=reopen)
    ours = [wanted for one in telling for wanted in wanted_of(one.plan, one.options, one.promoter_id)]
    return converge(table, name, key, ours)
