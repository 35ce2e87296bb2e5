"""How the double of GitLab joins branches: real commits in the bare repository, made as GitLab makes them."""

import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from tests.support import repos
from tests.support.repos import GitFailedError, git

# What is asked of commit ids never changes its answer, so it is kept.
kept = lru_cache(maxsize=20_000)


def tip(repo: Path, branch: str) -> str | None:
    """Read as Git keeps it, without a process: every look at a merge request asks."""
    try:
        return (repo / "refs/heads" / branch).read_text().strip()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        packed = repo / "packed-refs"
        lines = packed.read_text().splitlines() if packed.exists() else []
        return next((line.split()[0] for line in lines if line.endswith(f" refs/heads/{branch}")), None)


@kept
def merge_base(repo: Path, one: str, other: str) -> str:
    try:
        return git(repo, "merge-base", one, other)
    except GitFailedError:
        return one  # unrelated histories


@kept
def is_ancestor(repo: Path, one: str, other: str) -> bool:
    try:
        git(repo, "merge-base", "--is-ancestor", one, other)
    except GitFailedError:
        return False
    return True


@kept
def commits_between(repo: Path, base: str, head: str) -> tuple[str, ...]:
    return tuple(git(repo, "rev-list", f"{base}..{head}").split())


def subject(repo: Path, commit: str) -> str:
    return git(repo, "log", "-1", "--format=%s", commit)


@kept
def merged_tree(repo: Path, base: str, head: str) -> str | None:
    """The tree of both together; None where they conflict."""
    done = subprocess.run(
        ["git", "-C", str(repo), "merge-tree", "--write-tree", "--allow-unrelated-histories", base, head],
        capture_output=True,
        text=True,
        env=repos.clean_env(),
        check=False,
    )
    if done.returncode > 1:
        raise GitFailedError(done.stderr)
    return None if done.returncode else done.stdout.split()[0]


def commit(repo: Path, tree: str, parents: list[str], message: str) -> str:
    options = [part for parent in parents for part in ("-p", parent)]
    return git(repo, "commit-tree", *options, tree, input=message.rstrip("\n") + "\n")


def squash(repo: Path, base: str, head: str, message: str) -> str:
    """One commit with all that the head brings, on the commit where it left the base."""
    return commit(repo, git(repo, "rev-parse", f"{head}^{{tree}}"), [merge_base(repo, base, head)], message)


def join(repo: Path, branch: str, head: str, message: str | None) -> str:
    """Move the branch by a merge commit or, without a message, by fast-forward; returns its new tip."""
    old = repos.resolve(repo, f"refs/heads/{branch}")
    if old is None:
        raise GitFailedError(f"no branch {branch}")
    new = head
    if message is not None:
        tree = merged_tree(repo, old, head)
        if tree is None:
            raise GitFailedError("conflict")
        new = commit(repo, tree, [old, head], message)
    elif not is_ancestor(repo, old, head):
        raise GitFailedError("no fast-forward")
    git(repo, "update-ref", f"refs/heads/{branch}", new, old)
    return new


def rebase(repo: Path, branch: str, base: str) -> str:
    """Rebase a branch as the button in the browser does; returns its new tip."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        git(Path(folder), "clone", "--quiet", "--shared", f"--branch={branch}", str(repo), str(work))
        git(work, "rebase", "--quiet", f"origin/{base}")
        new = git(work, "rev-parse", "HEAD")
        old = repos.resolve(repo, f"refs/heads/{branch}")
        git(work, "push", "--quiet", "--force", "origin", f"{new}:refs/promoter-test/rebased")
    git(repo, "update-ref", f"refs/heads/{branch}", new, old or repos.ZERO)
    git(repo, "update-ref", "-d", "refs/promoter-test/rebased")
    return new


def keep_head(repo: Path, iid: int, head: str) -> None:
    """`refs/merge-requests/N/head`, which outlives the branch."""
    git(repo, "update-ref", f"refs/merge-requests/{iid}/head", head)
