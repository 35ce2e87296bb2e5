"""Gitea (1.22 and newer) and Forgejo, by requests: see ``/swagger.v1.json`` on each server.

What is Gitea's own:

* A draft is one by its title (``WIP: …``); the prefix belongs to ``draft``, not to ``title``.
* Lists cannot be filtered by head, so ``find`` reads the open ones and the last few hundred others.
* Only an administrator of the repository may read whether the base wants heads that are up to
  date: with everybody else's token ``must_be_current`` is false, and what was armed before the
  base moved waits until somebody updates it.
* Whether auto-merge is armed is told by the timeline alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from promoter.forges import gitea_land, gitea_people, gitea_read
from promoter.forges.calls import CallFailedError
from promoter.forges.gitea_calls import Client
from promoter.forges.port import Condition, ForgeRefusedError, PullRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.forges.calls import Connection
    from promoter.forges.port import CheckState, MergeMethod, Proposal

Json = dict[str, Any]

_LONGEST_TITLE = 255
_CLOSED_PAGES = 6  # of 50
_CLOCK_SKEW = timedelta(minutes=2)


class Gitea:
    """One repository on Gitea or Forgejo. Raises what ``Forge`` says."""

    name = "gitea"
    longest_title = _LONGEST_TITLE - len(gitea_read.DRAFT)
    # Gitea has no limit; proxies before it mostly take 1 MB, and JSON makes text longer.
    longest_body = 262_144
    keeps_text = True

    def __init__(self, connection: Connection) -> None:
        self._client = Client(connection)
        self._watch = gitea_land.Watch()

    def find(self, branch: str) -> Sequence[PullRequest]:
        """The open pull request from this branch and the last ones before it, newest first."""
        doing = f"looking for pull requests from {branch}"

        def ours(pulls: Sequence[Json]) -> list[Json]:
            return [one for one in pulls if gitea_read.is_from(one, branch)]

        found = ours(self._pulls(doing, {"state": "open"}))
        query = {"state": "closed", "sort": "recentclose"}
        read = 0
        for number in range(1, _CLOSED_PAGES + 1):
            pulls, total = self._client.page(doing, "/pulls", number, query)
            read += len(pulls)
            found += ours(pulls)
            if ours(pulls) or not pulls or read >= total:
                break
        heads = self._client.heads(doing, branch) if found else {}
        return [self._seen(doing, one, heads) for one in sorted(found, key=_number, reverse=True)]

    def open_below(self, prefix: str) -> Sequence[PullRequest]:
        """The open pull requests whose branch starts with the prefix, oldest first."""
        doing = "listing the open pull requests"
        found = [
            one
            for one in self._pulls(doing, {"state": "open"})
            if gitea_read.is_own(one) and gitea_read.branch_of(one).startswith(prefix)
        ]
        heads = self._client.heads(doing, prefix) if found else {}
        return [self._seen(doing, one, heads) for one in sorted(found, key=_number)]

    def push_options(self, proposal: Proposal) -> Sequence[str]:  # noqa: ARG002 - the port's signature
        """None: the API does it."""
        return ()

    def create(self, proposal: Proposal, pushed: str = "") -> PullRequest:  # noqa: ARG002 - the port's signature
        """Open it, once, even where an answer is lost. Gitea would open an empty one, too."""
        doing = f"opening the pull request from {proposal.branch}"
        self._require_difference(doing, proposal)
        data = {
            "head": proposal.branch,
            "base": proposal.base,
            "title": gitea_read.titled(proposal.title, draft=proposal.draft),
            "body": proposal.body,
        }

        def there() -> Json | None:
            opened = self._pulls(doing, {"state": "open", "base_branch": proposal.base})
            return next((one for one in opened if gitea_read.is_from(one, proposal.branch)), None)

        try:
            pull = self._client.post(doing, "/pulls", data, expects=(404, 409, 422), recheck=there)
        except CallFailedError as error:
            if error.status == 404:
                self._client.require_pulls(doing)
            reason = "exists" if error.status == 409 else "refused"
            raise self._client.refusal(doing, error, reason) from None
        if proposal.draft and not pull["draft"]:
            raise ForgeRefusedError(
                f"{doing}: it is open, but no draft: the server takes none from titles with WIP:",
                next_step="set pull-request.draft to false, or WORK_IN_PROGRESS_PREFIXES in Gitea's settings",
                reason="draft",
            )
        return gitea_read.pull_request(pull, ())

    def update(self, pull_request: PullRequest, title: str, body: str) -> None:
        """Set title and body; a draft stays one."""
        data = {"title": gitea_read.titled(title, draft=pull_request.draft), "body": body}
        self._client.patch(f"updating pull request {pull_request.number}", _path(pull_request), data)

    def comment(self, pull_request: PullRequest, text: str) -> None:
        """Say something below it, once, even where an answer is lost."""
        doing = f"commenting on pull request {pull_request.number}"
        path = f"/issues/{pull_request.number}/comments"
        since = (self._client.clock - _CLOCK_SKEW).isoformat(timespec="seconds")

        def said() -> Json | None:
            return next(
                (one for one in self._client.get(doing, path, {"since": since}) if one["body"] == text), None
            )

        self._client.post(doing, path, {"body": text}, recheck=said)

    def close(self, pull_request: PullRequest) -> None:
        """Close it without merging; the branch stays."""
        self._client.patch(
            f"closing pull request {pull_request.number}", _path(pull_request), {"state": "closed"}
        )

    def add_labels(self, pull_request: PullRequest, labels: Sequence[str]) -> None:
        """Add labels; those that neither repository nor organization has are created."""
        gitea_people.add_labels(self._client, pull_request.number, labels)

    def add_assignees(self, pull_request: PullRequest, users: Sequence[str]) -> None:
        """Assign people besides those who are."""
        gitea_people.add_assignees(self._client, pull_request.number, users)

    def request_reviews(self, pull_request: PullRequest, users: Sequence[str], teams: Sequence[str]) -> None:
        """Ask people and teams for a review, again where they have answered already."""
        gitea_people.request_reviews(self._client, pull_request.number, users, teams)

    def condition(self, pull_request: PullRequest) -> Condition:
        """What stands between it and its base, as far as the token may see it."""
        doing = f"reading the condition of pull request {pull_request.number}"
        pull = self._client.get(doing, _path(pull_request))
        opened = pull["state"] == "open"
        head = self._client.head(doing, pull)
        conflicting = gitea_land.is_conflicting(self._client, pull, self._watch) if opened else None
        protection = self._protection(doing, pull["base"]["ref"])
        reviews = self._reviews(doing, pull)
        standing = gitea_read.approvals(reviews)
        return Condition(
            conflicting=conflicting,
            behind=opened and self._is_behind(doing, pull, head),
            must_be_current=bool(protection.get("block_on_outdated_branch")),
            approved=gitea_read.is_approved(reviews, protection),
            approved_head=any(one["commit_id"] == pull_request.head for one in standing.values()),
            approvers=tuple(standing),
            checks=gitea_read.checks(self.statuses(head), protection),
            auto_merge=opened and gitea_read.is_scheduled(gitea_land.timeline(self._client, pull)),
        )

    def land(
        self, pull_request: PullRequest, method: MergeMethod, title: str, message: str
    ) -> Literal["armed", "merged"]:
        """Merge, or arm auto-merge, at ``pull_request.head`` only."""
        return gitea_land.land(self._client, pull_request, method, title, message, self._watch)

    def disarm(self, pull_request: PullRequest) -> None:
        """Take auto-merge back; nothing happens where it is not armed."""
        gitea_land.disarm(self._client, pull_request)

    def statuses(self, commit: str) -> Mapping[str, CheckState]:
        """The last status of each name."""
        doing = f"reading the statuses of {commit[:12]}"
        found = self._client.every(doing, f"/commits/{commit}/statuses")
        return gitea_read.states_by_name(sorted(found, key=lambda one: int(one["id"])))

    def set_status(
        self, commit: str, context: str, state: Literal["pending", "success"], description: str
    ) -> None:
        """Set a commit status."""
        doing = f"setting the status {context} of {commit[:12]}"

        def known() -> None:
            """Gitea answers a commit that it does not know with 500."""
            brief = {"stat": "false", "verification": "false", "files": "false"}
            self._client.get(doing, f"/git/commits/{commit}", brief, expects=(404, 422))

        data = {"state": state, "context": context, "description": description}
        try:
            self._client.post(doing, f"/statuses/{commit}", data, expects=(400, 404, 422), recheck=known)
        except CallFailedError as error:
            raise self._client.refusal(doing, error, "status") from None

    def default_branch(self) -> str:
        """The branch that pull requests go to unless told otherwise."""
        return str(self._client.get("reading the repository", "")["default_branch"])

    # --- reading

    def _pulls(self, doing: str, query: Mapping[str, str]) -> list[Json]:
        try:
            return self._client.every(doing, "/pulls", query, expects=(404,))
        except CallFailedError:
            self._client.require_pulls(doing)
            return self._client.every(doing, "/pulls", query)

    def _seen(self, doing: str, pull: Json, heads: Mapping[str, str]) -> PullRequest:
        """A listed one; people's answers and an exact head matter only while it is open."""
        if pull["state"] != "open":
            return gitea_read.pull_request(pull, ())
        head = heads.get(gitea_read.branch_of(pull), "")
        return gitea_read.pull_request(pull, self._reviews(doing, pull), head)

    def _reviews(self, doing: str, pull: Json) -> list[Json]:
        return self._client.every(doing, f"/pulls/{pull['number']}/reviews")

    def _require_difference(self, doing: str, proposal: Proposal) -> None:
        path = f"/compare/{quote(proposal.base)}...{quote(proposal.branch)}"
        try:
            compared = self._client.get(doing, path, expects=(404,))
        except CallFailedError as error:
            names = (proposal.base, proposal.branch)
            absent = [name for name in names if name not in self._client.heads(doing, name)]
            step = f"check that there is a branch {' and one '.join(absent)}" if absent else None
            raise self._client.refusal(doing, error, "refused", step) from None
        if not compared["total_commits"]:
            raise ForgeRefusedError(
                f"{doing}: {proposal.branch} holds no commit that {proposal.base} has not",
                next_step="nothing: there is nothing to promote",
                reason="nothing-to-compare",
            )

    def _is_behind(self, doing: str, pull: Json, head: str) -> bool:
        """Asked afresh: ``merge_base`` is worked out some time after each push."""
        if pull["base"]["sha"] == pull["merge_base"]:
            return False
        query = {"sha": pull["base"]["sha"], "not": head, "limit": "1"}
        brief = {"stat": "false", "verification": "false", "files": "false"}
        return bool(self._client.get(doing, "/commits", query | brief))

    def _protection(self, doing: str, base: str) -> Json:
        """The rules of the base; to all but administrators Gitea tells only the chief ones."""
        try:
            branch: Json = self._client.get(doing, f"/branches/{quote(base)}", expects=(404,))
        except CallFailedError:
            return {}
        if name := branch.get("effective_branch_protection_name"):
            try:
                return dict(self._client.get(doing, f"/branch_protections/{quote(name)}", expects=(404,)))
            except CallFailedError:
                return branch
        return branch


def _path(pull_request: PullRequest) -> str:
    return f"/pulls/{pull_request.number}"


def _number(pull: Json) -> int:
    return int(pull["number"])
