"""GitHub's GraphQL API over the double's state, executed by graphql-core on GitHub's published schema.

A field that no resolver stands behind is an error of the double, never a silent null.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    OperationType,
    execute_sync,
    validate,
)
from graphql import parse as parse_query

from tests.forges import github_double_git as plumbing
from tests.forges.github_double_answers import node_id, node_parts
from tests.forges.github_double_rest import METHODS
from tests.forges.github_double_spec import schema
from tests.forges.github_double_state import AutoMerge, Protection, Pull, RefusalError, Repo, Status, Token
from tests.support import repos

Node = dict[str, Any]
NOBODY = Protection()


class UnansweredError(Exception):
    """The double has no resolver for a field that was asked for."""


@dataclass(frozen=True)
class Question:
    """A parsed request; `problems` is why it is none that GitHub would accept."""

    document: DocumentNode | None
    variables: Mapping[str, Any]
    problems: list[str]

    @property
    def name(self) -> str:
        """A query's own name, or the mutation that is asked for: `enablePullRequestAutoMerge`."""
        for one in self.document.definitions if self.document else ():
            if isinstance(one, OperationDefinitionNode):
                first = one.selection_set.selections[0]
                is_query = one.operation is OperationType.QUERY and one.name is not None
                return str(one.name.value if is_query and one.name else getattr(first, "name").value)  # noqa: B009 - only fields have one
        return ""


def read(body: Any) -> Question:
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        return Question(None, {}, ["no query"])
    unknown = set(body) - {"query", "variables", "operationName"}
    problems = [f"the key {name} is not described" for name in sorted(unknown)]
    try:
        document = parse_query(body["query"])
    except GraphQLError as error:
        return Question(None, {}, [*problems, error.message])
    problems += [error.message for error in validate(schema(), document)]
    return Question(document, body.get("variables") or {}, problems)


def answer(
    question: Question, token: Token, find: Callable[[str], Repo | None]
) -> tuple[dict[str, Any], list[str]]:
    """The answer's document, and what is wrong with it by GitHub's schema or with the double."""
    assert question.document is not None
    root = Root(token, find).node()
    done = execute_sync(
        schema(), question.document, root, variable_values=dict(question.variables), field_resolver=resolve
    )
    errors, problems = [], []
    for error in done.errors or []:
        refusal = error.original_error
        if not isinstance(refusal, RefusalError):
            problems.append(f"{error.message} at {error.path}")
            continue
        places = [{"line": place.line, "column": place.column} for place in error.locations or []]
        errors.append(
            {"type": refusal.kind, "path": error.path, "locations": places, "message": refusal.message}
        )
    return {"data": done.data} | ({"errors": errors} if errors else {}), problems


