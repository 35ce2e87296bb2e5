"""The double's answers to GitLab's REST API: one function for each operation of `gitlab_api.yaml`."""

import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.forges import gitlab_rules, gitlab_view
from tests.forges.gitlab_state import MergeRequest, Project, Token, User
from tests.support import repos
from tests.support.repos import GitFailedError

Json = dict[str, Any]
ROLES = ("reporter", "developer", "maintainer")
LEVELS = {"reporter": 20, "developer": 30, "maintainer": 40}


@dataclass(frozen=True)
class Answer:
    status: int
    document: Any
    headers: dict[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    def __init__(self, status: int, message: Any) -> None:
        super().__init__(message)
        self.answer = Answer(status, message if isinstance(message, dict) else {"message": message})


class Instance(Protocol):
    """What the operations need of the server."""

    url: str
    users: dict[str, User]
    projects: dict[str, Project]


@dataclass(frozen=True)
class Call:
    """One request that fits the published description."""

    server: Instance
    token: Token
    names: dict[str, str]  # of the path
    query: dict[str, str]
    body: Json

    @property
    def project(self) -> Project:
        path = urllib.parse.unquote(self.names["id"])
        found = self.server.projects.get(path)
        if found is None:
            raise RefusedError(404, "404 Project Not Found")
        gitlab_rules.refresh(found)
        return found

    def merge_request(self, project: Project) -> MergeRequest:
        found = project.find(int(self.names["iid"]))
        if found is None:
            raise RefusedError(404, "404 Not found")
        return found

    def writable(self) -> Project:
        """Raises RefusedError for an archived project and for who is only a reporter."""
        project = self.project
        if project.archived or self.token.access == "reporter":
            raise RefusedError(403, "403 Forbidden")
        return project

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("true", "1")

    def page(self, items: Sequence[Json], path: str) -> Answer:
        """https://docs.gitlab.com/api/rest/#pagination."""
        size = int(self.query.get("per_page", "20"))
        page = int(self.query.get("page", "1"))
        first = (page - 1) * size
        more = len(items) > first + size
        headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Total": str(len(items))}
        if more:
            query = urllib.parse.urlencode({**self.query, "page": page + 1, "per_page": size})
            headers["Link"] = f'<{self.server.url}/api/v4{path}?{query}>; rel="next"'
            headers["X-Next-Page"] = str(page + 1)
        return Answer(200, list(items[first : first + size]), headers)


def users_list(call: Call) -> Answer:
    name = call.query.get("username", "").lower()
    found = [one for one in call.server.users.values() if one.username.lower() == name]
    return call.page([gitlab_view.user(one, call.server.url) for one in found], "/users")


def project_get(call: Call) -> Answer:
    granted = {"project_access": {"access_level": LEVELS[call.token.access]}, "group_access": None}
    return Answer(200, gitlab_view.project(call.project, call.server.url) | {"permissions": granted})


def current_user(call: Call) -> Answer:
    return Answer(200, gitlab_view.user(call.token.user, call.server.url))


def token_self(call: Call) -> Answer:
    return Answer(200, gitlab_view.token(call.token))


def branch_get(call: Call) -> Answer:
    project, name = call.project, urllib.parse.unquote(call.names["branch"])
    if project.tip(name) is None:
        raise RefusedError(404, "404 Branch Not Found")
    can_push = name not in project.protected and call.token.access != "reporter"
    return Answer(200, gitlab_view.branch(project, name, can_push=can_push))


def project_approvals(call: Call) -> Answer:
    project = call.project
    if not project.premium:
        raise RefusedError(404, {"error": "404 Not Found"})
    return Answer(200, {"reset_approvals_on_push": project.reset_approvals_on_push})


def compare(call: Call) -> Answer:
    project = call.project
    ends = [commit_of(project, call.query[name]) for name in ("from", "to")]
    for name, end in zip(("Source", "Target"), ends, strict=True):
        if end is None:
            raise RefusedError(404, f"404 {name} Ref Not Found")
    base, head = (str(end) for end in ends)
    return Answer(200, gitlab_view.comparison(project, base, head, call.server.url))


def commit_of(project: Project, name: str) -> str | None:
    return project.tip(name) or repos.resolve(project.git, name)


def statuses_list(call: Call) -> Answer:
    project, sha = call.project, call.names["sha"]
    if repos.resolve(project.git, sha) is None:
        raise RefusedError(404, "404 Commit Not Found")
    shown = [gitlab_view.status(one, call.server.url) for one in project.latest_statuses(sha)]
    return call.page(shown, f"/projects/{call.names['id']}/repository/commits/{sha}/statuses")


def status_set(call: Call) -> Answer:
    project, sha = call.writable(), call.names["sha"]
    if repos.resolve(project.git, sha) is None:
        raise RefusedError(404, "404 Commit Not Found")
    holding = repos.git(
        project.git, "for-each-ref", f"--contains={sha}", "--format=%(refname:short)", "refs/heads"
    )
    if not holding:
        raise RefusedError(404, "404 References for commit Not Found")
    name = str(call.body.get("name") or call.body.get("context") or "default")
    state, ref = call.body["state"], holding.split()[0]
    done = gitlab_rules.set_status(
        project, sha, ref, name, state, call.body.get("description"), call.token.user
    )
    if done is None:
        event = {"pending": "enqueue", "running": "run"}[state]
        raise RefusedError(
            400,
            f"Cannot transition status via :{event} from :{state} "
            f'(Reason(s): Status cannot transition via "{event}")',
        )
    return Answer(201, gitlab_view.status(done, call.server.url))


def merge_requests_list(call: Call) -> Answer:
    project, query = call.project, call.query
    found = [
        one
        for one in project.merge_requests
        if query.get("state", "all") in ("all", one.state)
        and query.get("source_branch", one.source) == one.source
        and query.get("target_branch", one.target) == one.target
    ]
    if query.get("scope", "created_by_me") == "created_by_me":
        found = [one for one in found if one.author == call.token.user]
    found.sort(key=lambda one: one.iid, reverse=query.get("sort", "desc") == "desc")
    shown = [gitlab_view.merge_request(project, one, call.server.url) for one in found]
    return call.page(shown, f"/projects/{call.names['id']}/merge_requests")


def merge_requests_create(call: Call) -> Answer:
    project, body = call.writable(), call.body
    source, target = body["source_branch"], body["target_branch"]
    check_title(body["title"])
    if source == target:
        raise RefusedError(422, ["You can't use same project/branch for source and target"])
    for name, branch in (("source", source), ("target", target)):
        if project.tip(branch) is None:
            raise RefusedError(409, [f"The {name} branch {branch} does not exist"])
    for one in project.opened():
        if (one.source, one.target, one.fork) == (source, target, None):
            raise RefusedError(
                409, [f"Another open merge request already exists for this source branch: !{one.iid}"]
            )
    made = gitlab_rules.open_merge_request(
        project,
        call.token.user,
        source=source,
        target=target,
        title=body["title"],
        description=body.get("description", ""),
    )
    change(call, project, made)
    return Answer(201, gitlab_view.merge_request_detail(project, made, call.server.url))


def check_title(title: str) -> None:
    if len(title) > 255:
        raise RefusedError(400, {"message": {"title": ["is too long (maximum is 255 characters)"]}})


def merge_requests_get(call: Call) -> Answer:
    project = call.project
    one = call.merge_request(project)
    shown = gitlab_view.merge_request_detail(
        project, one, call.server.url, diverged=call.flag("include_diverged_commits_count")
    )
    one.unchecked_looks = max(0, one.unchecked_looks - 1)  # to look makes GitLab check
    return Answer(200, shown)


def merge_requests_update(call: Call) -> Answer:
    project, body = call.writable(), call.body
    one = call.merge_request(project)
    if not body:
        raise RefusedError(
            400, {"error": "title, description, state_event are missing, at least one must be provided"}
        )
    if "title" in body:
        check_title(body["title"])
        one.title = body["title"]
    one.description = body.get("description", one.description)
    if body.get("state_event") == "close" and one.state == "opened":
        gitlab_rules.close(one)
    change(call, project, one)
    return Answer(200, gitlab_view.merge_request_detail(project, one, call.server.url))


def change(call: Call, project: Project, one: MergeRequest) -> None:
    """What may be set when it is made and later."""
    body = call.body
    if "assignee_ids" in body:
        gitlab_rules.set_assignees(project, one, people(call, body["assignee_ids"]))
    if "reviewer_ids" in body:
        gitlab_rules.set_reviewers(project, one, people(call, body["reviewer_ids"]))
    for name in ("labels", "add_labels"):
        if body.get(name):
            gitlab_rules.add_labels(project, one, body[name].split(","))
    if "squash" in body and project.squash_option in ("default_on", "default_off"):
        one.squash = body["squash"]


def people(call: Call, ids: list[int]) -> list[User]:
    by_id = {one.id: one for one in call.server.users.values()}
    return [by_id[number] for number in ids if number in by_id]


def merge_requests_merge(call: Call) -> Answer:
    """In the order of `PUT …/merge` in GitLab: the right, mergeable now or later, the head.

    With `auto_merge` "now" means no more than a pipeline that has succeeded, so that one that lacks an
    approval then cannot be armed: GitLab tries, and answers 422.
    """
    project, body = call.writable(), call.body
    one = call.merge_request(project)
    if ROLES.index(call.token.access) < ROLES.index(project.merge_access):
        raise RefusedError(401, "401 Unauthorized")
    waits = bool(body.get("auto_merge") or body.get("merge_when_pipeline_succeeds"))
    later = waits and gitlab_rules.can_wait(project, one)
    mergeable = gitlab_rules.is_mergeable(project, one)
    at_once = project.pipeline_status(one.head) == "success" if waits else mergeable
    if one.state != "opened" or not (at_once or later):
        raise RefusedError(405, "405 Method Not Allowed")
    if at_once and not mergeable:
        raise RefusedError(422, "Branch cannot be merged")
    if body.get("sha", one.head) != one.head:
        raise RefusedError(409, f"SHA does not match HEAD of source branch: {one.head}")
    order = {name: body.get(name) for name in ("squash", "squash_commit_message", "merge_commit_message")}
    one.squash = one.squash or bool(order["squash"])
    if at_once:
        merge_now(project, one, call.token.user, order)
    else:
        one.armed, one.merged_by = order, call.token.user
    return Answer(200, gitlab_view.merge_request_detail(project, one, call.server.url))


def merge_now(project: Project, one: MergeRequest, by: User, order: Json) -> None:
    try:
        gitlab_rules.merge(project, one, by, order)
    except GitFailedError:
        raise RefusedError(422, "Branch cannot be merged") from None


def merge_requests_cancel(call: Call) -> Answer:
    project = call.writable()
    one = call.merge_request(project)
    if one.armed is None:
        refused = {"status": "error", "message": "Can't cancel the automatic merge", "http_status": 406}
        return Answer(201, refused)
    one.armed = None
    return Answer(201, {"status": "success"})


def reviewers_list(call: Call) -> Answer:
    one = call.merge_request(call.project)
    return call.page(gitlab_view.reviewers(one, call.server.url), below(call, one, "reviewers"))


def versions_list(call: Call) -> Answer:
    one = call.merge_request(call.project)
    return call.page(gitlab_view.versions(one), below(call, one, "versions"))


def approvals_get(call: Call) -> Answer:
    project = call.project
    one = call.merge_request(project)
    return Answer(200, gitlab_view.approvals(project, one, call.server.url, call.token.user))


def notes_list(call: Call) -> Answer:
    project = call.project
    one = call.merge_request(project)
    shown = [gitlab_view.note(project, one, said, call.server.url) for said in one.notes]
    if call.query.get("sort", "desc") == "desc":
        shown.reverse()
    return call.page(shown, below(call, one, "notes"))


def notes_create(call: Call) -> Answer:
    project = call.writable()
    one = call.merge_request(project)
    said = gitlab_rules.say(project, one, call.token.user, call.body["body"])
    return Answer(201, gitlab_view.note(project, one, said, call.server.url))


def train_get(call: Call) -> Answer:
    project = call.project
    if not (project.premium and project.merge_trains):
        raise RefusedError(403, "403 Forbidden")
    one = call.merge_request(project)
    if one.train is None:
        raise RefusedError(404, "404 Not found")
    return Answer(200, gitlab_view.car(project, one, call.server.url))


def train_board(call: Call) -> Answer:
    """Directly, or by `auto_merge` when the checks pass."""
    project = call.writable()
    if not (project.premium and project.merge_trains):
        raise RefusedError(403, "403 Forbidden")
    one = call.merge_request(project)
    if call.body.get("sha", one.head) != one.head:
        raise RefusedError(409, "409 Conflict")
    if not call.body.get("auto_merge") and not gitlab_rules.is_mergeable(project, one):
        raise RefusedError(400, "Failed to merge")
    one.squash = one.squash or bool(call.body.get("squash"))
    one.armed, one.merged_by = {}, call.token.user
    one.train = None if call.body.get("auto_merge") else "fresh"
    cars = [each for each in project.opened() if each.train and each.target == one.target]
    return Answer(201, [gitlab_view.car(project, each, call.server.url) for each in cars])


def below(call: Call, one: MergeRequest, what: str) -> str:
    return f"/projects/{call.names['id']}/merge_requests/{one.iid}/{what}"


def version(call: Call) -> Answer:  # noqa: ARG001 - as every operation
    return Answer(200, {"version": "18.6.0-ee", "revision": "0" * 11})


PROJECT = "/projects/:id"
ONE = f"{PROJECT}/merge_requests/:iid"
OPERATIONS: dict[str, Callable[[Call], Answer]] = {
    "GET /version": version,
    "GET /users": users_list,
    "GET /user": current_user,
    "GET /personal_access_tokens/self": token_self,
    f"GET {PROJECT}": project_get,
    f"GET {PROJECT}/repository/branches/:branch": branch_get,
    f"GET {PROJECT}/approvals": project_approvals,
    f"GET {PROJECT}/repository/compare": compare,
    f"GET {PROJECT}/repository/commits/:sha/statuses": statuses_list,
    f"POST {PROJECT}/statuses/:sha": status_set,
    f"GET {PROJECT}/merge_requests": merge_requests_list,
    f"POST {PROJECT}/merge_requests": merge_requests_create,
    f"GET {ONE}": merge_requests_get,
    f"PUT {ONE}": merge_requests_update,
    f"PUT {ONE}/merge": merge_requests_merge,
    f"POST {ONE}/cancel_merge_when_pipeline_succeeds": merge_requests_cancel,
    f"GET {ONE}/reviewers": reviewers_list,
    f"GET {ONE}/versions": versions_list,
    f"GET {ONE}/approvals": approvals_get,
    f"GET {ONE}/notes": notes_list,
    f"POST {ONE}/notes": notes_create,
    f"GET {PROJECT}/merge_trains/merge_requests/:iid": train_get,
    f"POST {PROJECT}/merge_trains/merge_requests/:iid": train_board,
}
# "GitLab CI/CD job token", job token access
FOR_JOBS = {f"GET {PROJECT}/merge_requests", f"GET {ONE}", f"GET {ONE}/notes"}
