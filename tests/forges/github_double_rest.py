"""GitHub's REST API over the double's state: what promoter uses of it, with GitHub's own refusals."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlencode

from tests.forges import github_double_git as plumbing
from tests.forges.github_double_answers import Answers
from tests.forges.github_double_state import Comment, Pull, RefusalError, Repo, Status, Token
from tests.support import repos

if TYPE_CHECKING:
    from tests.forges.github_double_git import MergeMethod

METHODS = {"merge": "Merge commits are", "squash": "Squash merges are", "rebase": "Rebase merges are"}
STRANGER = (
    "Reviews may only be requested from collaborators. One or more of the users or teams you "
    "specified is not a collaborator of the {} repository."
)


@dataclass
class Call:
    """One request that is allowed to be here; `names` are the parts of its path."""

    answers: Answers
    token: Token
    repo: Repo
    names: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    url: str
    headers: dict[str, str] = field(default_factory=dict)  # of the answer

    def pull(self) -> Pull:
        number = self.names.get("pull_number") or self.names["issue_number"]
        found = self.repo.pulls.get(int(number)) if number.isdigit() else None
        if found is None:
            raise RefusalError(404, "Not Found", kind="NOT_FOUND")
        return found

    def page(self, elements: Sequence[Any]) -> list[Any]:
        """One page; the link to the next one stands in a header."""
        size, page = min(100, int(self.query.get("per_page", "30"))), int(self.query.get("page", "1"))
        if page * size < len(elements):
            query = urlencode({**self.query, "page": page + 1})
            self.headers["Link"] = f'<{self.url}?{query}>; rel="next"'
        return list(elements[(page - 1) * size : page * size])


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    needs: Mapping[str, str]
    handle: Callable[[Call], tuple[int, Any]]


def invalid(message: str | None = None, **error: str) -> RefusalError:
    found = {"resource": "PullRequest", "code": "custom", **error}
    return RefusalError(422, "Validation Failed", errors=[found | ({"message": message} if message else {})])


def get_repository(call: Call) -> tuple[int, Any]:
    if call.token.kind == "classic":
        call.headers["X-OAuth-Scopes"] = call.token.scopes
    return 200, call.answers.repository(call.repo)


def list_pulls(call: Call) -> tuple[int, Any]:
    pulls = sorted(call.repo.pulls.values(), key=lambda pull: pull.number)
    state, head, base = (call.query.get(name) for name in ("state", "head", "base"))
    if state != "all":
        pulls = [pull for pull in pulls if (pull.state == "open") == (state != "closed")]
    if head and ":" in head:  # without an owner GitHub does not filter
        pulls = [pull for pull in pulls if f"{pull.source.owner}:{pull.branch}" == head]
    if base:
        pulls = [pull for pull in pulls if pull.base == base]
    if call.query.get("direction", "desc") == "desc":
        pulls.reverse()
    return 200, [call.answers.listed_pull(call.repo, pull) for pull in call.page(pulls)]


def create_pull(call: Call) -> tuple[int, Any]:
    repo, body = call.repo, call.body
    head, base = plumbing.tip(repo.git, body["head"]), plumbing.tip(repo.git, body["base"])
    if head is None or base is None:
        raise invalid(field="head" if head is None else "base", code="invalid")
    if plumbing.holds(repo.git, base, head):
        raise invalid(f"No commits between {body['base']} and {body['head']}")
    if any(
        (pull.branch, pull.base, pull.source) == (body["head"], body["base"], repo) for pull in repo.open()
    ):
        raise invalid(f"A pull request already exists for {repo.owner}:{body['head']}.")
    if body.get("draft") and not repo.drafts:
        raise invalid("Draft pull requests are not supported in this repository.")
    for name, longest in (("title", 256), ("body", 65536)):
        if len(body.get(name) or "") > longest:
            raise invalid(f"{name} is too long (maximum is {longest} characters)", field=name)
    pull = add_pull(repo, repo, body["head"], body["base"], call.token.login, body["title"])
    pull.body, pull.draft = body.get("body"), bool(body.get("draft"))
    return 201, call.answers.pull(repo, pull)


def add_pull(repo: Repo, source: Repo, branch: str, base: str, author: str, title: str) -> Pull:
    head, base_commit = plumbing.tip(source.git, branch), plumbing.tip(repo.git, base)
    assert head is not None
    assert base_commit is not None
    number = max(repo.pulls, default=0) + 1
    pull = Pull(number, author, title, None, branch, base, source, head, base_commit)
    plumbing.keep_head(repo.git, number, source.git, head)
    repo.pulls[number] = pull
    return pull


def get_pull(call: Call) -> tuple[int, Any]:
    return 200, call.answers.pull(call.repo, call.pull())


def update_pull(call: Call) -> tuple[int, Any]:
    pull = call.pull()
    pull.title = call.body.get("title", pull.title)
    pull.body = call.body.get("body", pull.body)
    state = call.body.get("state")
    if state == "closed" and pull.state == "open":
        pull.end("closed")
    if state == "open" and pull.state != "open":
        raise invalid("state cannot be changed. It is not implemented here.", field="state")
    return 200, call.answers.pull(call.repo, pull)


def merge_pull(call: Call) -> tuple[int, Any]:
    repo, pull, body = call.repo, call.pull(), call.body or {}
    method = cast("MergeMethod", body.get("merge_method", "merge"))
    if method not in repo.methods:
        raise RefusalError(405, f"{METHODS[method]} not allowed on this repository.")
    if pull.state == "open" and body.get("sha", pull.head) != pull.head:
        raise RefusalError(409, "Head branch was modified. Review and try the merge again.")
    if repo.queue:
        raise RefusalError(405, "Changes must be made through the merge queue")
    if unmet := repo.unmet(pull):
        raise RefusalError(405, " ".join(unmet))
    if repo.merge_state(pull) == "BEHIND":
        raise RefusalError(405, "Head branch is out of date. Review and try the merge again.")
    commit = None
    if pull.state == "open" and not pull.draft:
        commit = repo.merge(pull, method, body.get("commit_title"), body.get("commit_message"))
    if commit is None:
        raise RefusalError(405, "Pull Request is not mergeable")
    return 200, {"sha": commit, "merged": True, "message": "Pull Request successfully merged"}


def list_comments(call: Call) -> tuple[int, Any]:
    since = call.query.get("since", "")
    found = [comment for comment in call.pull().comments if comment.created >= since]
    return 200, [call.answers.comment(call.repo, call.pull(), one) for one in call.page(found)]


def create_comment(call: Call) -> tuple[int, Any]:
    comment = Comment(call.token.login, call.body["body"])
    call.pull().comments.append(comment)
    return 201, call.answers.comment(call.repo, call.pull(), comment)


def add_labels(call: Call) -> tuple[int, Any]:
    repo, pull = call.repo, call.pull()
    names = call.body if isinstance(call.body, list) else call.body["labels"]
    if any(len(name) > 50 for name in names):
        raise invalid(resource="Label", field="name", code="invalid")
    if not repo.labels.issuperset(names) and not call.token.may("issues", "write"):
        unauthorized = {"resource": "Repository", "field": "label", "code": "unauthorized"}
        message = "You do not have permission to create labels on this repository."
        raise RefusalError(403, message, errors=[unauthorized])
    repo.labels.update(names)
    pull.labels += [name for name in names if name not in pull.labels]
    return 200, [call.answers.label(repo, name) for name in pull.labels]


def add_assignees(call: Call) -> tuple[int, Any]:
    pull, known = call.pull(), call.repo.writers | call.repo.readers
    wanted = [login for login in call.body["assignees"] if login in known]  # others are ignored
    pull.assignees += [login for login in wanted if login not in pull.assignees]
    return 201, call.answers.issue(call.repo, pull)


def request_reviews(call: Call) -> tuple[int, Any]:
    repo, pull = call.repo, call.pull()
    users, teams = call.body.get("reviewers", []), call.body.get("team_reviewers", [])
    if pull.author in users:
        raise RefusalError(422, "Review cannot be requested from pull request author.")
    if teams and not call.token.may("members", "read"):
        missing = "Could not resolve to a node with the global id of 'T_kwDOAAhBJ84AAAAB'."
        raise RefusalError(422, "Validation Failed", errors=[missing])
    if not (repo.writers | repo.readers).issuperset(users) or not repo.teams.issuperset(teams):
        raise RefusalError(422, STRANGER.format(repo.full_name))
    pull.reviewers += [login for login in users if login not in pull.reviewers]
    pull.teams += [slug for slug in teams if slug not in pull.teams]
    return 201, call.answers.listed_pull(repo, pull)


def list_statuses(call: Call) -> tuple[int, Any]:
    commit = call.names["ref"]
    found = [one for one in reversed(call.repo.statuses.get(commit, [])) if not one.run]
    return 200, [call.answers.status(call.repo, commit, one, call.token.login) for one in call.page(found)]


def list_check_runs(call: Call) -> tuple[int, Any]:
    commit = call.names["ref"]
    found = [one for one in call.repo.reported(commit).values() if one.run]
    shown = [call.answers.check_run(call.repo, commit, one) for one in call.page(found)]
    return 200, {"total_count": len(found), "check_runs": shown}


def create_status(call: Call) -> tuple[int, Any]:
    commit, body = call.names["sha"], call.body
    if repos.resolve(call.repo.git, commit) is None:
        raise RefusalError(422, f"No commit found for SHA: {commit}")
    if len(body.get("description") or "") > 140:
        raise invalid("description is too long (maximum is 140 characters)", resource="Status")
    status = Status(body.get("context", "default"), body["state"], body.get("description"))
    call.repo.statuses.setdefault(commit, []).append(status)
    return 201, call.answers.status(call.repo, commit, status, call.token.login)


def create_ref(call: Call) -> tuple[int, Any]:
    branch = call.body["ref"].removeprefix("refs/heads/")
    if plumbing.tip(call.repo.git, branch) is not None:
        raise RefusalError(422, "Reference already exists")
    _existing(call.repo, call.body["sha"])
    repos.git(call.repo.git, "update-ref", call.body["ref"], call.body["sha"], repos.ZERO)
    return 201, call.answers.reference(call.repo, branch)


def update_ref(call: Call) -> tuple[int, Any]:
    branch = call.names["ref"].removeprefix("heads/")
    old = plumbing.tip(call.repo.git, branch)
    if old is None:
        raise RefusalError(422, "Reference does not exist")
    _existing(call.repo, call.body["sha"])
    if not call.body.get("force") and not plumbing.holds(call.repo.git, call.body["sha"], old):
        raise RefusalError(422, "Update is not a fast forward")
    repos.git(call.repo.git, "update-ref", f"refs/heads/{branch}", call.body["sha"], old)
    return 200, call.answers.reference(call.repo, branch)


def delete_ref(call: Call) -> tuple[int, Any]:
    branch = call.names["ref"].removeprefix("heads/")
    if plumbing.tip(call.repo.git, branch) is None:
        raise RefusalError(422, "Reference does not exist")
    repos.git(call.repo.git, "update-ref", "-d", f"refs/heads/{branch}")
    return 204, None


def _existing(repo: Repo, commit: str) -> None:
    if not re.fullmatch("[0-9a-f]{40}", commit) or repos.resolve(repo.git, commit) is None:
        raise RefusalError(422, "Object does not exist")


def flat(query: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}


REPO, PULL, ISSUE = "/repos/{owner}/{repo}", "/pulls/{pull_number}", "/issues/{issue_number}"
READ, WRITE = {"pull_requests": "read"}, {"pull_requests": "write"}
PUSH = {"contents": "write"}
ROUTES = (
    Route("GET", REPO, {"metadata": "read"}, get_repository),
    Route("GET", f"{REPO}/pulls", READ, list_pulls),
    Route("POST", f"{REPO}/pulls", WRITE, create_pull),
    Route("GET", REPO + PULL, READ, get_pull),
    Route("PATCH", REPO + PULL, WRITE, update_pull),
    Route("PUT", f"{REPO}{PULL}/merge", PUSH, merge_pull),
    Route("POST", f"{REPO}{PULL}/requested_reviewers", WRITE, request_reviews),
    Route("GET", f"{REPO}{ISSUE}/comments", READ, list_comments),
    Route("POST", f"{REPO}{ISSUE}/comments", WRITE, create_comment),
    Route("POST", f"{REPO}{ISSUE}/labels", WRITE, add_labels),
    Route("POST", f"{REPO}{ISSUE}/assignees", WRITE, add_assignees),
    Route("GET", f"{REPO}/commits/{{ref}}/statuses", {"statuses": "read"}, list_statuses),
    Route("GET", f"{REPO}/commits/{{ref}}/check-runs", {"checks": "read"}, list_check_runs),
    Route("POST", f"{REPO}/statuses/{{sha}}", {"statuses": "write"}, create_status),
    Route("POST", f"{REPO}/git/refs", PUSH, create_ref),
    Route("PATCH", f"{REPO}/git/refs/{{ref}}", PUSH, update_ref),
    Route("DELETE", f"{REPO}/git/refs/{{ref}}", PUSH, delete_ref),
)
