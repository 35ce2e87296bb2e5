"""The stage on the double of GitHub."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.forges import github_double_git as plumbing
from tests.forges.github_double import GitHubDouble
from tests.forges.github_double_rest import add_pull
from tests.forges.github_double_state import Protection, Pull, Repo, Review, Status
from tests.forges.stage import Seen, StageFactory
from tests.support import repos


class GitHubStage:
    """One repository on one double; `double` and `repo` are for what is GitHub's own."""

    forge: Literal["github", "gitlab", "gitea"] = "github"

    def __init__(self, double: GitHubDouble) -> None:
        self.double = double
        self.repo: Repo = double.add_repository("manifests", {"README.md": "# Deployments\n"})
        self.repo.teams, self.repo.labels = {"sre"}, {"promotion", "production"}
        self.token = double.issue_token("ghp_canary7d1f0a94c2").text
        bob = double.issue_token("ghp_bob5e2c8b60f3", "bob").text
        self.git: Path = self.repo.git
        self.url = f"{double.url}/{self.repo.full_name}.git"
        self.push_url = self.url.replace("://", f"://bob:{bob}@")
        self.environ: Mapping[str, str] = self._environ(self.token)

    def _environ(self, token: str) -> dict[str, str]:
        return {
            "PROMOTER_MANIFEST_REPO": self.url,
            "PROMOTER_TOKEN": token,
            "PROMOTER_FORGE_API": self.double.api,
        }

    def pull_requests(self) -> list[Seen]:
        self.double.observe()
        return [seen(pull) for _, pull in sorted(self.repo.pulls.items())]

    def approve(self, number: int, by: str = "alice") -> None:
        self.double.observe()
        with self.double.state:
            pull = self.repo.pulls[number]
            pull.reviews.append(Review(by, "APPROVED", pull.head))
            pull.reviewers = [login for login in pull.reviewers if login != by]
        self.double.observe()

    def close(self, number: int, by: str = "alice") -> None:  # noqa: ARG002 - the stage's signature
        self.double.observe()
        with self.double.state:
            self.repo.pulls[number].end("closed")

    def merge(self, number: int, method: Literal["merge", "squash", "rebase"] = "merge") -> None:
        self.double.observe()
        with self.double.state:
            assert self.repo.merge(self.repo.pulls[number], method, None, None) is not None
        self.double.observe()

    def protect(
        self,
        branch: str = "main",
        *,
        approvals: int = 0,
        dismiss_stale: bool = False,
        up_to_date: bool = False,
        checks: Sequence[str] = (),
        ruleset: bool = False,
    ) -> None:
        with self.double.state:
            rule = Protection(approvals, dismiss_stale, up_to_date, tuple(checks), ruleset)
            self.repo.protections[branch] = rule
            plumbing.protect(self.repo.git, list(self.repo.protections))

    def report_check(self, commit: str, name: str, state: Literal["pending", "success", "failure"]) -> None:
        self._report(commit, Status(name, state))

    def report_check_run(
        self, commit: str, name: str, state: Literal["pending", "success", "failure", "skipped"]
    ) -> None:
        """As a workflow or an App does."""
        self._report(commit, Status(name, state, run=True))

    def _report(self, commit: str, status: Status) -> None:
        with self.double.state:
            self.repo.statuses.setdefault(commit, []).append(status)
        self.double.observe()

    def statuses(self, commit: str) -> dict[str, tuple[str, str]]:
        with self.double.state:
            found = [one for one in self.repo.reported(commit).values() if not one.run]
            return {one.context: (one.state, one.description or "") for one in found}

    def allow(
        self, *, auto_merge: bool = True, methods: Sequence[str] = ("merge", "squash", "rebase")
    ) -> None:
        with self.double.state:
            self.repo.auto_merge, self.repo.methods = auto_merge, set(methods)

    def weak_token(self) -> Mapping[str, str]:
        may = {"contents": "write", "pull_requests": "read"}
        token = self.double.issue_token("github_pat_canary3b9e41d7a8", kind="personal access token", **may)
        return self._environ(token.text)

    def propose_from_fork(self, branch: str) -> None:
        """A pull request of carol's, from a fork of the same owner (organizations may have several)."""
        fork = self.double.add_repository("manifests-fork", {})
        repos.git(fork.git, "fetch", "--quiet", str(self.git), "+main:main")
        repos.git(fork.git, "branch", branch, "main")
        repos.commit_files(fork.git, {"theirs.yaml": "image: api:6.6.6\n"}, "Theirs", branch=branch)
        with self.double.state:
            add_pull(self.repo, fork, branch, "main", "carol", "From a fork")

    def archive(self) -> None:
        with self.double.state:
            self.repo.archived = True


def seen(pull: Pull) -> Seen:
    return Seen(
        number=pull.number,
        state=pull.state,
        branch=pull.branch,
        base=pull.base,
        head=pull.head,
        title=pull.title,
        body=pull.body or "",
        draft=pull.draft,
        labels=frozenset(pull.labels),
        assignees=frozenset(pull.assignees),
        reviewers=frozenset([*pull.reviewers, *(f"team/{slug}" for slug in pull.teams)]),
        comments=tuple(comment.body for comment in pull.comments),
        auto_merge=pull.auto_merge is not None,
    )


@contextmanager
def github_stage(tmp_path: Path) -> Iterator[GitHubStage]:
    """Leaving it fails where a request or an answer was not as GitHub describes."""
    with GitHubDouble(tmp_path / "github") as double:
        yield GitHubStage(double)


FACTORY: StageFactory = github_stage
