"""How the double of GitLab shows what it knows, as `gitlab_api.yaml` describes it."""

from datetime import datetime
from typing import Any

from tests.forges import gitlab_git, gitlab_rules
from tests.forges.gitlab_state import MergeRequest, Note, Project, Status, Token, User

Json = dict[str, Any]


def time(moment: datetime | None) -> str | None:
    """GitLab tells milliseconds."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def user(one: User, url: str) -> Json:
    return {
        "id": one.id,
        "username": one.username,
        "public_email": "",
        "name": one.name,
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{url}/{one.username}",
    }


def project(one: Project, url: str) -> Json:
    return {
        "id": one.id,
        "name": one.path.rpartition("/")[2],
        "path": one.path.rpartition("/")[2],
        "path_with_namespace": one.path,
        "default_branch": one.default_branch,
        "visibility": "private",
        "archived": one.archived,
        "web_url": f"{url}/{one.path}",
        "http_url_to_repo": f"{url}/{one.path}.git",
        "merge_method": one.merge_method,
        "squash_option": one.squash_option,
        "only_allow_merge_if_pipeline_succeeds": one.pipeline_must_succeed,
        "only_allow_merge_if_all_discussions_are_resolved": False,
        "allow_merge_on_skipped_pipeline": None,
        "printing_merge_request_link_enabled": one.prints_links,
        "remove_source_branch_after_merge": True,
        "ci_push_repository_for_job_token_allowed": one.job_token_pushes,
        **({"merge_trains_enabled": one.merge_trains} if one.premium else {}),
    }


def token(one: Token) -> Json:
    return {
        "id": one.user.id + 5000,
        "name": "promoter",
        "revoked": False,
        "created_at": "2026-01-01T00:00:00.000Z",
        "description": None,
        "scopes": sorted(one.scopes),
        "user_id": one.user.id,
        "last_used_at": None,
        "active": True,
        "expires_at": one.expires,
    }


def branch(owner: Project, name: str, *, can_push: bool) -> Json:
    protected = name in owner.protected
    return {
        "name": name,
        "merged": False,
        "protected": protected,
        "default": name == owner.default_branch,
        "developers_can_push": not protected,
        "developers_can_merge": not protected,
        "can_push": can_push,
    }


def merge_request(owner: Project, one: MergeRequest, url: str) -> Json:
    """In a list."""
    people = [user(each, url) for each in one.assignees]
    status = gitlab_rules.merge_status(owner, one)
    return {
        "id": one.id,
        "iid": one.iid,
        "project_id": owner.id,
        "title": one.title,
        "description": one.description,
        "state": one.state,
        "created_at": time(one.created),
        "updated_at": time(one.updated),
        "merged_at": time(one.merged),
        "closed_at": time(one.closed),
        "prepared_at": time(one.created),
        "target_branch": one.target,
        "source_branch": one.source,
        "source_project_id": one.fork or owner.id,
        "target_project_id": owner.id,
        "author": user(one.author, url),
        "assignee": people[0] if people else None,
        "assignees": people,
        "reviewers": [user(each, url) for each in one.reviewers],
        "labels": one.labels,
        "draft": one.draft,
        "work_in_progress": one.draft,
        "merge_when_pipeline_succeeds": one.armed is not None,
        "merge_status": status,
        "detailed_merge_status": gitlab_rules.detailed_status(owner, one),
        "sha": one.head,
        "merge_commit_sha": one.merge_commit if owner.merge_method != "ff" else None,
        "squash_commit_sha": one.squash_commit,
        "squash": one.squash,
        "squash_on_merge": one.squash,
        "has_conflicts": status == "cannot_be_merged",
        "user_notes_count": len(one.notes),
        "should_remove_source_branch": None,
        "force_remove_source_branch": False,
        "web_url": f"{url}/{owner.path}/-/merge_requests/{one.iid}",
        "references": {"short": f"!{one.iid}", "relative": f"!{one.iid}", "full": f"{owner.path}!{one.iid}"},
    }


def merge_request_detail(owner: Project, one: MergeRequest, url: str, *, diverged: bool = False) -> Json:
    """On its own."""
    shown = merge_request(owner, one, url)
    shown |= {
        "head_pipeline": pipeline(owner, one, url),
        "merge_error": None,
        "merge_user": user(one.merged_by, url) if one.merged_by else None,
        "changes_count": "1",
        "user": {"can_merge": True},
    }
    if diverged:
        shown["diverged_commits_count"] = gitlab_rules.behind(owner, one)
    return shown


def pipeline(owner: Project, one: MergeRequest, url: str) -> Json | None:
    status = owner.pipeline_status(one.head)
    if status is None:
        return None
    number = min(each.id for each in owner.statuses if each.sha == one.head)
    return {
        "id": number,
        "iid": number,
        "project_id": owner.id,
        "sha": one.head,
        "ref": one.source,
        "status": status,
        "source": "external",
        "created_at": time(one.versions[-1].created),
        "updated_at": time(one.versions[-1].created),
        "web_url": f"{url}/{owner.path}/-/pipelines/{number}",
    }


def reviewers(one: MergeRequest, url: str) -> list[Json]:
    return [
        {"user": user(each.user, url), "state": each.state, "created_at": time(each.created)}
        for each in one.reviews
    ]


def versions(one: MergeRequest) -> list[Json]:
    """Newest first."""
    return [
        {
            "id": each.id,
            "head_commit_sha": each.head,
            "base_commit_sha": each.base,
            "start_commit_sha": each.start,
            "patch_id_sha": None,
            "created_at": time(each.created),
            "merge_request_id": one.id,
            "state": "collected",
            "real_size": "1",
        }
        for each in reversed(one.versions)
    ]


def approvals(owner: Project, one: MergeRequest, url: str, asking: User) -> Json:
    """On Premium `approved` is about the rules, on Free about any approval."""
    given: list[Json] = []
    for who, when in one.approvals.values():
        shown = {"user": user(who, url)}
        given.append(shown | {"approved_at": time(when)} if owner.tells_approval_time else shown)
    answer = {
        "approved": bool(given),
        "approved_by": given,
        "user_has_approved": asking.username in one.approvals,
        "user_can_approve": True,
    }
    if owner.premium:
        left = max(0, owner.approvals_required - len(given))
        answer |= {
            "id": one.id,
            "iid": one.iid,
            "approved": left == 0,
            "approvals_required": owner.approvals_required,
            "approvals_left": left,
        }
    return answer


def status(one: Status, url: str) -> Json:
    ended = time(one.created) if one.status in ("success", "failed", "canceled", "skipped") else None
    return {
        "id": one.id,
        "sha": one.sha,
        "ref": one.ref,
        "status": one.status,
        "name": one.name,
        "description": one.description,
        "target_url": None,
        "coverage": None,
        "pipeline_id": one.id,
        "allow_failure": one.allow_failure,
        "created_at": time(one.created),
        "started_at": None,
        "finished_at": ended,
        "author": user(one.author, url),
    }


def note(owner: Project, one: MergeRequest, said: Note, url: str) -> Json:
    return {
        "id": said.id,
        "body": said.body,
        "author": user(said.author, url),
        "created_at": time(said.created),
        "updated_at": time(said.created),
        "system": False,
        "internal": False,
        "noteable_id": one.id,
        "noteable_type": "MergeRequest",
        "noteable_iid": one.iid,
        "project_id": owner.id,
        "resolvable": False,
    }


def comparison(owner: Project, base: str, head: str, url: str) -> Json:
    found = gitlab_git.commits_between(owner.git, base, head)
    commits = [{"id": one, "short_id": one[:8], "title": gitlab_git.subject(owner.git, one)} for one in found]
    return {
        "commit": commits[0] if commits else None,
        "commits": commits[::-1],
        "diffs": [],
        "compare_timeout": False,
        "compare_same_ref": base == head,
        "web_url": f"{url}/{owner.path}/-/compare/{base}...{head}",
    }


def car(owner: Project, one: MergeRequest, url: str) -> Json:
    return {
        "id": one.id,
        "merge_request": {"id": one.id, "iid": one.iid, "project_id": owner.id, "state": one.state},
        "user": user(one.author, url),
        "pipeline": pipeline(owner, one, url),
        "created_at": time(one.created),
        "updated_at": time(one.updated),
        "target_branch": one.target,
        "status": one.train,
        "merged_at": None,
        "duration": None,
    }
