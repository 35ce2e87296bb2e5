"""What a GitHub App's token shall be able to do, by the features that a configuration uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter.rules import is_gated

if TYPE_CHECKING:
    from promoter.config import Config


def needed(config: Config) -> dict[str, str]:
    """The permissions, by GitHub's names for them."""
    from promoter.forges.app_token import permissions_for

    environments, gated = config.environments.values(), is_gated(config)
    pull_requests = [one.pull_request for one in environments]
    return permissions_for(
        gate=gated,
        checks=gated or any(one.pull_request.auto_merge for one in environments),
        teams=any(one.team_reviewers for one in pull_requests),
    )
