"""The documents of GitHub's REST API, as its description wants them, from the double's state."""

import base64
import zlib
from dataclasses import dataclass
from typing import Any

from tests.forges.github_double_state import Comment, Pull, Repo, Status
from tests.support import repos

USER_LINKS = (
    "events_url:/events{/privacy}",
    "followers_url:/followers",
    "following_url:/following{/other_user}",
    "gists_url:/gists{/gist_id}",
    "organizations_url:/orgs",
    "received_events_url:/received_events",
    "repos_url:/repos",
    "starred_url:/starred{/owner}{/repo}",
    "subscriptions_url:/subscriptions",
)
REPOSITORY_LINKS = (
    "archive_url:/{archive_format}{/ref}",
    "assignees_url:/assignees{/user}",
    "blobs_url:/git/blobs{/sha}",
    "branches_url:/branches{/branch}",
    "collaborators_url:/collaborators{/collaborator}",
    "comments_url:/comments{/number}",
    "commits_url:/commits{/sha}",
    "compare_url:/compare/{base}...{head}",
    "contents_url:/contents/{+path}",
    "contributors_url:/contributors",
    "deployments_url:/deployments",
    "downloads_url:/downloads",
    "events_url:/events",
    "forks_url:/forks",
    "git_commits_url:/git/commits{/sha}",
    "git_refs_url:/git/refs{/sha}",
    "git_tags_url:/git/tags{/sha}",
    "hooks_url:/hooks",
    "issue_comment_url:/issues/comments{/number}",
    "issue_events_url:/issues/events{/number}",
    "issues_url:/issues{/number}",
    "keys_url:/keys{/key_id}",
    "labels_url:/labels{/name}",
    "languages_url:/languages",
    "merges_url:/merges",
    "milestones_url:/milestones{/number}",
    "notifications_url:/notifications{?since,all,participating}",
    "pulls_url:/pulls{/number}",
    "releases_url:/releases{/id}",
    "stargazers_url:/stargazers",
    "statuses_url:/statuses/{sha}",
    "subscribers_url:/subscribers",
    "subscription_url:/subscription",
    "tags_url:/tags",
    "teams_url:/teams",
    "trees_url:/git/trees{/sha}",
)
PULL_LINKS = {
    "html": "{web}/pull/{number}",
    "issue": "{api}/issues/{number}",
    "comments": "{api}/issues/{number}/comments",
    "review_comments": "{api}/pulls/{number}/comments",
    "review_comment": "{api}/pulls/comments{{/number}}",
    "commits": "{api}/pulls/{number}/commits",
    "statuses": "{api}/statuses/{head}",
    "self": "{api}/pulls/{number}",
}


def node_id(kind: str, *parts: object) -> str:
    return base64.urlsafe_b64encode("\n".join([kind, *map(str, parts)]).encode()).decode()


def node_parts(text: str) -> list[str]:
    return base64.urlsafe_b64decode(text.encode()).decode().split("\n")


def number_of(name: str) -> int:
    return zlib.crc32(name.encode())


def links(root: str, described: tuple[str, ...]) -> dict[str, str]:
    return {name: root + path for name, _, path in (one.partition(":") for one in described)}


