"""Commits that GitHub makes, and so signs: the only verified ones that an App can have.

Reference: "createCommitOnBranch" of GitHub's GraphQL API, "Git references" of its REST API.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from github.GitRef import GitRef

from promoter.forges import github_graphql as graphql
from promoter.forges.calls import CallFailedError
from promoter.forges.github_permissions import CONTENTS
from promoter.forges.port import ForgeRefusedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from promoter.forges.github_client import Client


def commit_on_branch(
    client: Client,
    branch: str,
    expected_head: str,
    message: str,
    additions: Mapping[str, bytes],
    deletions: Collection[str],
) -> str:
    """One commit on top of ``expected_head``; its id.

    A lost answer is told from a lost request by the commit on the branch: its parent and
    its message, which should be unique.

    Raises ForgeRefusedError: ``stale-head`` where the branch is at another commit.
    """
    doing = f"committing to {branch}"
    headline, _, body = message.partition("\n")
    wanted = {
        "branch": {"repositoryNameWithOwner": client.project, "branchName": branch},
        "expectedHeadOid": expected_head,
        "message": {"headline": headline, "body": body.strip("\n")},
        "fileChanges": {
            "additions": [
                {"path": path, "contents": b64encode(content).decode("ascii")}
                for path, content in additions.items()
            ],
            "deletions": [{"path": path} for path in deletions],
        },
    }

    def there() -> dict[str, Any] | None:
        tip = _tip(client, branch)
        if tip is None or tip.get("message", "").strip() != message.strip():
            return None
        parents = [parent["oid"] for parent in tip["parents"]["nodes"]]
        return {"createCommitOnBranch": {"commit": tip}} if parents == [expected_head] else None

    try:
        data = client.ask(
            doing,
            graphql.COMMIT,
            {"input": wanted},
            needs=CONTENTS,
            must=("createCommitOnBranch", "commit"),
            recheck=there,
        )
    except CallFailedError as error:
        if "branch to point to" in error.message:
            raise _stale(doing, error.message) from None
        raise ForgeRefusedError(f"{doing}: {error.message}", reason="refused") from None
    return str(data["createCommitOnBranch"]["commit"]["oid"])


def create_branch(client: Client, branch: str, commit: str) -> None:
    """A new branch. Nothing happens where it is at this commit already."""
    doing = f"creating the branch {branch}"

    def is_there() -> bool | None:
        tip = _tip(client, branch)
        return True if tip is not None and tip["oid"] == commit else None

    def create() -> bool:
        client.repository.create_git_ref(f"refs/heads/{branch}", commit)
        return True

    try:
        client.call(doing, create, needs=CONTENTS, recheck=is_there)
    except CallFailedError as error:
        if "already exists" not in error.message:
            raise ForgeRefusedError(f"{doing}: {error.message}", reason="refused") from None
        if not is_there():
            raise _stale(doing, error.message) from None


def update_branch(client: Client, branch: str, commit: str, *, force: bool) -> None:
    """Move a branch."""
    doing = f"moving the branch {branch}"
    try:
        client.call(doing, lambda: _ref(client, branch).edit(commit, force), needs=CONTENTS)
    except CallFailedError as error:
        if "fast forward" in error.message:
            raise _stale(doing, error.message) from None
        raise ForgeRefusedError(f"{doing}: {error.message}", reason="refused") from None


def delete_branch(client: Client, branch: str) -> None:
    """Delete a branch, if there is one."""
    doing = f"deleting the branch {branch}"
    try:
        client.call(doing, lambda: _ref(client, branch).delete(), needs=CONTENTS)
    except CallFailedError as error:
        if "does not exist" not in error.message:
            raise ForgeRefusedError(f"{doing}: {error.message}", reason="refused") from None


def _tip(client: Client, branch: str) -> dict[str, Any] | None:
    owner, _, name = client.project.partition("/")
    variables = {"owner": owner, "name": name, "ref": f"refs/heads/{branch}"}
    data = client.ask(
        f"reading the branch {branch}", graphql.TIP, variables, needs=CONTENTS, must=("repository",)
    )
    ref = data["repository"]["ref"]
    return None if ref is None else ref["target"]


def _ref(client: Client, branch: str) -> GitRef:
    return GitRef(client.requester, {}, {"url": f"{client.path}/git/refs/heads/{branch}"}, completed=True)


def _stale(doing: str, message: str) -> ForgeRefusedError:
    return ForgeRefusedError(
        f"{doing}: {message}", next_step="run again: it starts from the new head", reason="stale-head"
    )
