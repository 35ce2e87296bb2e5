"""GitLab where only a CI_JOB_TOKEN is at hand: merge requests by push options.

A job token may not change merge requests by the API ("GitLab CI/CD job token", job token
access). It may push, where the manifest repository's own pipeline runs the job and
**Settings > CI/CD > Job token permissions > Allow Git push requests to the repository** is
on (GitLab 17.2 by flag, 18.4 for all; off unless turned on). Such a push starts no pipeline.

Push options: https://docs.gitlab.com/topics/git/commit/#push-options-for-merge-requests.
They open a merge request for the pushed branch, or change the one that is open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NoReturn
from urllib.parse import quote

from promoter.forges.port import Condition, ForgeRefusedError, PullRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.forges.calls import Connection
    from promoter.forges.port import CheckState, MergeMethod, Proposal

_BETTER = (
    "give PROMOTER_TOKEN a project access token with the scope `api` and the Developer role: "
    "CI_JOB_TOKEN can only push"
)
# One packet of Git's protocol carries an option: 65,516 bytes (gitprotocol-pack), four for a character.
_LONGEST_BODY = 16_000
_REMOTE = re.compile(r"^remote: ?", re.MULTILINE)
_VIEW = re.compile(
    r"View merge request for (?P<branch>[^\n]+):\s+(?P<url>https?://\S+/merge_requests/(?P<n>\d+))"
)
_NEW = re.compile(r"To create a merge request for (?P<branch>[^\n]+), visit:\s+(?P<url>https?://\S+)")
# GitLab breaks and centres its warnings to 72 columns, between two rules of "=".
_WARNING = re.compile(r"Error encountered with push options '.*?' ?: (?P<why>.+?)(?: ={9,}|\Z)")


class GitLabByPush:
    """One project on GitLab that can be pushed to, and nothing else."""

    name = "gitlab"
    longest_title = 248  # as with the API: 255 with the prefix of a draft
    longest_body = _LONGEST_BODY
    keeps_text = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pushed: Proposal | None = None

    def find(self, branch: str) -> Sequence[PullRequest]:  # noqa: ARG002 - the port's
        """Nothing is known."""
        return ()

    def open_below(self, prefix: str) -> Sequence[PullRequest]:  # noqa: ARG002 - the port's
        """Nothing is known."""
        return ()

    def push_options(self, proposal: Proposal) -> Sequence[str]:
        r"""What opens the merge request or brings it up to date, in the same push as its branch.

        No option may hold a line break; in the description GitLab reads ``\n`` as one. An
        unknown assignee is passed over in silence. Reviewers cannot be asked.
        """
        self._pushed = proposal
        options = [
            "merge_request.create",
            f"merge_request.target={_line(proposal.base)}",
            f"merge_request.title={_line(proposal.title)}",
            f"merge_request.description={_description(proposal.body)}",
        ]
        if proposal.draft:
            options.append("merge_request.draft")
        options += [f"merge_request.label={_line(label)}" for label in proposal.labels]
        options += [f"merge_request.assign={_line(user)}" for user in proposal.assignees]
        if proposal.auto_merge is not None:
            # The second is what GitLab knew before 17.11; each passes over what it does not know.
            options += ["merge_request.auto_merge", "merge_request.merge_when_pipeline_succeeds"]
        if proposal.auto_merge == "squash":
            options.append("merge_request.squash")
        return options

    def create(self, proposal: Proposal, pushed: str = "") -> PullRequest:
        """The merge request that the server said it has for the branch.

        Without a number where the server says nothing: the project may have its links
        turned off, or nothing was pushed. A complaint about an option counts where no
        merge request came of it.
        """
        doing = "opening the merge request by push options"
        said = _REMOTE.sub("", pushed).replace("\x1b[K", "")
        complaint = _WARNING.search(" ".join(said.split()))
        if found := _match(_VIEW, said, proposal.branch):
            if complaint:
                self._connection.verbose(f"{doing}: GitLab says: {complaint['why']}")
            return self._opened(proposal, int(found["n"]), found["url"])
        if complaint:
            raise ForgeRefusedError(
                f"{doing}: GitLab says: {complaint['why']}", next_step=_BETTER, reason="refused"
            )
        merges_at_once = proposal.auto_merge is not None  # where it waits for nothing it is gone by now
        if (found := _match(_NEW, said, proposal.branch)) and not merges_at_once:
            raise ForgeRefusedError(
                f"{doing}: the branch is pushed, but the server opened none",
                next_step=f"open it at {found['url']}, or {_BETTER}",
                reason="refused",
            )
        web = f"{self._connection.web}/{self._connection.project}"
        where = f"{web}/-/merge_requests?state=opened&source_branch={quote(proposal.branch, safe='')}"
        return self._opened(proposal, None, where)

    def update(self, pull_request: PullRequest, title: str, body: str) -> None:
        """Done by the push, where it said the same."""
        pushed = self._pushed
        if pushed is None or (pushed.branch, pushed.title, pushed.body) != (pull_request.branch, title, body):
            self._cannot("updating the merge request without a push")

    def comment(self, pull_request: PullRequest, text: str) -> None:  # noqa: ARG002 - the port's
        """Not by a push."""
        self._cannot("commenting on the merge request")

    def close(self, pull_request: PullRequest) -> None:  # noqa: ARG002 - the port's
        """Not by a push."""
        self._cannot("closing the merge request")

    def add_labels(self, pull_request: PullRequest, labels: Sequence[str]) -> None:
        """Done by the push."""
        if not self._covers(pull_request, labels, "labels"):
            self._cannot("labelling the merge request without a push")

    def add_assignees(self, pull_request: PullRequest, users: Sequence[str]) -> None:
        """Done by the push."""
        if not self._covers(pull_request, users, "assignees"):
            self._cannot("assigning the merge request without a push")

    def request_reviews(self, pull_request: PullRequest, users: Sequence[str], teams: Sequence[str]) -> None:  # noqa: ARG002 - the port's
        """No push option asks for a review."""
        if users or teams:
            self._cannot("asking for reviews")

    def condition(self, pull_request: PullRequest) -> Condition:  # noqa: ARG002 - the port's
        """Not to be seen by a push: nothing is known of it."""
        return Condition()

    def land(
        self,
        pull_request: PullRequest,
        method: MergeMethod,
        title: str,  # noqa: ARG002 - the port's
        message: str,  # noqa: ARG002 - the port's
    ) -> Literal["armed", "merged"]:
        """Armed by the push, where the proposal wanted it."""
        pushed = self._pushed
        if pushed is None or (pushed.branch, pushed.auto_merge) != (pull_request.branch, method):
            self._cannot("merging the merge request")
        return "armed"

    def disarm(self, pull_request: PullRequest) -> None:
        """Nothing to do: GitLab itself takes auto-merge back when its head changes."""

    def statuses(self, commit: str) -> Mapping[str, CheckState]:  # noqa: ARG002 - the port's
        """Not to be seen by a push."""
        self._cannot("reading the statuses")

    def set_status(
        self,
        commit: str,  # noqa: ARG002 - the port's
        context: str,
        state: Literal["pending", "success"],  # noqa: ARG002 - the port's
        description: str,  # noqa: ARG002 - the port's
    ) -> None:
        """Not by a push."""
        self._cannot(f"setting the status {context}")

    def default_branch(self) -> str:
        """Not to be seen by a push; Git tells it."""
        self._cannot("reading the project")

    def _opened(self, proposal: Proposal, number: int | None, url: str) -> PullRequest:
        return PullRequest(
            number=number,
            url=url,
            branch=proposal.branch,
            base=proposal.base,
            head="",
            state="open",
            title=proposal.title,
            body=proposal.body,
            draft=proposal.draft,
            labels=frozenset(proposal.labels),
            assignees=frozenset(proposal.assignees),
        )

    def _covers(
        self, pull_request: PullRequest, wanted: Sequence[str], what: Literal["labels", "assignees"]
    ) -> bool:
        pushed = self._pushed
        if pushed is None or pushed.branch != pull_request.branch:
            return not wanted
        return set(wanted) <= set(pushed.labels if what == "labels" else pushed.assignees)

    def _cannot(self, doing: str) -> NoReturn:
        raise ForgeRefusedError(
            f"{doing}: CI_JOB_TOKEN may not use that part of GitLab's API on {self._connection.project}",
            next_step=_BETTER,
            reason="unsupported",
        )


def _line(text: str) -> str:
    """One line: Git refuses a push option with a line break, and a NUL ends an argument."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _description(body: str) -> str:
    r"""The text with ``\n`` for its line breaks.

    GitLab turns every ``\n`` into a line break, one that was written as two characters as well:
    there the backslash goes as an entity, which Markdown shows as it was.
    """
    plain = body.replace("\r\n", "\n").replace("\r", "\n").replace("\\n", "&#92;n")
    kept = "".join(one if one.isprintable() or one in "\n\t" else " " for one in plain[:_LONGEST_BODY])
    return kept.replace("\n", "\\n")


def _match(pattern: re.Pattern[str], said: str, branch: str) -> re.Match[str] | None:
    return next((found for found in pattern.finditer(said) if found["branch"] == branch), None)