@dataclass(frozen=True)
class Answers:
    """`api` and `web` are the double's addresses."""

    api: str
    web: str

    def user(self, login: str) -> dict[str, Any]:
        here = f"{self.api}/users/{login}"
        kind = "Bot" if login.endswith("[bot]") else "Organization" if login == "acme" else "User"
        return {
            "login": login,
            "id": number_of(login),
            "node_id": node_id("User", login),
            "avatar_url": f"{self.web}/{login}.png",
            "gravatar_id": "",
            "url": here,
            "html_url": f"{self.web}/{login}",
            "type": kind,
            "site_admin": False,
        } | links(here, USER_LINKS)

    def team(self, owner: str, slug: str) -> dict[str, Any]:
        here = f"{self.api}/organizations/{number_of(owner)}/team/{number_of(slug)}"
        return {
            "id": number_of(slug),
            "node_id": node_id("Team", slug),
            "url": here,
            "html_url": f"{self.web}/orgs/{owner}/teams/{slug}",
            "name": slug.upper(),
            "slug": slug,
            "description": None,
            "privacy": "closed",
            "permission": "push",
            "members_url": f"{here}/members{{/member}}",
            "repositories_url": f"{here}/repos",
            "parent": None,
            "type": "organization",
        }

    def repository(self, repo: Repo) -> dict[str, Any]:
        here, page = f"{self.api}/repos/{repo.full_name}", f"{self.web}/{repo.full_name}"
        counts = ("forks", "open_issues", "stargazers", "watchers", "network", "subscribers")
        return {
            "id": repo.id,
            "node_id": node_id("Repository", repo.full_name),
            "name": repo.name,
            "full_name": repo.full_name,
            "owner": self.user(repo.owner),
            "private": True,
            "html_url": page,
            "description": None,
            "fork": repo.name.endswith("-fork"),
            "url": here,
            "clone_url": f"{page}.git",
            "git_url": f"{page}.git",
            "ssh_url": f"git@example.com:{repo.full_name}.git",
            "svn_url": page,
            "mirror_url": None,
            "default_branch": repo.default_branch,
            "homepage": None,
            "language": None,
            "license": None,
            "archived": repo.archived,
            "disabled": False,
            "size": 1,
            "forks": 0,
            "open_issues": len(repo.open()),
            "watchers": 0,
            "pushed_at": repo.created,
            "created_at": repo.created,
            "updated_at": repo.created,
            "allow_auto_merge": repo.auto_merge,
            "allow_merge_commit": "merge" in repo.methods,
            "allow_squash_merge": "squash" in repo.methods,
            "allow_rebase_merge": "rebase" in repo.methods,
            "permissions": {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True},
            **{f"{name}_count": 0 for name in counts},
            **{f"has_{name}": True for name in ("issues", "projects", "wiki", "pages", "downloads")},
            "has_discussions": False,
        } | links(here, REPOSITORY_LINKS)

    def side(self, repo: Repo, branch: str, commit: str) -> dict[str, Any]:
        return {
            "label": f"{repo.owner}:{branch}",
            "ref": branch,
            "sha": commit,
            "user": self.user(repo.owner),
            "repo": self.repository(repo),
        }

    def listed_pull(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        places = {
            "api": f"{self.api}/repos/{repo.full_name}",
            "web": f"{self.web}/{repo.full_name}",
            "number": pull.number,
            "head": pull.head,
        }
        hrefs = {name: form.format(**places) for name, form in PULL_LINKS.items()}
        wanted = pull.auto_merge
        return {
            "id": pull.id,
            "node_id": node_id("PullRequest", repo.full_name, pull.number),
            "number": pull.number,
            "state": "open" if pull.state == "open" else "closed",
            "locked": False,
            "title": pull.title,
            "body": pull.body,
            "user": self.user(pull.author),
            "labels": [self.label(repo, name) for name in pull.labels],
            "milestone": None,
            "active_lock_reason": None,
            "created_at": pull.created,
            "updated_at": pull.ended or pull.created,
            "closed_at": pull.ended,
            "merged_at": pull.ended if pull.state == "merged" else None,
            "merge_commit_sha": pull.merge_commit,
            "assignee": self.user(pull.assignees[0]) if pull.assignees else None,
            "assignees": [self.user(login) for login in pull.assignees],
            "requested_reviewers": [self.user(login) for login in pull.reviewers],
            "requested_teams": [self.team(repo.owner, slug) for slug in pull.teams],
            "head": self.side(pull.source, pull.branch, pull.head),
            "base": self.side(repo, pull.base, pull.base_commit),
            "author_association": "COLLABORATOR",
            "auto_merge": None
            if wanted is None
            else {
                "enabled_by": self.user(wanted.by),
                "merge_method": wanted.method,
                "commit_title": wanted.title or "",
                "commit_message": wanted.body or "",
            },
            "draft": pull.draft,
            "_links": {name: {"href": href} for name, href in hrefs.items()},
            "url": hrefs["self"],
            "diff_url": f"{hrefs['html']}.diff",
            "patch_url": f"{hrefs['html']}.patch",
            **{f"{name}_url": href for name, href in hrefs.items() if name != "self"},
        }

    def pull(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        known = pull.state == "open" and repo.knows(pull)
        return self.listed_pull(repo, pull) | {
            "merged": pull.state == "merged",
            "mergeable": not repo.conflicts(pull) if known else None,
            "rebaseable": None,
            "mergeable_state": repo.merge_state(pull).lower() if known else "unknown",
            "merged_by": self.user("alice") if pull.state == "merged" else None,
            "comments": len(pull.comments),
            "review_comments": 0,
            "maintainer_can_modify": False,
            "commits": 1,
            "additions": 1,
            "deletions": 1,
            "changed_files": 1,
        }

    def issue(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """A pull request as the API for issues shows it."""
        here, shown = f"{self.api}/repos/{repo.full_name}", self.listed_pull(repo, pull)
        kept = ("number", "state", "locked", "title", "body", "user", "labels", "milestone", "assignee")
        more = ("assignees", "created_at", "updated_at", "closed_at", "author_association", "html_url")
        return {name: shown[name] for name in (*kept, *more)} | {
            "id": pull.id,
            "node_id": shown["node_id"],
            "url": shown["issue_url"],
            "repository_url": here,
            "labels_url": f"{shown['issue_url']}/labels{{/name}}",
            "comments_url": shown["comments_url"],
            "events_url": f"{shown['issue_url']}/events",
            "comments": len(pull.comments),
        }

    def label(self, repo: Repo, name: str) -> dict[str, Any]:
        return {
            "id": number_of(name),
            "node_id": node_id("Label", repo.full_name, name),
            "url": f"{self.api}/repos/{repo.full_name}/labels/{name}",
            "name": name,
            "description": "",
            "color": "ededed",
            "default": False,
        }

    def comment(self, repo: Repo, pull: Pull, comment: Comment) -> dict[str, Any]:
        issue = f"{self.api}/repos/{repo.full_name}/issues"
        return {
            "id": comment.id,
            "node_id": node_id("IssueComment", comment.id),
            "url": f"{issue}/comments/{comment.id}",
            "html_url": f"{self.web}/{repo.full_name}/pull/{pull.number}#issuecomment-{comment.id}",
            "issue_url": f"{issue}/{pull.number}",
            "user": self.user(comment.author),
            "body": comment.body,
            "created_at": comment.created,
            "updated_at": comment.created,
            "author_association": "COLLABORATOR",
            "performed_via_github_app": None,
        }

    def status(self, repo: Repo, commit: str, status: Status, login: str) -> dict[str, Any]:
        return {
            "url": f"{self.api}/repos/{repo.full_name}/statuses/{commit}",
            "avatar_url": None,
            "id": status.id,
            "node_id": node_id("StatusContext", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": None,
            "context": status.context,
            "created_at": status.created,
            "updated_at": status.created,
            "creator": self.user(login),
        }

    def check_run(self, repo: Repo, commit: str, run: Status) -> dict[str, Any]:
        here = f"{self.api}/repos/{repo.full_name}/check-runs/{run.id}"
        done = run.state != "pending"
        return {
            "id": run.id,
            "node_id": node_id("CheckRun", run.id),
            "head_sha": commit,
            "external_id": None,
            "url": here,
            "html_url": f"{self.web}/{repo.full_name}/runs/{run.id}",
            "details_url": None,
            "status": "completed" if done else "in_progress",
            "conclusion": run.state if done else None,
            "started_at": run.created,
            "completed_at": run.created if done else None,
            "output": {
                "title": None,
                "summary": None,
                "text": None,
                "annotations_count": 0,
                "annotations_url": f"{here}/annotations",
            },
            "name": run.context,
            "check_suite": {"id": 1},
            "app": None,
            "pull_requests": [],
        }

    def reference(self, repo: Repo, branch: str) -> dict[str, Any]:
        here, commit = f"{self.api}/repos/{repo.full_name}/git", repos.resolve(repo.git, branch)
        return {
            "ref": f"refs/heads/{branch}",
            "node_id": node_id("Ref", repo.full_name, branch),
            "url": f"{here}/refs/heads/{branch}",
            "object": {"type": "commit", "sha": commit, "url": f"{here}/commits/{commit}"},
        }
