"""Auto-merge on GitHub: arming it, or merging where it would have nothing to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from github.GithubObject import NotSet
from github.PullRequest import PullRequest as Pull

from promoter.forges import github_graphql as graphql
from promoter.forges.calls import CallFailedError
from promoter.forges.github_permissions import MERGE
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from promoter.forges.github_client import Client
    from promoter.forges.port import MergeMethod, PullRequest

_PULL = ("repository", "pullRequest")
_REREADS = 5
_MERGES = 3  # where somebody else moves the base in between
_NOTHING_TO_WAIT_FOR = ("CLEAN", "HAS_HOOKS")


def address(client: Client, pull_request: PullRequest) -> dict[str, Any]:
    """The variables that name a pull request in a query."""
    owner, _, name = client.project.partition("/")
    return {"owner": owner, "name": name, "number": pull_request.number}


def land(
    client: Client, pull_request: PullRequest, method: MergeMethod, title: str, message: str
) -> Literal["armed", "merged"]:
    """Arm auto-merge, or merge; a pull request in a merge queue, or merged already, is left as it is.

    GitHub refuses to arm what could be merged at once, and asks to merge it instead.

    Raises:
        ForgeRefusedError: ``merge`` (head moved, conflict, …), ``auto-merge``, ``merge-method``.
    """
    pull = _read(client, pull_request)
    if pull["state"] == "MERGED":
        return "merged"
    _require_head(pull_request, pull)
    if pull["isInMergeQueue"]:
        return "armed"
    armed = pull["autoMergeRequest"]
    if armed is not None:
        if _is_same(armed, method, title, message):
            return "armed"
        _disarm(client, pull_request, pull["id"])
    if pull["mergeStateStatus"] not in _NOTHING_TO_WAIT_FOR:
        try:
            return _arm(client, pull_request, pull["id"], method, title, message)
        except CallFailedError as error:
            if "clean status" not in error.message:
                raise _not_armed(pull_request, method, error.message) from None
    if pull["isMergeQueueEnabled"]:
        return _enqueue(client, pull_request, pull["id"])
    return _merge(client, pull_request, method, title, message)


def disarm(client: Client, pull_request: PullRequest) -> None:
    """Take auto-merge back, where it is armed."""
    pull = _read(client, pull_request, settled=False)
    if pull["autoMergeRequest"] is not None:
        _disarm(client, pull_request, pull["id"])


def _read(client: Client, pull_request: PullRequest, *, settled: bool = True) -> dict[str, Any]:
    """What landing must know; ``settled``: once GitHub knows of the push, and whether it conflicts."""
    for attempt in range(1, _REREADS + 2):
        data = client.ask(
            f"reading pull request {pull_request.number}",
            graphql.LANDING,
            address(client, pull_request),
            needs=MERGE,
            must=_PULL,
        )
        pull: dict[str, Any] = data["repository"]["pullRequest"]
        unknown = "UNKNOWN" in (pull["mergeable"], pull["mergeStateStatus"])
        waits = pull["state"] == "OPEN" and (unknown or pull["headRefOid"] != pull_request.head)
        if not settled or not waits:
            break
        if attempt <= _REREADS:
            client.connection.deadline.back_off(attempt)
    return pull


def _require_head(pull_request: PullRequest, pull: dict[str, Any]) -> None:
    if pull["state"] != "OPEN" or pull["headRefOid"] != pull_request.head:
        raise ForgeRefusedError(
            f"pull request {pull_request.number} is {pull['state'].lower()} at {pull['headRefOid'][:12]}, "
            f"not open at {pull_request.head[:12]}",
            next_step="run again: it looks at the new head",
            reason="merge",
        )


def _is_same(armed: dict[str, Any], method: MergeMethod, title: str, message: str) -> bool:
    if armed["mergeMethod"] != method.upper():
        return False
    return method == "rebase" or (armed["commitHeadline"], armed["commitBody"]) == (title, message)


def _arm(
    client: Client, pull_request: PullRequest, node: str, method: MergeMethod, title: str, message: str
) -> Literal["armed", "merged"]:
    wanted: dict[str, Any] = {
        "pullRequestId": node,
        "mergeMethod": method.upper(),
        "expectedHeadOid": pull_request.head,
    }
    if method != "rebase":
        wanted |= {"commitHeadline": title, "commitBody": message}

    def there() -> dict[str, Any] | None:
        pull = _read(client, pull_request, settled=False)
        return pull if pull["autoMergeRequest"] is not None or pull["state"] == "MERGED" else None

    done = client.ask(
        f"arming auto-merge of pull request {pull_request.number}",
        graphql.ARM,
        {"input": wanted},
        needs=MERGE,
        must=("enablePullRequestAutoMerge",),
        recheck=there,
    )
    return "merged" if done.get("state") == "MERGED" else "armed"


def _disarm(client: Client, pull_request: PullRequest, node: str) -> None:
    doing = f"disarming auto-merge of pull request {pull_request.number}"

    def gone() -> dict[str, Any] | None:
        pull = _read(client, pull_request, settled=False)
        return pull if pull["autoMergeRequest"] is None else None

    try:
        client.ask(
            doing,
            graphql.DISARM,
            {"input": {"pullRequestId": node}},
            needs=MERGE,
            must=("disablePullRequestAutoMerge",),
            recheck=gone,
        )
    except CallFailedError as error:
        if gone() is None:
            raise ForgeRefusedError(f"{doing}: {error.message}", reason="auto-merge") from None


def _enqueue(client: Client, pull_request: PullRequest, node: str) -> Literal["armed"]:
    """Where the base has a merge queue, it merges."""
    doing = f"adding pull request {pull_request.number} to the merge queue"

    def there() -> dict[str, Any] | None:
        pull = _read(client, pull_request, settled=False)
        return pull if pull["isInMergeQueue"] or pull["state"] == "MERGED" else None

    try:
        client.ask(
            doing,
            graphql.ENQUEUE,
            {"input": {"pullRequestId": node, "expectedHeadOid": pull_request.head}},
            needs=MERGE,
            must=("enqueuePullRequest",),
            recheck=there,
        )
    except CallFailedError as error:
        raise ForgeRefusedError(f"{doing}: {error.message}", reason="merge") from None
    return "armed"


def _merge(
    client: Client, pull_request: PullRequest, method: MergeMethod, title: str, message: str
) -> Literal["merged"]:
    doing = f"merging pull request {pull_request.number}"
    says = method != "rebase"

    def merge() -> Literal["merged"]:
        attributes = {"url": f"{client.path}/pulls/{pull_request.number}"}
        Pull(client.requester, {}, attributes, completed=True).merge(
            sha=pull_request.head,
            merge_method=method,
            commit_title=title if says else NotSet,
            commit_message=message if says else NotSet,
        )
        return "merged"

    def there() -> Literal["merged"] | None:
        return "merged" if _read(client, pull_request, settled=False)["state"] == "MERGED" else None

    for attempt in range(1, _MERGES + 1):
        try:
            return client.call(doing, merge, needs=MERGE, recheck=there)
        except CallFailedError as error:
            if "Base branch was modified" not in error.message or attempt == _MERGES:
                raise _not_merged(pull_request, method, error) from None
            client.connection.deadline.back_off(attempt)
    raise AssertionError  # the last attempt returns or raises


def _not_armed(pull_request: PullRequest, method: MergeMethod, message: str) -> ForgeRefusedError:
    doing = f"arming auto-merge of pull request {pull_request.number}"
    known = {
        "uto merge is not allowed": (
            "auto-merge",
            "allow auto-merge in the repository's settings, under General, Pull requests",
        ),
        "unstable status": (
            "auto-merge",
            "require its checks in the protection of the base: GitHub waits for no others",
        ),
        "ead sha": ("merge", "run again: it looks at the new head"),
        "eadOid": ("merge", "run again: it looks at the new head"),
        "dirty status": ("merge", "run promoter sync: it builds the head anew"),
        "method": ("merge-method", _allow(method)),
        "not allowed on this repository": ("merge-method", _allow(method)),
    }
    reason, step = next((found for words, found in known.items() if words in message), ("auto-merge", None))
    return ForgeRefusedError(f"{doing}: {message}", next_step=step, reason=reason)


def _not_merged(pull_request: PullRequest, method: MergeMethod, error: CallFailedError) -> ForgeRefusedError:
    """405: not allowed now, or never by this method; 409: the head moved."""
    doing = f"merging pull request {pull_request.number}"
    if "not allowed on this repository" in error.message:
        return ForgeRefusedError(f"{doing}: {error.message}", next_step=_allow(method), reason="merge-method")
    step = "run again: it looks at the new head" if error.status == 409 else None
    return ForgeRefusedError(f"{doing}: {error.message}", next_step=step, reason="merge")


def _allow(method: MergeMethod) -> str:
    return f"allow {method} in the repository's settings, or set pull-request.auto-merge to what is allowed"
