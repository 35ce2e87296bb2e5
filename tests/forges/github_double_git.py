"""What GitHub does in a repository when a pull request is looked at or merged, done by the git program."""

import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from tests.support import repos

MergeMethod = Literal["merge", "squash", "rebase"]

# Refuses pushes to protected branches, as GitHub does, but not those of bob, who administers the repository;
# what the API merges does not pass here.
UPDATE_HOOK = """\
#!/bin/sh
[ "$REMOTE_USER" = bob ] && exit 0
grep -qxF "$1" "$GIT_DIR/protected-refs" 2>/dev/null || exit 0
echo "error: GH006: Protected branch update failed for $1." >&2
exit 1
"""


def prepare(git: Path) -> None:
    """Let pull requests' refs be read and not written, and protected branches be refused."""
    with (git / "config").open("a") as config:
        config.write("[receive]\n\thideRefs = refs/pull\n")
    hook = git / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(UPDATE_HOOK)
    hook.chmod(0o755)


def protect(git: Path, branches: list[str]) -> None:
    (git / "protected-refs").write_text("".join(f"refs/heads/{branch}\n" for branch in branches))


def tip(git: Path, branch: str) -> str | None:
    return repos.resolve(git, f"refs/heads/{branch}")


def tips(git: Path) -> dict[str, str]:
    """All branches."""
    listed = repos.git(git, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
    return dict(line.split(" ") for line in listed.splitlines())


def holds(git: Path, commit: str, ancestor: str) -> bool:
    """Whether `ancestor` is reachable from `commit`."""
    command = ["git", "-C", str(git), "merge-base", "--is-ancestor", ancestor, commit]
    done = subprocess.run(command, env=repos.clean_env(), capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0


def count(git: Path, since: str, until: str) -> int:
    return int(repos.git(git, "rev-list", "--count", f"{since}..{until}"))


def merged_tree(git: Path, base: str, head: str) -> str | None:
    """The tree of a merge; None where it conflicts."""
    command = ["git", "-C", str(git), "merge-tree", "--write-tree", "--no-messages", base, head]
    done = subprocess.run(command, env=repos.clean_env(), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) or "unrelated histories" in done.stderr, done.stderr
    return done.stdout.split()[0] if done.returncode == 0 else None


def merge(git: Path, base_branch: str, head: str, method: MergeMethod, message: str) -> str | None:
    """Merge a head into a branch; the branch's new commit, None where it conflicts."""
    base = tip(git, base_branch)
    assert base is not None
    if method == "rebase":
        new = _rebased(git, base, head)
    else:
        tree = merged_tree(git, base, head)
        parents = ["-p", base, "-p", head] if method == "merge" else ["-p", base]
        new = repos.git(git, "commit-tree", *parents, tree, input=message) if tree is not None else None
    if new is not None:
        repos.git(git, "update-ref", f"refs/heads/{base_branch}", new, base)
    return new


def _rebased(git: Path, base: str, head: str) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        repos.git(Path(folder), "clone", "--quiet", "--no-checkout", "--shared", str(git), str(work))
        repos.git(work, "checkout", "--quiet", "--detach", head)
        try:
            repos.git(work, "rebase", "--quiet", "--force-rebase", base)
        except repos.GitFailedError:
            return None
        new = repos.git(work, "rev-parse", "HEAD")
        repos.git(git, "fetch", "--quiet", str(work), "HEAD")
        return new


def keep_head(git: Path, number: int, source: Path, commit: str) -> None:
    """`refs/pull/N/head`, and the objects it needs where the head is in a fork."""
    if source != git:
        repos.git(git, "fetch", "--quiet", str(source), commit)
    repos.git(git, "update-ref", f"refs/pull/{number}/head", commit)


def message_of(git: Path, commit: str) -> str:
    return repos.git(git, "log", "-1", "--format=%B", commit)


def parents_of(git: Path, commit: str) -> list[str]:
    return repos.git(git, "log", "-1", "--format=%P", commit).split()
