"""How a merge request lands on GitLab: https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request.

``auto_merge`` (``merge_when_pipeline_succeeds`` before 17.11) is answered with 405 where
nothing is left to wait for, and a plain merge where something is: the merge request is read
first, and again when it changed in between. Where merge trains are on, a merge call would pass
the train: the merge request is put on it instead (https://docs.gitlab.com/api/merge_trains/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from promoter.forges import gitlab_read
from promoter.forges.calls import CallFailedError
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from promoter.forges.gitlab_calls import Client
    from promoter.forges.port import MergeMethod, PullRequest

Json = dict[str, Any]

_LOOKS = 8  # while GitLab works out whether it can be merged
_TRIES = 3
# Waiting does not help here; somebody has to act.
_STUCK = frozenset({"conflict", "need_rebase", "not_open", "commits_status", "broken_status"})


def land(
    client: Client, path: str, pull_request: PullRequest, method: MergeMethod, title: str, message: str
) -> Literal["armed", "merged"]:
    """Merge or arm. Raises ForgeRefusedError: ``merge-method``, ``merge``, ``auto-merge``."""
    doing = "merging the merge request"
    detail = _settled(client, path)
    for _ in range(_TRIES):
        if detail["state"] == "merged":
            return "merged"
        _require_head(doing, detail, pull_request)
        if _done(detail) == "armed":
            return "armed"
        project = client.settings()
        _require_method(client, doing, project, method, detail)
        waits = detail["detailed_merge_status"] != "mergeable" or gitlab_read.pipeline_runs(detail)
        try:
            if project.get("merge_trains_enabled"):
                return _board(client, doing, path, detail, method, waits=waits)
            order = _order(detail, method, f"{title}\n\n{message}".rstrip(), waits=waits)
            return _merge(client, doing, path, detail, order)
        except CallFailedError as error:
            refusal = client.refusal(doing, error, _reason(error, detail, waits=waits))
        now = _settled(client, path)
        if _standing(now) == _standing(detail):
            break
        detail = now
    raise refusal


def disarm(client: Client, path: str) -> None:
    """Cancel auto-merge where it is armed.

    GitLab's answer to a cancellation that fails has the status 201, so the merge request is
    read again.
    """
    doing = "taking auto-merge back"
    if not client.get("reading the merge request", path).get("merge_when_pipeline_succeeds"):
        return
    try:
        client.post(doing, f"{path}/cancel_merge_when_pipeline_succeeds", {}, expects=(405, 406))
    except CallFailedError as error:
        raise client.refusal(doing, error, "auto-merge") from None
    now = client.get("reading the merge request", path)
    if now["state"] == "opened" and now.get("merge_when_pipeline_succeeds"):
        raise ForgeRefusedError(
            f"{doing}: GitLab keeps it armed", next_step="cancel it in the browser", reason="auto-merge"
        )


def _settled(client: Client, path: str) -> Json:
    deadline = client.connection.deadline
    for look in range(1, _LOOKS + 1):
        detail = client.get("reading the merge request", path)
        if detail["state"] != "opened" or detail["detailed_merge_status"] not in gitlab_read.UNSETTLED:
            break
        if deadline.passed():
            break
        deadline.back_off(look)
    return detail


def _standing(detail: Json) -> tuple[object, ...]:
    return detail["state"], detail["sha"], detail["detailed_merge_status"], gitlab_read.pipeline_runs(detail)


def _done(detail: Json) -> Literal["armed", "merged"] | None:
    if detail["state"] == "merged":
        return "merged"
    return "armed" if detail.get("merge_when_pipeline_succeeds") else None


def _require_head(doing: str, detail: Json, pull_request: PullRequest) -> None:
    if detail["sha"] != pull_request.head:
        raise ForgeRefusedError(
            f"{doing}: its head is {str(detail['sha'])[:12]} now, not {pull_request.head[:12]}",
            next_step="run again: it decides anew",
            reason="merge",
        )


def _require_method(client: Client, doing: str, project: Json, method: MergeMethod, detail: Json) -> None:
    """``merge_method`` and ``squash_option``: https://docs.gitlab.com/api/projects/#project-merge-method."""
    joined, squash = project.get("merge_method", "merge"), project.get("squash_option", "default_off")
    allowed = {
        "squash": squash != "never",
        "merge": joined != "ff" and squash != "always",
        "rebase": joined == "ff" and squash != "always",
    }
    if not allowed[method]:
        names = ", ".join(name for name, fits in allowed.items() if fits)
        raise ForgeRefusedError(
            f"{doing} !{detail['iid']}: {client.connection.project} does not allow the method {method}",
            next_step=f"set auto-merge to one it allows ({names}), or change Settings > Merge requests",
            reason="merge-method",
        )


def _order(detail: Json, method: MergeMethod, text: str, *, waits: bool) -> Json:
    order: Json = {"sha": detail["sha"], "squash": method == "squash", "merge_commit_message": text}
    if method == "squash":
        # Where the project joins by merge commits, one is made on top of the squashed one.
        order["squash_commit_message"] = text
    if waits:
        order |= {"auto_merge": True, "merge_when_pipeline_succeeds": True}
    return order


def _merge(client: Client, doing: str, path: str, detail: Json, order: Json) -> Literal["armed", "merged"]:
    if detail.get("squash") and not order["squash"]:
        # By the project's default; it would win over the order.
        client.put(doing, path, {"squash": False})
    recheck = _done_meanwhile(client, path)
    answer = client.merge(doing, f"{path}/merge", order, detail["target_branch"], recheck)
    if done := _done(answer):
        return done
    why = answer.get("merge_error") or answer.get("detailed_merge_status")
    raise ForgeRefusedError(
        f"{doing}: GitLab left it open ({why})",
        next_step="see the merge request in the browser",
        reason="merge",
    )


def _board(
    client: Client, doing: str, path: str, detail: Json, method: MergeMethod, *, waits: bool
) -> Literal["armed"]:
    train = f"{client.project}/merge_trains/merge_requests/{detail['iid']}"
    order = {"sha": detail["sha"], "squash": method == "squash", "auto_merge": waits}
    client.merge(doing, train, order, detail["target_branch"], _done_meanwhile(client, path), boards=True)
    return "armed"


def _done_meanwhile(client: Client, path: str) -> Callable[[], Json | None]:
    def look() -> Json | None:
        now = client.glance(path)
        return now if _done(now) else None

    return look


def _reason(error: CallFailedError, detail: Json, *, waits: bool) -> str:
    """422 is GitLab's answer, too, to arming what only lacks an approval once its pipeline has succeeded."""
    stuck = detail["detailed_merge_status"] in _STUCK
    return "auto-merge" if waits and not stuck and error.status in (405, 422) else "merge"
