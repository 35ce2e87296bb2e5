"""GitLab, by python-gitlab and an access token: https://docs.gitlab.com/api/merge_requests/.

What is GitLab's own:

* No team can review a merge request; approval rules and CODEOWNERS say that there.
* An external status that is pending holds the head's pipeline open: while ``promoter/gate``
  is pending, an armed auto-merge waits, and where the project demands a successful pipeline
  nobody can merge.
* The project decides how commits are joined (``merge_method``, ``squash_option``), not the one
  who merges. Another way than the project's is refused as ``merge-method``.
* GitLab Free takes one assignee and one reviewer; more are left out without an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from promoter.errors import DeniedError
from promoter.forges import gitlab_land, gitlab_people, gitlab_read
from promoter.forges.calls import CallFailedError
from promoter.forges.gitlab_calls import Client
from promoter.forges.port import CheckState, Condition, ForgeRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promoter.forges.calls import Connection
    from promoter.forges.port import MergeMethod, Proposal, PullRequest

Json = dict[str, Any]

_LONGEST_TITLE = 255
_LONGEST_DESCRIPTION = 255  # of a status


class GitLab:
    """One project on GitLab, reached with a project, group or personal access token."""

    name = "gitlab"
    longest_title = _LONGEST_TITLE - len(gitlab_read.DRAFT)
    longest_body = 1_048_576
    keeps_text = True

    def __init__(self, connection: Connection) -> None:
        self._client = Client(connection)
        self._merge_requests = f"{self._client.project}/merge_requests"

    def find(self, branch: str) -> Sequence[PullRequest]:
        """The merge requests from this branch of this project, newest first."""
        found = self._list(source_branch=branch, state="all")
        return [self._seen(one) for one in sorted(found, key=_number, reverse=True)]

    def open_below(self, prefix: str) -> Sequence[PullRequest]:
        """The open ones below a prefix, oldest first; GitLab cannot filter by it."""
        found = [one for one in self._list(state="opened") if one["source_branch"].startswith(prefix)]
        return [self._seen(one) for one in sorted(found, key=_number)]

    def push_options(self, proposal: Proposal) -> Sequence[str]:  # noqa: ARG002 - the port's
        """None: the API does it."""
        return ()

    def create(self, proposal: Proposal, pushed: str = "") -> PullRequest:  # noqa: ARG002 - the port's
        """Open it. GitLab would open an empty one, too, so the branches are compared first."""
        doing = "opening the merge request"
        self._require_difference(proposal, doing)
        data = {
            "source_branch": proposal.branch,
            "target_branch": proposal.base,
            "title": gitlab_read.titled(proposal.title, draft=proposal.draft),
            "description": proposal.body,
        }

        query = _query(source_branch=proposal.branch, target_branch=proposal.base, state="opened")

        def created() -> Json | None:
            found = self._client.glance_all(self._merge_requests, query)
            return next((one for one in found if gitlab_read.is_own(one)), None)

        try:
            one = self._client.post(doing, self._merge_requests, data, expects=(409, 422), recheck=created)
        except CallFailedError as error:
            if error.status == 409:
                raise self._client.refusal(doing, error, "exists") from None
            same = "same project/branch" in error.message
            raise self._client.refusal(doing, error, "nothing-to-compare" if same else "refused") from None
        return self._seen(one)

    def update(self, pull_request: PullRequest, title: str, body: str) -> None:
        """Set title and description; a draft stays one."""
        data = {"title": gitlab_read.titled(title, draft=pull_request.draft), "description": body}
        self._client.put("updating the merge request", self._path(pull_request), data)

    def comment(self, pull_request: PullRequest, text: str) -> None:
        """Add a note."""
        notes = f"{self._path(pull_request)}/notes"
        doing = "commenting on the merge request"

        def said() -> Json | None:
            known = self._client.glance_all(notes, {"sort": "desc", "order_by": "created_at"})
            return next((one for one in known if one["body"] == text), None)

        self._client.post(doing, notes, {"body": text}, recheck=said)

    def close(self, pull_request: PullRequest) -> None:
        """Close it; the branch stays."""
        self._client.put("closing the merge request", self._path(pull_request), {"state_event": "close"})

    def add_labels(self, pull_request: PullRequest, labels: Sequence[str]) -> None:
        """Add labels; GitLab creates those that it does not know."""
        for label in labels:
            if "," in label:
                raise ForgeRefusedError(
                    f"labelling the merge request: {label!r} holds a comma, which parts labels on GitLab",
                    next_step="name the label without a comma",
                    reason="label",
                )
        if labels:
            self._client.put(
                "labelling the merge request", self._path(pull_request), {"add_labels": ",".join(labels)}
            )

    def add_assignees(self, pull_request: PullRequest, users: Sequence[str]) -> None:
        """Assign people besides those who are."""
        gitlab_people.assign(self._client, self._path(pull_request), users)

    def request_reviews(self, pull_request: PullRequest, users: Sequence[str], teams: Sequence[str]) -> None:
        """Ask people; who has answered already is taken off first, which makes GitLab ask again.

        Raises ForgeRefusedError for teams, and for people that GitLab does not know, after all
        the others have been asked.
        """
        gitlab_people.ask_for_reviews(self._client, self._path(pull_request), users, teams)

    def condition(self, pull_request: PullRequest) -> Condition:
        """What stands between it and its base.

        A project that merges by fast-forward or with semi-linear history takes no head that is
        behind (https://docs.gitlab.com/user/project/merge_requests/methods/). ``approved`` of
        the approvals is about the rule (Premium), or about anybody's approval (Free).
        """
        detail = self._detail(pull_request, {"include_diverged_commits_count": "true"})
        project = self._client.settings()
        approvals = self._approvals(pull_request)
        approvers = tuple(one["user"]["username"] for one in approvals.get("approved_by") or ())
        approved = bool(approvers) and bool(approvals.get("approved", True))
        return Condition(
            conflicting=gitlab_read.conflicting(detail),
            behind=bool(detail.get("diverged_commits_count")),
            must_be_current=project.get("merge_method") in ("ff", "rebase_merge"),
            approved=approved,
            approved_head=bool(approvers) and self._approved_head(pull_request, approvals, detail["sha"]),
            approvers=approvers,
            checks=gitlab_read.checks(self._statuses(detail["sha"]), detail),
            auto_merge=bool(detail.get("merge_when_pipeline_succeeds")),
            queued=bool(project.get("merge_trains_enabled")) and self._on_train(pull_request),
        )

    def land(
        self, pull_request: PullRequest, method: MergeMethod, title: str, message: str
    ) -> Literal["armed", "merged"]:
        """Merge, or arm auto-merge, at ``pull_request.head`` only."""
        return gitlab_land.land(self._client, self._path(pull_request), pull_request, method, title, message)

    def disarm(self, pull_request: PullRequest) -> None:
        """Take auto-merge back."""
        gitlab_land.disarm(self._client, self._path(pull_request))

    def statuses(self, commit: str) -> Mapping[str, CheckState]:
        """Jobs of pipelines and external statuses alike, by name."""
        return gitlab_read.states_by_name(self._statuses(commit))

    def set_status(
        self, commit: str, context: str, state: Literal["pending", "success"], description: str
    ) -> None:
        """Set an external status on a commit that a branch holds.

        It joins the pipeline that the commit has, or makes one: while it is pending that
        pipeline runs, and auto-merge waits. GitLab refuses to set a state that it is in
        already ("Cannot transition status"): then nothing is left to do, and the description
        stays as it is.
        """
        doing = f"setting the status {context}"
        data = {"state": state, "name": context, "description": description[:_LONGEST_DESCRIPTION]}
        path = f"{self._client.project}/statuses/{commit}"
        try:
            self._client.post(doing, path, data, expects=(400, 422))
        except CallFailedError as error:
            wanted = "pending" if state == "pending" else "passed"
            if "Cannot transition status" in error.message and self.statuses(commit).get(context) == wanted:
                return
            raise self._client.refusal(doing, error, "status") from None

    def default_branch(self) -> str:
        """Where merge requests go unless told otherwise."""
        return str(self._client.settings()["default_branch"])

    # --- reading

    def _path(self, pull_request: PullRequest) -> str:
        return f"{self._merge_requests}/{pull_request.number}"

    def _detail(self, pull_request: PullRequest, query: Mapping[str, str] | None = None) -> Json:
        return self._client.get("reading the merge request", self._path(pull_request), query)

    def _list(self, **query: str) -> list[Json]:
        doing = "looking for merge requests"
        found = self._client.get_all(doing, self._merge_requests, _query(**query))
        return [one for one in found if gitlab_read.is_own(one)]

    def _seen(self, one: Json) -> PullRequest:
        opened = one["state"] == "opened"
        reviews: dict[str, str] = {}
        if opened and one.get("reviewers"):
            reviews = gitlab_people.reviews(self._client, f"{self._merge_requests}/{one['iid']}")
        return gitlab_read.pull_request(one, reviews)

    def _statuses(self, commit: str) -> list[Json]:
        path = f"{self._client.project}/repository/commits/{commit}/statuses"
        return self._client.get_all("reading the statuses", path)

    def _approvals(self, pull_request: PullRequest) -> Json:
        try:
            path = f"{self._path(pull_request)}/approvals"
            return self._client.get("reading the approvals", path, expects=(404,))
        except CallFailedError:
            return {}  # before GitLab 13.2 Free had none

    def _approved_head(self, pull_request: PullRequest, approvals: Json, head: str) -> bool:
        """By time; where GitLab does not tell it, by whether a push takes all approvals away.

        https://docs.gitlab.com/api/merge_request_approvals/: ``reset_approvals_on_push``, Premium.
        """
        versions = self._client.get_all("reading the versions", f"{self._path(pull_request)}/versions")
        known = gitlab_read.approved_since(approvals, versions, head)
        if known is not None:
            return known
        path = f"{self._client.project}/approvals"
        return bool(self._optional("reading the approval rules", path).get("reset_approvals_on_push"))

    def _on_train(self, pull_request: PullRequest) -> bool:
        """https://docs.gitlab.com/api/merge_trains/: 404 for what is on none, 403 where there are none."""
        path = f"{self._client.project}/merge_trains/merge_requests/{pull_request.number}"
        car = self._optional("reading the merge train", path)
        return car.get("status") in ("idle", "fresh", "stale", "merging")

    def _optional(self, doing: str, path: str) -> Json:
        """Nothing where the project's plan or the token does not reach."""
        try:
            return self._client.get(doing, path, expects=(404,))
        except CallFailedError:
            return {}
        except DeniedError as error:
            if error.reason != "permission":
                raise
            return {}

    def _require_difference(self, proposal: Proposal, doing: str) -> None:
        path = f"{self._client.project}/repository/compare"
        query = {"from": proposal.base, "to": proposal.branch}
        if not self._client.get(doing, path, query)["commits"]:
            raise ForgeRefusedError(
                f"{doing}: {proposal.branch} holds no commit that {proposal.base} has not",
                next_step="nothing: there is nothing to promote",
                reason="nothing-to-compare",
            )


def _query(**query: str) -> dict[str, str]:
    return {"scope": "all", "order_by": "created_at", "sort": "desc", **query}


def _number(one: Json) -> int:
    return int(one["iid"])
