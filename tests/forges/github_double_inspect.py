"""What `promoter doctor` reads of the double of GitHub: rules, labels, people, teams. Nothing here writes."""

from typing import Any

from tests.forges.github_double_answers import Answers, number_of
from tests.forges.github_double_rest import REPO, Call, Route
from tests.forges.github_double_state import Protection, RefusalError, Repo

RULESET = 4711


def rules_of_branch(call: Call) -> tuple[int, Any]:
    """By rulesets alone: https://docs.github.com/rest/repos/rules."""
    repo = call.repo
    rule = repo.protections.get(call.names["branch"], Protection())
    found: list[dict[str, Any]] = []
    if rule.ruleset and rule.approvals:
        parameters = {
            "dismiss_stale_reviews_on_push": rule.dismiss_stale,
            "require_code_owner_review": False,
            "require_last_push_approval": False,
            "required_approving_review_count": rule.approvals,
            "required_review_thread_resolution": False,
        }
        found.append({"type": "pull_request", "parameters": parameters})
    if rule.ruleset and rule.contexts:
        checks = {
            "strict_required_status_checks_policy": rule.strict,
            "required_status_checks": [{"context": context} for context in rule.contexts],
        }
        found.append({"type": "required_status_checks", "parameters": checks})
    if repo.queue:
        found.append({"type": "merge_queue"})
    info = {"ruleset_source_type": "Repository", "ruleset_source": repo.full_name, "ruleset_id": RULESET}
    return 200, [one | info for one in found]


def ruleset(call: Call) -> tuple[int, Any]:
    if call.names["ruleset_id"] != str(RULESET):
        raise RefusalError(404, "Not Found")
    return 200, {
        "id": RULESET,
        "name": "protect",
        "source": call.repo.full_name,
        "source_type": "Repository",
        "enforcement": "active",
        "current_user_can_bypass": "always" if call.token.login in call.repo.bypasses else "never",
    }


def label(call: Call) -> tuple[int, Any]:
    name = call.names["name"]
    if name not in call.repo.labels:
        raise RefusalError(404, "Not Found")
    return 200, call.answers.label(call.repo, name)


def assignee(call: Call) -> tuple[int, Any]:
    return _person(call.repo, call.names["assignee"])


def collaborator(call: Call) -> tuple[int, Any]:
    return _person(call.repo, call.names["username"])


def _person(repo: Repo, login: str) -> tuple[int, Any]:
    if login not in repo.writers | repo.readers:
        raise RefusalError(404, "Not Found")
    return 204, None


def team(answers: Answers, owner: str, slug: str, created: str) -> tuple[int, Any]:
    account = answers.user(owner)
    organization = {
        key: account[key] for key in ("login", "id", "node_id", "url", "avatar_url", "html_url", "repos_url")
    }
    here = account["url"]
    organization |= {
        "events_url": f"{here}/events",
        "hooks_url": f"{here}/hooks",
        "issues_url": f"{here}/issues",
        "members_url": f"{here}/members{{/member}}",
        "public_members_url": f"{here}/public_members{{/member}}",
        "description": None,
        "type": "Organization",
        "has_organization_projects": True,
        "has_repository_projects": True,
        "created_at": created,
        "updated_at": created,
        "archived_at": None,
        **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
    }
    counts = {"members_count": number_of(slug) % 7, "repos_count": 1}
    times = {"created_at": created, "updated_at": created}
    return 200, answers.team(owner, slug) | counts | times | {"organization": organization}


METADATA = {"metadata": "read"}
LOOKS = (
    Route("GET", f"{REPO}/rules/branches/{{branch}}", METADATA, rules_of_branch),
    Route("GET", f"{REPO}/rulesets/{{ruleset_id}}", METADATA, ruleset),
    Route("GET", f"{REPO}/labels/{{name}}", {"issues": "read"}, label),
    Route("GET", f"{REPO}/assignees/{{assignee}}", {"issues": "read"}, assignee),
    Route("GET", f"{REPO}/collaborators/{{username}}", METADATA, collaborator),
)