def resolve(source: Mapping[str, Any], info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    if info.field_name not in source:
        raise UnansweredError(f"{info.parent_type.name}.{info.field_name}")
    value = source[info.field_name]
    return value(**arguments) if callable(value) else value


def nodes(found: list[Any], first: int = 100) -> Node:
    more = {"hasNextPage": len(found) > first}
    return {"nodes": found[:first], "totalCount": len(found), "pageInfo": more}


@dataclass(frozen=True)
class Root:
    token: Token
    find: Callable[[str], Repo | None]

    def node(self) -> Node:
        return {
            "repository": lambda **at: self.repository(f"{at['owner']}/{at['name']}"),
            "viewer": {"login": self.token.login},
            "nodes": lambda ids: [self.by_id(one) for one in ids],
            "enablePullRequestAutoMerge": self.arm,
            "disablePullRequestAutoMerge": self.disarm,
            "enqueuePullRequest": self.enqueue,
            "createCommitOnBranch": self.commit,
        }

    def repository(self, name: str) -> Node:
        repo = self.find(name)
        if repo is None:
            message = f"Could not resolve to a Repository with the name '{name}'."
            raise RefusalError(404, message, kind="NOT_FOUND")

        def pull(number: int) -> Node:
            self.token.require(pull_requests="read")
            if number not in repo.pulls:
                message = f"Could not resolve to a PullRequest with the number of {number}."
                raise RefusalError(404, message, kind="NOT_FOUND")
            return self.pull(repo, repo.pulls[number])

        return {
            "pullRequest": pull,
            "ref": lambda **at: self.ref(repo, at["qualifiedName"]),
            "isArchived": repo.archived,
            "autoMergeAllowed": repo.auto_merge,
            "mergeCommitAllowed": "merge" in repo.methods,
            "squashMergeAllowed": "squash" in repo.methods,
            "rebaseMergeAllowed": "rebase" in repo.methods,
        }

    def by_id(self, node: str) -> Node | None:
        try:
            kind, name, number = node_parts(node)
        except (ValueError, binascii.Error):
            kind = name = number = ""
        repo = self.find(name) if kind == "PullRequest" else None
        if repo is None:
            message = f"Could not resolve to a node with the global id of '{node}'"
            raise RefusalError(404, message, kind="NOT_FOUND")
        self.token.require(pull_requests="read")
        return self.pull(repo, repo.pulls[int(number)])

    def pull(self, repo: Repo, pull: Pull) -> Node:
        known = cache(lambda: pull.state == "open" and repo.knows(pull))
        wanted = pull.auto_merge

        def mergeable() -> str:
            if not known():
                return "UNKNOWN"
            return "CONFLICTING" if repo.conflicts(pull) else "MERGEABLE"

        def opinions(first: int, **_: Any) -> Node:
            return nodes([review(one.state, one.author, one.commit) for one in repo.opinions(pull)], first)

        def reviews(first: int, states: list[str]) -> Node:
            found = [one for one in pull.reviews if one.state in states]
            return nodes([review(one.state, one.author, one.commit) for one in found], first)

        def checks() -> Node | None:
            self.token.require(statuses="read", checks="read")
            found = [check(one) for one in repo.reported(pull.head).values()]
            return {"contexts": lambda first: nodes(found, first)} if found else None

        return {
            "__typename": "PullRequest",
            "id": node_id("PullRequest", repo.full_name, pull.number),
            "number": pull.number,
            "state": pull.state.upper(),
            "headRefOid": pull.head,
            "mergeable": mergeable,
            "mergeStateStatus": lambda: repo.merge_state(pull) if known() else "UNKNOWN",
            "isInMergeQueue": pull.queued,
            "isMergeQueueEnabled": repo.queue,
            "reviewDecision": lambda: repo.decision(pull),
            "latestOpinionatedReviews": opinions,
            "reviews": reviews,
            "statusCheckRollup": checks,
            "autoMergeRequest": wanted
            and {
                "mergeMethod": wanted.method.upper(),
                "commitHeadline": wanted.title,
                "commitBody": wanted.body,
            },
            "baseRef": lambda: self.ref(repo, f"refs/heads/{pull.base}"),
        }

    def ref(self, repo: Repo, name: str) -> Node | None:
        self.token.require(contents="read")
        branch = name.removeprefix("refs/heads/")
        tip = plumbing.tip(repo.git, branch)
        if tip is None:
            return None
        rule = repo.protections.get(branch)

        def protection() -> Node | None:
            if rule is None or rule.ruleset:
                return None
            self.token.require(administration="read")
            return {
                "isAdminEnforced": rule.administrators,
                "requiresApprovingReviews": rule.approvals > 0,
                "requiresStrictStatusChecks": rule.strict,
                "requiredStatusCheckContexts": list(rule.contexts),
            }

        def visible() -> Node | None:
            if rule is None or rule.ruleset or self.token.may("administration", "read"):
                return None
            return {
                "viewerCanPush": True,
                "requiredApprovingReviewCount": rule.approvals,
                "requiredStatusCheckContexts": list(rule.contexts),
            }

        def rules(first: int, **_: Any) -> Node:
            if rule is None or not rule.ruleset:
                return nodes([], first)
            parameters = {
                "__typename": "RequiredStatusChecksParameters",
                "strictRequiredStatusChecksPolicy": rule.strict,
                "requiredStatusChecks": [{"context": context} for context in rule.contexts],
            }
            return nodes([{"parameters": parameters}, {"parameters": None}], first)

        def compare(**to: str) -> Node | None:
            head = plumbing.tip(repo.git, to["headRef"])
            return None if head is None else {"behindBy": plumbing.count(repo.git, head, tip)}

        return {
            "branchProtectionRule": protection,
            "refUpdateRule": visible,
            "rules": rules,
            "compare": compare,
            "target": lambda: commit(repo, tip),
        }

    # --- mutations

    def changed(self, name: str) -> Repo:
        repo = self.find(name)
        assert repo is not None
        if repo.archived:
            raise RefusalError(403, "Repository was archived so is read-only.", kind="FORBIDDEN")
        return repo

    def target(self, given: Mapping[str, Any]) -> tuple[Repo, Pull]:
        """The pull request that a mutation is about, which the token may change."""
        self.by_id(given["pullRequestId"])
        self.token.require(contents="write", pull_requests="write")
        _, name, number = node_parts(given["pullRequestId"])
        repo = self.changed(name)
        pull = repo.pulls[int(number)]
        if given.get("expectedHeadOid", pull.head) != pull.head:
            raise RefusalError(422, "Head sha didn't match expectedHeadOid")
        return repo, pull

    def arm(self, **arguments: Any) -> Node:
        given = arguments["input"]
        repo, pull = self.target(given)
        method = given["mergeMethod"].lower()
        state = repo.merge_state(pull) if pull.state == "open" else pull.state
        if not repo.auto_merge:
            raise RefusalError(422, "Auto merge is not allowed for this repository")
        if method not in repo.methods:
            raise RefusalError(422, f"{METHODS[method]} not allowed on this repository.")
        if state not in ("BLOCKED", "BEHIND"):
            raise RefusalError(422, f"Pull request Pull request is in {state.lower()} status")
        headline, body = given.get("commitHeadline"), given.get("commitBody")
        pull.auto_merge = AutoMerge(method, headline, body, self.token.login)
        return {"pullRequest": self.pull(repo, pull)}

    def disarm(self, **arguments: Any) -> Node:
        repo, pull = self.target(arguments["input"])
        if pull.auto_merge is None:
            raise RefusalError(422, "Pull request Auto merge is not enabled")
        pull.auto_merge = None
        return {"pullRequest": self.pull(repo, pull)}

    def enqueue(self, **arguments: Any) -> Node:
        repo, pull = self.target(arguments["input"])
        if not repo.queue or repo.merge_state(pull) != "CLEAN":
            raise RefusalError(422, "Pull request cannot be added to the merge queue")
        pull.queued = True
        return {"mergeQueueEntry": {"id": node_id("MergeQueueEntry", pull.number)}}

    def commit(self, **arguments: Any) -> Node:
        given = arguments["input"]
        branch = given["branch"]["branchName"]
        self.token.require(contents="write")
        repo = self.changed(given["branch"]["repositoryNameWithOwner"])
        tip = plumbing.tip(repo.git, branch)
        if tip is None:
            raise RefusalError(404, f"A ref named {branch} does not exist", kind="NOT_FOUND")
        if tip != given["expectedHeadOid"]:
            message = f'Expected branch to point to "{tip}" but it did not.  Pull and try again.'
            raise RefusalError(422, message, kind="STALE_DATA")
        new = commit_files(repo, tip, given["message"], given.get("fileChanges") or {})
        repos.git(repo.git, "update-ref", f"refs/heads/{branch}", new, tip)
        return {"commit": commit(repo, new)}


def commit_files(repo: Repo, tip: str, message: Mapping[str, str], changes: Mapping[str, Any]) -> str:
    files: dict[str, bytes | str | None] = {}
    for one in changes.get("additions") or []:
        files[one["path"]] = base64.b64decode(one["contents"], validate=True)
    files |= {one["path"]: None for one in changes.get("deletions") or []}
    there = set(repos.git(repo.git, "ls-tree", "-r", "--name-only", "-z", tip).split("\0"))
    if any(content is None and path not in there for path, content in files.items()):
        raise RefusalError(422, "A path was requested for deletion which does not exist as of commit " + tip)
    tree = repos.changed_tree(repo.git, tip, files, {})
    text = f"{message['headline']}\n\n{message.get('body') or ''}".strip() + "\n"
    committer = {"GIT_COMMITTER_NAME": "GitHub", "GIT_COMMITTER_EMAIL": "noreply@github.com"}
    return repos.git(repo.git, "commit-tree", "-p", tip, tree, input=text, env=committer)


def review(state: str, author: str, of: str) -> Node:
    return {"state": state, "author": {"__typename": "User", "login": author}, "commit": {"oid": of}}


def check(one: Status) -> Node:
    state = one.state.upper()
    if not one.run:
        return {"__typename": "StatusContext", "context": one.context, "state": state}
    done = one.state != "pending"
    return {
        "__typename": "CheckRun",
        "name": one.context,
        "status": "COMPLETED" if done else "IN_PROGRESS",
        "conclusion": state if done else None,
    }


def commit(repo: Repo, oid: str) -> Node:
    return {
        "__typename": "Commit",
        "oid": oid,
        "message": lambda: plumbing.message_of(repo.git, oid),
        "parents": lambda first: nodes([{"oid": one} for one in plumbing.parents_of(repo.git, oid)], first),
    }
