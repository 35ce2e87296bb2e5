"""docs/reference/tokens.md and doctor.md say what promoter asks for and looks at."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from promoter.doctor.credential import Features, judged
from promoter.forges import github_permissions
from promoter.forges.app_token import permissions_for
from promoter.forges.inspect import TOKEN_NAMES, TokenFacts, TokenKind

ROOT = Path(__file__).parents[2]
TOKENS = (ROOT / "docs" / "reference" / "tokens.md").read_text(encoding="utf-8")
DOCTOR = (ROOT / "docs" / "how-to" / "doctor.md").read_text(encoding="utf-8")
EVERYTHING = Features(pull_requests=True, gate=True, teams=True)


def rows(heading: str) -> list[list[str]]:
    section = TOKENS.partition(f"## {heading}")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_kind_of_token_is_there() -> None:
    assert {kind for kind in TOKEN_NAMES if f"<!-- {kind} -->" not in TOKENS} == set()


def test_the_permissions_of_an_app_are_those_that_are_asked_for() -> None:
    features = {row[0]: set(row[1].split(", ")) for row in rows("GitHub's permissions")}
    names = {
        "contents": "Contents",
        "pull_requests": "Pull requests",
        "checks": "Checks",
        "statuses": "Commit statuses",
        "members": "Members (of the organization)",
        "workflows": "Workflows",
    }

    def asked(**wanted: bool) -> set[str]:
        plain = permissions_for()
        found = permissions_for(**wanted)
        return {f"{names[key]}: {level}" for key, level in found.items() if plain.get(key) != level}

    documented = {feature.split(" (")[0]: said for feature, said in features.items()}
    assert documented["`auto-merge`"] == asked(checks=True)
    assert documented["gates"] == asked(gate=True, checks=True)
    assert documented["`team-reviewers`"] == asked(teams=True)
    assert documented["manifests below `.github/workflows`"] == asked(workflows=True)
    both = documented["every run"] | documented["`publish: pull-request`, `sync`"]
    assert both == {f"{names[key]}: {level}" for key, level in permissions_for().items()}


def test_every_permission_that_a_message_names_is_there() -> None:
    said = " ".join(value for name, value in vars(github_permissions).items() if name.isupper())
    named = set(re.findall(r"`([A-Z][\w ]+: (?:read|write))`", said))
    plain = TOKENS.replace(" (of the organization)", "")
    missing = {one for one in named if one not in plain and one.replace(": read", ": write") not in plain}
    assert missing == set()


@pytest.mark.parametrize(
    ("kind", "heading"), [("gitlab-project", "GitLab's scopes"), ("gitea", "Gitea's and Forgejo's scopes")]
)
@pytest.mark.parametrize("pull_requests", [True, False])
def test_the_documented_scopes_are_enough(kind: TokenKind, heading: str, pull_requests: bool) -> None:
    """And with one scope less they are not."""
    by_feature = {row[0]: frozenset(re.findall(r"`([\w:]+)`", row[1])) for row in rows(heading)}
    feature = "`publish: pull-request`, `sync`, gates" if pull_requests else "`publish: push`"
    features = Features(pull_requests, gate=False, teams=False)

    def state(scopes: frozenset[str]) -> str:
        [check] = judged(TokenFacts(kind, scopes), features, "acme/deploy", datetime.now(UTC))
        return check.state

    enough = by_feature[feature]
    assert state(enough) == "ok"
    necessary = enough - {"write_repository"} if "api" in enough else enough  # `api` pushes, too
    assert {state(enough - {one}) for one in necessary} == {"problem"}


def test_every_check_is_described() -> None:
    found: set[str] = set()
    for path in (ROOT / "promoter" / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "Check",
                "failed",
                "untold",
                "_telling",
            ):
                at = 1 if ast.unparse(node.func) == "_telling" else 0
                leaves = (one.value for one in ast.walk(node.args[at]) if isinstance(one, ast.Constant))
                found |= {leaf for leaf in leaves if isinstance(leaf, str)}
    assert found >= {"git", "write", "scopes", "push", "people"}
    table = DOCTOR.partition("## What is looked at")[2]
    assert {name for name in found if f"`{name}`" not in table} - {"branch"} == set()
