"""The double of GitLab as a stage for the contract suite.

Where GitLab has no such thing as the stage's words:

* Who can push may open merge requests; the weak token is one without the scope `api`.
* The project's method decides how commits are joined: `merge` and `squash` at first. With `rebase` among the
  methods and without `merge` it is fast-forward.
* No check is required by name: the project's pipeline has these jobs, and has to succeed.
* A base that demands a current head is one whose history is semi-linear.
* Auto-merge cannot be turned off for a project; the double then offers no strategy for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.forges import gitlab_git, gitlab_rules
from tests.forges.gitlab_double import GitLabDouble, settle
from tests.forges.gitlab_state import MergeRequest, Project, Status
from tests.forges.stage import Seen, StageFactory
from tests.support import repos

TOKEN = "glpat-canary-7f3a9c41e2"
WEAK_TOKEN = "glpat-canary-0b8d5e6f17"
BOBS_TOKEN = "glpat-bob-5d2c8e4a90"
PATH = "acme/manifests"
STATES: dict[str, Literal["open", "closed", "merged"]] = {
    "opened": "open",
    "closed": "closed",
    "merged": "merged",
}


class GitLabStage:
    """One project on one double; `double` and `project` are for what is GitLab's own."""

    forge: Literal["github", "gitlab", "gitea"] = "gitlab"

    def __init__(self, double: GitLabDouble) -> None:
        self.double = double
        self.project: Project = double.add_project(PATH, {"README.md": "# Deployments\n"})
        self.project.labels.update(("promotion", "production"))
        double.add_token(TOKEN, {"api", "write_repository"})
        double.add_token(WEAK_TOKEN, {"write_repository"})
        double.add_token(BOBS_TOKEN, {"api"}, user="bob")
        self.token = TOKEN
        self.git = self.project.git
        self.url = f"{double.url}/{PATH}.git"
        self.push_url = self.url.replace("://", f"://bob:{BOBS_TOKEN}@")
        self.environ: Mapping[str, str] = self._environ(TOKEN)

    def _environ(self, token: str) -> dict[str, str]:
        return {
            "PROMOTER_MANIFEST_REPO": self.url,
            "PROMOTER_TOKEN": token,
            "PROMOTER_FORGE_API": f"{self.double.url}/api/v4",
        }

    def propose_from_fork(self, branch: str) -> None:
        """A merge request of a stranger's, from a branch of that name in their fork."""
        with self.double.state:
            main = self.project.tip("main") or ""
            head = gitlab_git.commit(
                self.git, repos.git(self.git, "rev-parse", f"{main}^{{tree}}"), [main], "A stranger's"
            )
            gitlab_rules.open_merge_request(
                self.project,
                self.double.users["carol"],
                source=branch,
                target="main",
                title="From a fork",
                fork=(4711, head),
            )

    def pull_requests(self) -> list[Seen]:
        settle(self.double)
        with self.double.state:
            return [self._seen(one) for one in self.project.merge_requests]

    def _seen(self, one: MergeRequest) -> Seen:
        title = one.title.removeprefix("Draft: ") if one.draft else one.title
        waiting = (each.user.username for each in one.reviews if each.state == "unreviewed")
        return Seen(
            number=one.iid,
            state=STATES[one.state],
            branch=one.source,
            base=one.target,
            head=one.head,
            title=title,
            body=one.description,
            draft=one.draft,
            labels=frozenset(one.labels),
            assignees=frozenset(each.username for each in one.assignees),
            reviewers=frozenset(waiting),
            comments=tuple(each.body for each in one.notes),
            auto_merge=one.armed is not None,
        )

    def _one(self, number: int) -> MergeRequest:
        settle(self.double)
        found = self.project.find(number)
        assert found is not None, f"no merge request !{number}"
        return found

    def approve(self, number: int, by: str = "alice") -> None:
        with self.double.state:
            gitlab_rules.approve(self.project, self._one(number), self.double.users[by])

    def close(self, number: int, by: str = "alice") -> None:  # noqa: ARG002 - the stage's
        with self.double.state:
            gitlab_rules.close(self._one(number))

    def merge(self, number: int, method: Literal["merge", "squash", "rebase"] = "merge") -> None:
        with self.double.state:
            one, by = self._one(number), self.double.users["alice"]
            if method == "rebase":
                head = gitlab_git.rebase(self.git, one.source, one.target)
                gitlab_rules.note_head(self.project, one, head)
                gitlab_git.join(self.git, one.target, head, None)
                gitlab_rules.finish(one, by)
            else:
                gitlab_rules.merge(self.project, one, by, {"squash": method == "squash"})

    def protect(
        self,
        branch: str = "main",  # noqa: ARG002 - the stage's: GitLab's rules are the project's
        *,
        approvals: int = 0,
        dismiss_stale: bool = False,
        up_to_date: bool = False,
        checks: Sequence[str] = (),
    ) -> None:
        with self.double.state:
            project = self.project
            project.approvals_required = approvals
            project.reset_approvals_on_push = dismiss_stale
            if project.merge_method != "ff":
                project.merge_method = "rebase_merge" if up_to_date else "merge"
            project.ci_jobs = tuple(checks)
            project.pipeline_must_succeed = bool(checks)
            for one in project.opened():
                gitlab_rules.start_pipeline(project, one.head, one.source)

    def report_check(self, commit: str, name: str, state: Literal["pending", "success", "failure"]) -> None:
        settle(self.double)
        status = "failed" if state == "failure" else state
        with self.double.state:
            job = Status(self.project.next_id(), commit, "main", name, status, None, gitlab_rules.BOT)
            self.project.statuses.append(job)
            gitlab_rules.settle_auto_merge(self.project)

    def statuses(self, commit: str) -> dict[str, tuple[str, str]]:
        with self.double.state:
            found = self.project.latest_statuses(commit)
            return {one.name: (one.status, one.description or "") for one in found}

    def allow(
        self, *, auto_merge: bool = True, methods: Sequence[str] = ("merge", "squash", "rebase")
    ) -> None:
        with self.double.state:
            self.project.auto_merge = auto_merge
            self.project.merge_method = "merge" if "merge" in methods else "ff"
            self.project.squash_option = "default_off" if "squash" in methods else "never"
            if set(methods) == {"squash"}:
                self.project.squash_option = "always"

    def weak_token(self) -> Mapping[str, str]:
        return self._environ(WEAK_TOKEN)

    def archive(self) -> None:
        self.project.archived = True


@contextmanager
def gitlab_stage(tmp_path: Path, *, tls: tuple[Path, Path] | None = None) -> Iterator[GitLabStage]:
    """A stage that in the end fails the test where GitLab's published API was not kept to."""
    with GitLabDouble(tmp_path / "gitlab", tls=tls) as double:
        stage = GitLabStage(double)
        yield stage
        assert not double.violations, "\n".join(double.violations)
        repos.fsck(stage.git)


FACTORY: StageFactory = gitlab_stage
