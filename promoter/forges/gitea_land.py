"""Whether a pull request on Gitea can be merged, and how it lands.

``POST …/merge`` merges at once or answers 405 and why not; with ``merge_when_checks_succeed``
it schedules, whatever the head is and whether or not the method is allowed: both are looked
at before and after. https://docs.gitea.com/usage/automerge
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from promoter.errors import DeniedError
from promoter.forges.calls import CallFailedError
from promoter.forges.gitea_calls import PAGE
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from promoter.forges.gitea_calls import Client
    from promoter.forges.port import MergeMethod, PullRequest

Json = dict[str, Any]

_SETTLED_AFTER = timedelta(seconds=6)  # Gitea polls its queue of conflict checks every two seconds
_LOOKS = 12
_TRIES = 8
_ALLOWED: dict[MergeMethod, str] = {
    "merge": "allow_merge_commits",
    "squash": "allow_squash_merge",
    "rebase": "allow_rebase",
}
# What people or checks will change; Gitea looks again when they do.
_WAITS = ("required status checks", "enough approvals", "requested changes", "official review requests")
_AGAIN = ("try again later", "merge push out of date")


class Watch:
    """When this run first saw each commit of a base: the forge tells only when a repository last changed."""

    def __init__(self) -> None:
        self._seen: dict[str, datetime] = {}

    def since(self, commit: str, now: datetime) -> datetime:
        """When it was first asked for, by the server's clock."""
        return self._seen.setdefault(commit, now)


def is_conflicting(client: Client, pull: Json, watch: Watch) -> bool | None:
    """Whether the open pull request conflicts with its base.

    ``mergeable`` is also false while Gitea checks, which it does anew after each push to head
    or base. Where both sides have changed none of the same files there is no conflict;
    else false is believed once the last push is some seconds ago. None for drafts, which are
    never mergeable.
    """
    doing = f"reading pull request {pull['number']}"
    if pull["mergeable"] or not _overlap(client, doing, pull):
        return False
    if pull["draft"]:
        return None
    deadline = client.connection.deadline
    for look in range(1, _LOOKS + 1):
        pull = client.get(doing, f"/pulls/{pull['number']}")
        if pull["mergeable"]:
            return False
        if _pushed(pull, watch, client.clock) + _SETTLED_AFTER < client.clock or deadline.passed():
            return True
        deadline.back_off(look, longest=1.0)
    return True


def _pushed(pull: Json, watch: Watch, now: datetime) -> datetime:
    """The latest time at which head or base can have been pushed to."""
    base = pull["base"]
    changed = datetime.fromisoformat(base["repo"]["updated_at"])
    return max(datetime.fromisoformat(pull["updated_at"]), min(changed, watch.since(base["sha"], now)))


def _overlap(client: Client, doing: str, pull: Json) -> bool:
    """Whether head and base have changed the same file since they parted; yes, where that is not known."""
    path = f"/compare/{pull['merge_base']}...{pull['base']['sha']}"
    try:
        theirs = client.get(doing, path, expects=(400, 404))["commits"] or ()
    except CallFailedError:
        return True
    changed = {file["filename"] for commit in theirs for file in commit["files"] or ()}
    ours = client.every(doing, f"/pulls/{pull['number']}/files")
    return any(name in changed for file in ours for name in (file["filename"], file.get("previous_filename")))


def timeline(client: Client, pull: Json) -> list[Json]:
    """All that has happened to it, oldest first.

    Gitea counts only what it shows of a page, and leaves out comments on code.
    """
    found: list[Json] = []
    number = 1
    while True:
        path = f"/issues/{pull['number']}/timeline"
        more, _ = client.page(f"reading pull request {pull['number']}", path, number)
        found += more
        if len(more) + (pull.get("review_comments") or 0) <= PAGE // 2:
            return found
        number += 1


