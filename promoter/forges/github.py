"""GitHub and GitHub Enterprise Server, through PyGithub.

Reference: docs.github.com/rest (2022-11-28); who may do what: "Permissions required for
fine-grained personal access tokens".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

from github.Commit import Commit
from github.CommitStatus import CommitStatus
from github.Issue import Issue
from github.PaginatedList import PaginatedList
from github.PullRequest import PullRequest as Pull

from promoter.errors import DeniedError
from promoter.forges import github_commit, github_graphql, github_land
from promoter.forges import github_permissions as permissions
from promoter.forges.calls import CallFailedError
from promoter.forges.github_client import Client, every
from promoter.forges.github_graphql import check_run_state, status_state
from promoter.forges.github_pulls import not_asked, not_opened, pull_request_of, source_of
from promoter.forges.port import Condition, ForgeRefusedError, PullRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from promoter.forges.calls import Connection
    from promoter.forges.port import CheckState, MergeMethod, Proposal

T = TypeVar("T")

_LONGEST_DESCRIPTION = 140  # of a commit status
_REREADS = 5  # GitHub works out whether a pull request conflicts when it is first asked
_CLOCK_SKEW = timedelta(minutes=2)


class GitHub:
    """One repository on GitHub. Raises what ``Forge`` says."""

    name = "github"
    longest_title = 256
    longest_body = 65536
    keeps_text = True

    def __init__(self, connection: Connection) -> None:
        self._client = Client(connection)

    def find(self, branch: str) -> Sequence[PullRequest]:
        """The pull requests from this branch, whatever their state, newest first."""
        client = self._client
        return self._list(
            f"looking for pull requests from {branch}",
            lambda: client.repository.get_pulls(
                state="all", sort="created", direction="desc", head=f"{client.owner}:{branch}"
            ),
            lambda name: name == branch,
        )

    def open_below(self, prefix: str) -> Sequence[PullRequest]:
        """The open pull requests whose branch starts with the prefix, oldest first."""
        return self._list(
            "listing the open pull requests",
            lambda: self._client.repository.get_pulls(state="open", sort="created", direction="asc"),
            lambda name: name.startswith(prefix),
        )

    def _list(
        self, doing: str, ask: Callable[[], PaginatedList[Pull]], wanted: Callable[[str], bool]
    ) -> list[PullRequest]:
        """Those whose head is a branch of this repository: ``head=`` also finds forks of the same owner."""
        pulls = self._client.call(doing, lambda: every(ask()), needs=permissions.READ)
        ours = [
            pull for pull in pulls if wanted(pull.head.ref) and source_of(pull) == pull.base.repo.full_name
        ]
        reviewed = self._reviewed([pull.node_id for pull in ours if pull.state == "open"])
        return [pull_request_of(pull, reviewed=pull.number in reviewed) for pull in ours]

    def _reviewed(self, ids: Sequence[str]) -> frozenset[int]:
        """The numbers of those that somebody has reviewed: 100 with one request."""
        numbers: set[int] = set()
        for first in range(0, len(ids), 100):
            data = self._client.ask(
                "reading the reviews",
                github_graphql.REVIEWED,
                {"ids": ids[first : first + 100]},
                needs=permissions.READ,
                must=("nodes",),
            )
            nodes = [node for node in data["nodes"] if node and node["reviews"]]
            numbers |= {node["number"] for node in nodes if node["reviews"]["totalCount"]}
        return frozenset(numbers)

    def push_options(self, proposal: Proposal) -> Sequence[str]:  # noqa: ARG002 - the port's signature
        """GitHub knows none."""
        return ()

    def create(self, proposal: Proposal, pushed: str = "") -> PullRequest:  # noqa: ARG002 - the port's signature
        """Open it, once, even where an answer is lost."""
        doing = f"opening the pull request from {proposal.branch}"

        def opened() -> PullRequest:
            pull = self._client.repository.create_pull(
                base=proposal.base,
                head=proposal.branch,
                title=proposal.title,
                body=proposal.body,
                draft=proposal.draft,
            )
            return pull_request_of(pull, reviewed=False)

        def there() -> PullRequest | None:
            found = self.find(proposal.branch)
            return next((one for one in found if (one.state, one.base) == ("open", proposal.base)), None)

        try:
            return self._client.call(doing, opened, needs=permissions.WRITE, recheck=there)
        except CallFailedError as error:
            raise not_opened(doing, error.message) from None
        except DeniedError as error:
            if "not permitted to create" not in error.message:
                raise
            raise DeniedError(
                error.message,
                next_step="in the settings of the repository or organization, under Actions, General, allow "
                "GitHub Actions to create and approve pull requests; or use the token of a GitHub App",
                reason="permission",
            ) from None

    def update(self, pull_request: PullRequest, title: str, body: str) -> None:
        """Set title and body."""
        self._change(
            f"updating pull request {pull_request.number}",
            lambda: self._pull(pull_request).edit(title=title, body=body),
        )

    def comment(self, pull_request: PullRequest, text: str) -> None:
        """Say something below it, once, even where an answer is lost."""
        since = datetime.now(UTC) - _CLOCK_SKEW

        def there() -> str | None:
            comments = self._client.call(
                "reading the comments",
                lambda: every(self._issue(pull_request).get_comments(since=since)),
                needs=permissions.READ,
            )
            return next((comment.body for comment in comments if comment.body == text), None)

        self._change(
            f"commenting on pull request {pull_request.number}",
            lambda: self._issue(pull_request).create_comment(text).body,
            recheck=there,
        )

    def close(self, pull_request: PullRequest) -> None:
        """Close it without merging; the branch stays."""
        self._change(
            f"closing pull request {pull_request.number}",
            lambda: self._pull(pull_request).edit(state="closed"),
        )

    def add_labels(self, pull_request: PullRequest, labels: Sequence[str]) -> None:
        """Add labels; GitHub creates those that are unknown, if the token may write issues."""
        doing = f"labelling pull request {pull_request.number}"
        path = f"{self._client.path}/issues/{pull_request.number}/labels"

        def add() -> None:  # PyGithub's own way sends a form that GitHub takes, but does not describe
            self._client.requester.requestJsonAndCheck("POST", path, input={"labels": list(labels)})

        try:
            self._change(doing, add, needs=permissions.LABEL, reason="label")
        except DeniedError as error:
            if "create labels" not in error.message:
                raise
            raise ForgeRefusedError(
                f"{doing}: not all of {', '.join(labels)} are there, and the token may not create labels",
                next_step="create the labels, or give the token `Issues: write`",
                reason="label",
            ) from None

    def add_assignees(self, pull_request: PullRequest, users: Sequence[str]) -> None:
        """Assign people by login. GitHub ignores whom it may not assign; here that is an error."""
        doing = f"assigning pull request {pull_request.number}"

        def assigned() -> list[str]:
            issue = self._issue(pull_request)
            issue.add_to_assignees(*users)
            return [user.login.lower() for user in issue.assignees]

        there = self._change(doing, assigned, reason="unknown-assignee")
        if absent := [user for user in users if user.lower() not in there]:
            raise ForgeRefusedError(
                f"{doing}: GitHub did not assign {', '.join(absent)}",
                next_step="name at most ten people who may read the repository",
                reason="unknown-assignee",
            )

    def request_reviews(self, pull_request: PullRequest, users: Sequence[str], teams: Sequence[str]) -> None:
        """Ask all at once; where that is refused, one by one, so that an unknown name stops nobody else."""
        try:
            self._ask_for_reviews(pull_request, users, teams)
        except CallFailedError:
            pass
        else:
            return
        refused: dict[str, str] = {}
        alone: list[tuple[str, list[str], list[str]]] = [
            *((user, [user], []) for user in users),
            *((f"team/{team}", [], [team]) for team in teams),
        ]
        for name, one_user, one_team in alone:
            try:
                self._ask_for_reviews(pull_request, one_user, one_team)
            except CallFailedError as error:
                refused[name] = error.message
        if refused:
            raise not_asked(pull_request, refused)

    def _ask_for_reviews(self, pull_request: PullRequest, users: Sequence[str], teams: Sequence[str]) -> None:
        self._client.call(
            f"asking for reviews of pull request {pull_request.number}",
            lambda: self._pull(pull_request).create_review_request(list(users), list(teams)),
            needs=permissions.REVIEWERS,
        )

    def condition(self, pull_request: PullRequest) -> Condition:
        """What stands between it and its base; a part that the token may not see is unknown."""
        doing = f"reading the condition of pull request {pull_request.number}"
        client = self._client
        for attempt in range(1, _REREADS + 2):
            variables = {**github_land.address(client, pull_request), "head": pull_request.branch}
            data = client.ask(
                doing,
                github_graphql.CONDITION,
                variables,
                needs=permissions.READ,
                must=("repository", "pullRequest"),
            )
            pull = data["repository"]["pullRequest"]
            if pull["mergeable"] != "UNKNOWN" or pull["state"] != "OPEN" or attempt > _REREADS:
                break
            client.connection.deadline.back_off(attempt)
        condition = github_graphql.condition_of(pull, pull_request.head)
        if github_graphql.has_more_checks(pull):
            required = github_graphql.required_checks(pull)
            checks = github_graphql.summary(self.statuses(pull["headRefOid"]), required)
            condition = replace(condition, checks=checks)
        return condition

    def land(
        self, pull_request: PullRequest, method: MergeMethod, title: str, message: str
    ) -> Literal["armed", "merged"]:
        """Arm auto-merge, or merge where nothing is left to wait for, at ``pull_request.head`` only."""
        return github_land.land(self._client, pull_request, method, title, message)

    def disarm(self, pull_request: PullRequest) -> None:
        """Take auto-merge back; nothing happens where it is not armed."""
        github_land.disarm(self._client, pull_request)

    def statuses(self, commit: str) -> Mapping[str, CheckState]:
        """The commit statuses and check runs of a commit by name, the worse one where both share it."""
        client = self._client

        def read() -> dict[str, CheckState]:
            newest_first = PaginatedList(
                CommitStatus, client.requester, f"{client.path}/commits/{commit}/statuses", None
            )
            states: dict[str, CheckState] = {}
            for status in every(newest_first):
                states.setdefault(status.context, status_state(status.state))
            for run in every(self._commit(commit).get_check_runs()):
                github_graphql.add(states, run.name, check_run_state(run.status, run.conclusion))
            return states

        return self._change(
            f"reading the checks of {commit[:12]}", read, needs=permissions.CHECKS, reason="status"
        )

    def set_status(
        self, commit: str, context: str, state: Literal["pending", "success"], description: str
    ) -> None:
        """Set a commit status. GitHub takes 140 characters of a description."""
        short = description if len(description) <= _LONGEST_DESCRIPTION else f"{description[:139]}…"
        self._change(
            f"setting the status {context} of {commit[:12]}",
            lambda: self._commit(commit).create_status(state=state, context=context, description=short),
            needs=permissions.STATUS,
            reason="status",
        )

    def default_branch(self) -> str:
        """The branch that pull requests go to unless told otherwise."""
        client = self._client

        def read() -> str:
            _, data = client.requester.requestJsonAndCheck("GET", client.path)
            return str(data["default_branch"])

        return client.call("reading the repository", read, needs=permissions.METADATA)

    def create_branch(self, branch: str, commit: str) -> None:
        """A new branch at a commit that GitHub has. ``stale-head`` where it is at another one already."""
        github_commit.create_branch(self._client, branch, commit)

    def update_branch(self, branch: str, commit: str, *, force: bool = False) -> None:
        """Move a branch. ``stale-head`` where that is no fast-forward and not forced."""
        github_commit.update_branch(self._client, branch, commit, force=force)

    def delete_branch(self, branch: str) -> None:
        """Delete a branch; nothing happens where there is none."""
        github_commit.delete_branch(self._client, branch)

    def commit_on_branch(
        self,
        branch: str,
        expected_head: str,
        message: str,
        additions: Mapping[str, bytes],
        deletions: Collection[str] = (),
    ) -> str:
        """A commit that GitHub makes and signs; its id. ``stale-head`` where the branch is elsewhere."""
        return github_commit.commit_on_branch(
            self._client, branch, expected_head, message, additions, deletions
        )

    def _change(
        self,
        doing: str,
        call: Callable[[], T],
        *,
        needs: str = permissions.WRITE,
        reason: str = "refused",
        recheck: Callable[[], T | None] | None = None,
    ) -> T:
        try:
            return self._client.call(doing, call, needs=needs, recheck=recheck)
        except CallFailedError as error:
            raise ForgeRefusedError(f"{doing}: {error.message}", reason=reason) from None

    # Objects that know their address only: they cost no request, and never make one unasked.

    def _pull(self, pull_request: PullRequest) -> Pull:
        attributes = {"url": f"{self._client.path}/pulls/{pull_request.number}"}
        return Pull(self._client.requester, {}, attributes, completed=True)

    def _issue(self, pull_request: PullRequest) -> Issue:
        attributes = {"url": f"{self._client.path}/issues/{pull_request.number}"}
        return Issue(self._client.requester, {}, attributes, completed=True)

    def _commit(self, commit: str) -> Commit:
        attributes = {"url": f"{self._client.path}/commits/{commit}", "sha": commit}
        return Commit(self._client.requester, {}, attributes, completed=True)
