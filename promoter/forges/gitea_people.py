"""Labels, assignees and reviewers of a pull request on Gitea."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promoter.forges.calls import CallFailedError
from promoter.forges.gitea_read import logins
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promoter.forges.gitea_calls import Client

Json = dict[str, Any]

_LONGEST_LABEL = 50  # the rest is cut off, and the label never found again
_LABEL_COLOR = "#ededed"


def add_labels(client: Client, number: int | None, labels: Sequence[str]) -> None:
    """Add labels by name; those that neither repository nor organization has are created.

    Gitea 1.22 and newer take names (https://github.com/go-gitea/gitea/pull/30943), and pass
    over those that they do not know.
    """
    doing = f"labelling pull request {number}"
    path = f"/issues/{number}/labels"
    if long := [name for name in labels if len(name) > _LONGEST_LABEL]:
        raise ForgeRefusedError(
            f"{doing}: {', '.join(long)} is longer than the {_LONGEST_LABEL} characters that Gitea keeps",
            next_step="choose a shorter label",
            reason="label",
        )
    added = {label["name"] for label in client.post(doing, path, {"labels": list(labels)}) or ()}
    if absent := [name for name in labels if name not in added]:
        for name in absent:
            _create_label(client, doing, name)
        client.post(doing, path, {"labels": absent})


def _create_label(client: Client, doing: str, name: str) -> None:
    label = {"name": name, "color": _LABEL_COLOR}
    try:
        client.post(doing, "/labels", label, expects=(400, 404, 409, 422))
    except CallFailedError as error:
        step = f"create the label {name} in the repository's settings"
        raise client.refusal(doing, error, "label", step) from None


def add_assignees(client: Client, number: int | None, users: Sequence[str]) -> None:
    """Assign people besides those who are.

    Gitea answers 500 where somebody may not be assigned, so they are looked up first.
    """
    doing = f"assigning pull request {number}"
    possible = {login.lower(): login for login in logins(client.get(doing, "/assignees"))}
    known = [possible[user.lower()] for user in users if user.lower() in possible]
    present = logins(client.get(doing, f"/pulls/{number}")["assignees"])
    if not set(known) <= set(present):
        client.patch(doing, f"/pulls/{number}", {"assignees": sorted({*present, *known})})
    if unknown := [user for user in users if user.lower() not in possible]:
        raise ForgeRefusedError(
            f"{doing}: {', '.join(unknown)} cannot be assigned",
            next_step="name people who have an account there and write access to the repository",
            reason="unknown-assignee",
        )


def request_reviews(client: Client, number: int | None, users: Sequence[str], teams: Sequence[str]) -> None:
    """Ask one by one, so that an unknown name stops nobody else."""
    doing = f"asking for reviews of pull request {number}"
    refused: dict[str, str] = {}
    asked: list[tuple[str, Json]] = [
        *((user, {"reviewers": [user]}) for user in users),
        *((f"team/{team}", {"team_reviewers": [team]}) for team in teams),
    ]
    for name, data in asked:
        try:
            client.post(doing, f"/pulls/{number}/requested_reviewers", data, expects=(404, 422))
        except CallFailedError as error:
            refused[name] = error.message
    if teams:
        # Where the owner is no organization, Gitea passes over teams without a word.
        pull = client.get(doing, f"/pulls/{number}")
        there = {team["name"].lower() for team in pull["requested_reviewers_teams"] or ()}
        for team in teams:
            if team.lower() not in there:
                refused.setdefault(f"team/{team}", "the repository's owner has no such team")
    if refused:
        all_teams = all(name.startswith("team/") for name in refused)
        raise ForgeRefusedError(
            f"{doing}: {'; '.join(f'{name}: {message}' for name, message in refused.items())}",
            next_step="name people who may read the repository, but not the pull request's author, "
            "and teams of the organization that owns it",
            reason="unknown-team" if all_teams else "unknown-reviewer",
        )