def land(
    client: Client, pull_request: PullRequest, method: MergeMethod, title: str, message: str, watch: Watch
) -> Literal["armed", "merged"]:
    """Merge, or arm auto-merge where people or checks are waited for.

    Raises:
        ForgeRefusedError: ``merge`` (head moved, conflict, …), ``merge-method``, ``draft``, ``auto-merge``.
        DeniedError: the token's account may not merge into the base.
    """
    doing = f"merging pull request {pull_request.number}"
    path = f"/pulls/{pull_request.number}"
    order = {"Do": method, "MergeTitleField": title, "MergeMessageField": message}
    for attempt in range(1, _TRIES + 1):
        pull = client.get(doing, path)
        if pull["merged"]:
            return "merged"
        _require_head(client, doing, pull, pull_request)
        _require_method(doing, pull, method)
        try:
            _merge(client, doing, path, {**order, "head_commit_id": pull_request.head})
        except CallFailedError as error:
            if any(words in error.message for words in _WAITS):
                return _arm(client, pull_request, path, order)
            again = any(words in error.message for words in _AGAIN) and attempt < _TRIES
            if not again or client.connection.deadline.passed() or is_conflicting(client, pull, watch):
                raise _not_merged(client, doing, pull, error) from None
            client.connection.deadline.back_off(attempt)
        else:
            return "merged"
    raise AssertionError  # the last attempt returns or raises


def disarm(client: Client, pull_request: PullRequest) -> None:
    """Take auto-merge back, where it is armed."""
    doing = f"disarming auto-merge of pull request {pull_request.number}"
    try:
        client.delete(doing, f"/pulls/{pull_request.number}/merge", expects=(404,))
    except CallFailedError:
        client.get(doing, f"/pulls/{pull_request.number}")  # 404 is also the answer where there is none


def _merge(client: Client, doing: str, path: str, order: Json) -> None:
    def merged() -> Json | None:
        pull: Json = client.get(doing, path)
        return pull if pull["merged"] else None

    client.post(doing, f"{path}/merge", order, expects=(404, 405, 409, 422), recheck=merged)


def _arm(client: Client, pull_request: PullRequest, path: str, order: Json) -> Literal["armed", "merged"]:
    """Schedule it, in the place of what was scheduled before: that may have another message or method."""
    doing = f"arming auto-merge of pull request {pull_request.number}"
    order = {**order, "merge_when_checks_succeed": True}
    try:
        client.post(doing, f"{path}/merge", order, expects=(404, 405, 409))
    except CallFailedError as error:
        if "already scheduled" not in error.message:
            raise client.refusal(doing, error, "auto-merge") from None
        disarm(client, pull_request)
        client.post(doing, f"{path}/merge", order)
    pull = client.get(doing, path)
    if pull["merged"]:
        return "merged"
    try:
        _require_head(client, doing, pull, pull_request)
    except ForgeRefusedError:
        disarm(client, pull_request)
        raise
    return "armed"


def _require_head(client: Client, doing: str, pull: Json, pull_request: PullRequest) -> None:
    head = client.head(doing, pull)
    if pull["state"] != "open" or head != pull_request.head:
        raise ForgeRefusedError(
            f"{doing}: it is {pull['state']} at {head[:12]}, not open at {pull_request.head[:12]}",
            next_step="run again: it looks at the new head",
            reason="merge",
        )


def _require_method(doing: str, pull: Json, method: MergeMethod) -> None:
    repository = pull["base"]["repo"]
    if not repository.get(_ALLOWED[method], True):
        allowed = ", ".join(name for name, key in _ALLOWED.items() if repository.get(key))
        raise ForgeRefusedError(
            f"{doing}: {repository['full_name']} does not allow the method {method}",
            next_step=f"set auto-merge to one it allows ({allowed or 'none of ours'}), "
            "or allow it in the repository's settings",
            reason="merge-method",
        )


def _not_merged(
    client: Client, doing: str, pull: Json, error: CallFailedError
) -> ForgeRefusedError | DeniedError:
    base = pull["base"]["ref"]
    if "not allowed to merge" in error.message and "reason" not in error.message:
        return DeniedError(
            f"{doing}: the token's account may not merge into {base} ({error.message})",
            next_step=f"let it merge in the protection of {base}",
            reason="permission",
        )
    known = {
        "Work in progress": (
            "draft",
            "set pull-request.draft to false, or take the draft's mark off its title",
        ),
        "merge style": ("merge-method", "allow the method in the repository's settings"),
        "head out of date": ("merge", "run again: it looks at the new head"),
        "behind the base": ("merge", "run promoter sync: it builds the head anew"),
        "try again later": ("merge", "run promoter sync: it builds the head anew if it conflicts"),
    }
    reason, step = next((found for words, found in known.items() if words in error.message), ("merge", None))
    return client.refusal(doing, error, reason, step)
