"""Assignees and reviewers on GitLab: https://docs.gitlab.com/api/merge_requests/#update-mr.

People are set as a whole list of ids. GitLab passes over whom it does not take: one without
access to the project, and on GitLab Free all but the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promoter.forges import gitlab_read
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.forges.gitlab_calls import Client

Json = dict[str, Any]


def assign(client: Client, path: str, users: Sequence[str]) -> None:
    """Add assignees. Raises ForgeRefusedError ``unknown-assignee`` after the others were assigned."""
    doing = "assigning the merge request"
    known, unknown = _ids_of(client, doing, users)
    present = _present(client, path, "assignees")
    if known.keys() - present.keys():
        unknown += _set(client, doing, path, "assignee", present | known)
    _require_known(doing, unknown, "assignee", alone=len(users) == 1)


def ask_for_reviews(client: Client, path: str, users: Sequence[str], teams: Sequence[str]) -> None:
    """Ask people for a review, again who has answered. Raises ForgeRefusedError after all others were asked.

    GitLab asks again who is taken off and put on again; its API has no other way.
    """
    doing = "asking for reviews"
    known, unknown = _ids_of(client, doing, users)
    present = _present(client, path, "reviewers") if known else {}
    said = reviews(client, path) if present else {}
    if again := gitlab_read.answered(said) & known.keys():
        present = {name: number for name, number in present.items() if name not in again}
        _set(client, doing, path, "reviewer", present)
    if known.keys() - present.keys():
        unknown += _set(client, doing, path, "reviewer", present | known)
    _require_known(doing, unknown, "reviewer", alone=len(users) == 1)
    if teams:
        raise ForgeRefusedError(
            f"{doing}: GitLab has no team reviewers on merge requests ({', '.join(teams)})",
            next_step="use approval rules or a CODEOWNERS file for groups, or name people as reviewers",
            reason="unsupported",
        )


def reviews(client: Client, path: str) -> dict[str, str]:
    """What each reviewer has said: a merge request itself only lists them."""
    found = client.get_all("reading the reviews", f"{path}/reviewers")
    return {one["user"]["username"]: one["state"] for one in found}


def _present(client: Client, path: str, role: str) -> dict[str, int]:
    people = client.get("reading the merge request", path).get(role) or ()
    return {one["username"]: one["id"] for one in people}


def _set(client: Client, doing: str, path: str, role: str, people: Mapping[str, int]) -> list[str]:
    """Returns whom GitLab passed over. The id 0 stands for nobody."""
    answer = client.put(doing, path, {f"{role}_ids": list(people.values()) or [0]})
    taken = gitlab_read.usernames(answer.get(f"{role}s"))
    return [name for name in people if name not in taken]


def _ids_of(client: Client, doing: str, users: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Ids by username, and the usernames that nobody has."""
    known: dict[str, int] = {}
    unknown = []
    for user in users:
        found = client.get_all(doing, "/users", {"username": user})
        same = [one for one in found if one["username"].lower() == user.lower()]
        known |= {one["username"]: one["id"] for one in same}
        if not same:
            unknown.append(user)
    return known, unknown


def _require_known(doing: str, unknown: Sequence[str], role: str, *, alone: bool) -> None:
    if not unknown:
        return
    step = f"name as {role} who has an account there and access to the project"
    if not alone:
        step += f"; GitLab Free takes one {role} only"
    raise ForgeRefusedError(
        f"{doing}: GitLab does not take {', '.join(unknown)} as {role}",
        next_step=step,
        reason=f"unknown-{role}",
    )
