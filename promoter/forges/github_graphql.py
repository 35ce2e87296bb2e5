"""What only GitHub's GraphQL API tells: the condition of a pull request, in one query, and auto-merge.

Reference: docs.github.com/graphql/reference (objects PullRequest and Ref, mutations).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promoter.forges.port import GATE, Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from promoter.forges.port import CheckState


REVIEWED = """
query reviewed($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on PullRequest {
      number
      reviews(first: 1, states: [APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED]) { totalCount }
    }
  }
}"""

CONDITION = """
query condition($owner: String!, $name: String!, $number: Int!, $head: String!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      state
      headRefOid
      mergeable
      mergeStateStatus
      isInMergeQueue
      reviewDecision
      autoMergeRequest { mergeMethod }
      latestOpinionatedReviews(first: 100, writersOnly: true) {
        nodes { state author { login } commit { oid } }
      }
      statusCheckRollup {
        contexts(first: 100) {
          pageInfo { hasNextPage }
          nodes {
            __typename
            ... on CheckRun { name status conclusion }
            ... on StatusContext { context state }
          }
        }
      }
      baseRef {
        branchProtectionRule { requiresStrictStatusChecks requiredStatusCheckContexts }
        refUpdateRule { requiredStatusCheckContexts }
        rules(first: 100) {
          nodes {
            parameters {
              ... on RequiredStatusChecksParameters {
                strictRequiredStatusChecksPolicy
                requiredStatusChecks { context }
              }
            }
          }
        }
        compare(headRef: $head) { behindBy }
      }
    }
  }
}"""

LANDING = """
query landing($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      id
      state
      headRefOid
      mergeable
      mergeStateStatus
      isInMergeQueue
      isMergeQueueEnabled
      autoMergeRequest { mergeMethod commitHeadline commitBody }
    }
  }
}"""

ARM = """
mutation arm($input: EnablePullRequestAutoMergeInput!) {
  enablePullRequestAutoMerge(input: $input) { pullRequest { number } }
}"""

DISARM = """
mutation disarm($input: DisablePullRequestAutoMergeInput!) {
  disablePullRequestAutoMerge(input: $input) { pullRequest { number } }
}"""

ENQUEUE = """
mutation enqueue($input: EnqueuePullRequestInput!) {
  enqueuePullRequest(input: $input) { mergeQueueEntry { id } }
}"""

COMMIT = """
mutation commit($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}"""

TIP = """
query tip($owner: String!, $name: String!, $ref: String!) {
  repository(owner: $owner, name: $name) {
    ref(qualifiedName: $ref) {
      target { oid ... on Commit { message parents(first: 1) { nodes { oid } } } }
    }
  }
}"""


def condition_of(pull: Mapping[str, Any], head: str) -> Condition:
    """The condition of a head that an answer to ``CONDITION`` tells; what the token may not see is None."""
    base = pull["baseRef"] or {}
    strict, required = _rules(base)
    behind = (base.get("compare") or {}).get("behindBy", 0) > 0
    reviews = [review for review in _nodes(pull["latestOpinionatedReviews"]) if review["state"] == "APPROVED"]
    approvers = tuple((review["author"] or {"login": "ghost"})["login"] for review in reviews)
    is_behind = pull["mergeStateStatus"] == "BEHIND"  # said only where the protection wants a current head
    return Condition(
        conflicting={"CONFLICTING": True, "MERGEABLE": False}.get(pull["mergeable"]),
        behind=behind or is_behind,
        must_be_current=strict or is_behind,
        approved=bool(approvers) and pull["reviewDecision"] in (None, "APPROVED"),
        approved_head=any(
            review["commit"] is not None and review["commit"]["oid"] == head for review in reviews
        ),
        approvers=approvers,
        checks=summary(reported(pull), required),
        auto_merge=pull["autoMergeRequest"] is not None,
        queued=pull["isInMergeQueue"],
    )


def has_more_checks(pull: Mapping[str, Any]) -> bool:
    """Whether one page did not hold all checks of the head."""
    rollup = pull["statusCheckRollup"]
    return rollup is not None and bool(rollup["contexts"]["pageInfo"]["hasNextPage"])


def required_checks(pull: Mapping[str, Any]) -> frozenset[str]:
    """The names of the checks that the base wants, as far as the token may know them."""
    return _rules(pull["baseRef"] or {})[1]


def reported(pull: Mapping[str, Any]) -> dict[str, CheckState]:
    """The checks of the head by name."""
    rollup = pull["statusCheckRollup"]
    states: dict[str, CheckState] = {}
    for one in _nodes(rollup and rollup["contexts"]):
        if one["__typename"] == "CheckRun":
            add(states, one["name"], check_run_state(one["status"], one["conclusion"]))
        else:
            add(states, one["context"], status_state(one["state"]))
    return states


def summary(states: Mapping[str, CheckState], required: Iterable[str] = ()) -> CheckState:
    """All checks as one, the gate left out; a required one that nobody has reported is pending."""
    found = {state for name, state in states.items() if name != GATE}
    if any(name not in states for name in required if name != GATE):
        found.add("pending")
    return next((state for state in ("failed", "pending", "passed") if state in found), "none")


def add(states: dict[str, CheckState], name: str, state: CheckState) -> None:
    """Note a check; where two share a name, the worse one counts."""
    states[name] = summary({"one": states.get(name, state), "two": state})


def check_run_state(status: str, conclusion: str | None) -> CheckState:
    """A check run as GitHub's protection counts it: neutral and skipped ones pass."""
    if status.lower() != "completed" or conclusion is None:
        return "pending"
    return "passed" if conclusion.lower() in ("success", "neutral", "skipped") else "failed"


def status_state(state: str) -> CheckState:
    """A commit status, whose state is one of error, expected, failure, pending, success."""
    known: dict[str, CheckState] = {"success": "passed", "pending": "pending", "expected": "pending"}
    return known.get(state.lower(), "failed")


def _rules(base: Mapping[str, Any]) -> tuple[bool, frozenset[str]]:
    """Whether the base wants heads that are up to date, and which checks, by protection and rulesets."""
    protection = base.get("branchProtectionRule") or {}
    parameters = [rule["parameters"] or {} for rule in _nodes(base.get("rules"))]
    strict = [one.get("strictRequiredStatusChecksPolicy") for one in parameters]
    contexts = [
        *(protection.get("requiredStatusCheckContexts") or []),
        *((base.get("refUpdateRule") or {}).get("requiredStatusCheckContexts") or []),
        *(check["context"] for one in parameters for check in one.get("requiredStatusChecks") or []),
    ]
    return bool(protection.get("requiresStrictStatusChecks")) or any(strict), frozenset(contexts)


def _nodes(connection: Mapping[str, Any] | None) -> list[Any]:
    return [node for node in (connection or {}).get("nodes") or [] if node is not None]
