"""What GitLab does with merge requests: mergeability, auto-merge, merging, and what a push changes."""

from tests.forges import gitlab_git
from tests.forges.gitlab_state import MergeRequest, Note, Project, Review, Status, User, Version, now
from tests.support.repos import GitFailedError

RUNNING = ("created", "pending", "running")
BOT = User(1, "project_1_bot")


def refresh(project: Project) -> None:
    """What GitLab's workers do after a push: new heads are noted, and what that undoes is undone."""
    for one in project.opened():
        head = project.head_of(one)
        if head is not None and head != one.head:
            note_head(project, one, head)
        elif gone_in(project, one):
            one.state, one.merged = "merged", now()
    settle_auto_merge(project)


def note_head(project: Project, one: MergeRequest, head: str) -> None:
    target = project.tip(one.target)
    if target is None:
        return
    base = gitlab_git.merge_base(project.git, target, head)
    empty = not gitlab_git.commits_between(project.git, target, head)
    one.versions.append(Version(project.next_id(), head, base, target, empty, now()))
    one.unchecked_looks = project.unchecked_looks
    one.armed = None  # "auto-merge is cancelled when commits are added"
    one.updated = now()
    gitlab_git.keep_head(project.git, one.iid, head)
    if project.reset_approvals_on_push:
        unapprove(one)
    start_pipeline(project, head, one.source)


def unapprove(one: MergeRequest) -> None:
    for review in one.reviews:
        if review.user.username in one.approvals:
            review.state = "unapproved"
    one.approvals.clear()


def start_pipeline(project: Project, head: str, branch: str) -> None:
    known = {status.name for status in project.latest_statuses(head)}
    for job in project.ci_jobs:
        if job not in known:
            project.statuses.append(Status(project.next_id(), head, branch, job, "pending", None, BOT))


def gone_in(project: Project, one: MergeRequest) -> bool:
    """Whether somebody pushed its commits to the target: GitLab marks it as merged."""
    version = one.versions[-1]
    target = project.tip(one.target)
    return (
        not version.empty
        and target is not None
        and target != version.start
        and gitlab_git.is_ancestor(project.git, version.head, target)
    )


# --- mergeability


def conflicts(project: Project, one: MergeRequest) -> bool:
    target = project.tip(one.target)
    return target is not None and gitlab_git.merged_tree(project.git, target, one.head) is None


def behind(project: Project, one: MergeRequest) -> int:
    target = project.tip(one.target)
    return len(gitlab_git.commits_between(project.git, one.head, target)) if target else 0


def merge_status(project: Project, one: MergeRequest) -> str:
    if one.unchecked_looks:
        return "checking"
    if one.versions[-1].empty or project.head_of(one) is None or conflicts(project, one):
        return "cannot_be_merged"
    return "can_be_merged"


def detailed_status(project: Project, one: MergeRequest) -> str:
    """https://docs.gitlab.com/api/merge_requests/#merge-status, in the order of GitLab's checks."""
    if one.state != "opened":
        return "not_open"
    if one.unchecked_looks:
        return "checking"
    return own_obstacle(project, one) or pipeline_obstacle(project, one) or "mergeable"


def own_obstacle(project: Project, one: MergeRequest) -> str | None:
    if one.versions[-1].empty or project.head_of(one) is None:
        return "commits_status"
    if one.draft:
        return "draft_status"
    if len(one.approvals) < project.approvals_required:
        return "not_approved"
    if conflicts(project, one):
        return "conflict"
    if project.merge_method != "merge" and behind(project, one):
        return "need_rebase"
    return None


def pipeline_obstacle(project: Project, one: MergeRequest) -> str | None:
    if not project.pipeline_must_succeed:
        return None
    status = project.pipeline_status(one.head)
    if status in RUNNING:
        return "ci_still_running"
    return None if status == "success" else "ci_must_pass"


def is_mergeable(project: Project, one: MergeRequest) -> bool:
    """Asked by a merge, GitLab looks at once instead of in the background."""
    one.unchecked_looks = 0
    return detailed_status(project, one) == "mergeable"


def pipeline_runs(project: Project, one: MergeRequest) -> bool:
    return project.pipeline_status(one.head) in RUNNING


def can_wait(project: Project, one: MergeRequest) -> bool:
    """Whether auto-merge is on offer: something is left that may still come true without a new commit."""
    if not project.auto_merge or one.state != "opened" or one.versions[-1].empty:
        return False
    if project.merge_trains or conflicts(project, one):
        return False
    return not is_mergeable(project, one) or pipeline_runs(project, one)


def settle_auto_merge(project: Project) -> None:
    for one in project.opened():
        if one.armed is None or one.train is not None:
            continue
        status = project.pipeline_status(one.head)
        if status not in (None, "success") or not is_mergeable(project, one):
            continue
        if project.merge_trains:
            one.train = "fresh"
        else:
            merge(project, one, one.merged_by or BOT, one.armed)


# --- merging


def merge(project: Project, one: MergeRequest, by: User, order: dict[str, str | bool | None]) -> None:
    """As the project's method says; the order holds `squash` and the messages."""
    squash = (one.squash or bool(order.get("squash"))) and project.squash_option != "never"
    squash = squash or project.squash_option == "always"
    head, target = one.head, project.tip(one.target)
    if target is None:
        raise GitFailedError("no target")
    if squash and len(gitlab_git.commits_between(project.git, target, head)) >= 1:
        text = str(order.get("squash_commit_message") or one.title)
        head = one.squash_commit = gitlab_git.squash(project.git, target, head, text)
    message: str | None = None
    if project.merge_method != "ff":
        message = str(order.get("merge_commit_message") or default_message(project, one))
    one.merge_commit = gitlab_git.join(project.git, one.target, head, message)
    finish(one, by)


def default_message(project: Project, one: MergeRequest) -> str:
    first = f"Merge branch '{one.source}' into '{one.target}'"
    return f"{first}\n\n{one.title}\n\nSee merge request {project.path}!{one.iid}"


def finish(one: MergeRequest, by: User) -> None:
    one.state, one.merged, one.merged_by = "merged", now(), by
    one.armed = one.train = None
    one.updated = now()


# --- what people and the API do alike


def open_merge_request(
    project: Project,
    author: User,
    *,
    source: str,
    target: str,
    title: str,
    description: str = "",
    fork: tuple[int, str] | None = None,
) -> MergeRequest:
    """`fork`: the project that the branch belongs to, and its head."""
    one = MergeRequest(
        project.next_id(),
        len(project.merge_requests) + 1,
        source,
        target,
        title,
        description,
        author,
        squash=project.squash_option in ("always", "default_on"),
    )
    project.merge_requests.append(one)
    one.fork, head = fork or (None, project.tip(source))
    if head is None:
        raise GitFailedError(f"no branch {source}")
    note_head(project, one, head)
    return one


def close(one: MergeRequest) -> None:
    one.state, one.closed = "closed", now()
    one.armed = None


def approve(project: Project, one: MergeRequest, by: User) -> None:
    one.approvals[by.username] = (by, now())
    for review in one.reviews:
        if review.user == by:
            review.state = "approved"
    settle_auto_merge(project)


def set_reviewers(project: Project, one: MergeRequest, users: list[User]) -> None:
    """Who stays keeps what they said; GitLab Free takes one."""
    wanted = users if project.premium else users[:1]
    kept = {review.user: review for review in one.reviews}
    one.reviews = [kept.get(user) or Review(user) for user in wanted]


def set_assignees(project: Project, one: MergeRequest, users: list[User]) -> None:
    one.assignees = users if project.premium else users[:1]


def add_labels(project: Project, one: MergeRequest, names: list[str]) -> None:
    """Unknown ones are created."""
    project.labels.update(names)
    one.labels = sorted({*one.labels, *names})


def say(project: Project, one: MergeRequest, by: User, text: str) -> Note:
    note = Note(project.next_id(), text, by)
    one.notes.append(note)
    return note


def set_status(
    project: Project, sha: str, ref: str, name: str, state: str, description: str | None, by: User
) -> Status | None:
    """None where GitLab refuses: it may not go into the state that it is in."""
    present = next((one for one in project.latest_statuses(sha) if one.name == name), None)
    if present is None or present.status not in RUNNING:
        present = Status(project.next_id(), sha, ref, name, state, description, by)
        project.statuses.append(present)
    elif present.status == state:
        return None
    else:
        present.status = state
        present.description = description
    settle_auto_merge(project)
    return present
