"""What a generated history means, told from every tree of a full clone, by rules of its own.

Nothing here is promoter's: PyYAML reads the few layouts that the generator writes.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

Version = tuple[str | None, str | None]
Held = dict[tuple[str, str], tuple[Version, ...]]
Tree = dict[str, tuple[str, str]]  # name: mode, object

APPS = {"ghcr.io/acme/shop": "shop", "ghcr.io/acme/shop-worker": "shop"}


@dataclass
class Point:
    """One commit of the first-parent line, and what an environment holds there."""

    commit: str
    seconds: int
    held: Held


class Objects:
    """Reads objects of a repository, each once."""

    def __init__(self, repo: Path) -> None:
        self._child = subprocess.Popen(
            ["git", "-C", str(repo), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._trees: dict[str, Tree] = {}
        self._folders: dict[tuple[str, str], list[tuple[str, Version]]] = {}

    def read(self, name: str) -> bytes:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{name}\n".encode())
        self._child.stdin.flush()
        size = int(self._child.stdout.readline().split()[2])
        return self._child.stdout.read(size + 1)[:-1]

    def tree(self, name: str) -> Tree:
        if name not in self._trees:
            data, found, at = self.read(name), {}, 0
            while at < len(data):
                space, end = data.index(b" ", at), data.index(b"\0", at)
                found[data[space + 1 : end].decode()] = (
                    data[at:space].decode(),
                    data[end + 1 : end + 21].hex(),
                )
                at = end + 21
            self._trees[name] = found
        return self._trees[name]

    def yaml(self, name: str) -> Any:
        return yaml.safe_load(self.read(name))

    def close(self) -> None:
        self._child.communicate()

    # --- what a tree holds -------------------------------------------------------------

    def environment(self, root: str) -> Held:
        """What runs below the tree of an environment."""
        top = self.tree(root)
        ruled: dict[str, dict[str, Version]] = {}
        found: list[tuple[str, Version]] = []
        if "kustomization.yaml" in top:
            document = self.yaml(top["kustomization.yaml"][1])
            entries = entries_of(document)
            found += entries.items()
            ruled = dict.fromkeys(document["resources"], entries)
        for folder, name in self._walk(root, ""):
            found += self._folder(name, ruled.get(folder, {}))
        held: dict[tuple[str, str], set[Version]] = {}
        for image, version in found:
            app = APPS.get(image, image.rpartition("/")[2])
            held.setdefault((app, image), set()).add(version)
        return {key: tuple(sorted(those, key=str)) for key, those in held.items()}

    def _walk(self, name: str, path: str) -> list[tuple[str, str]]:
        folders = [] if not path else [(path, name)]
        for entry, (mode, below) in self.tree(name).items():
            if mode == "40000":
                folders += self._walk(below, f"{path}/{entry}".lstrip("/"))
        return folders

    def _folder(self, name: str, ruled: dict[str, Version]) -> list[tuple[str, Version]]:
        """What the files of one folder hold: those below an images entry count nothing."""
        place = name, repr(ruled)
        if place not in self._folders:
            self._folders[place] = self._read_folder(name, ruled)
        return self._folders[place]

    def _read_folder(self, name: str, ruled: dict[str, Version]) -> list[tuple[str, Version]]:
        files = {entry: below for entry, (mode, below) in self.tree(name).items() if mode != "40000"}
        found: list[tuple[str, Version]] = []
        listed: set[str] = set()
        if "kustomization.yaml" in files:
            document = self.yaml(files["kustomization.yaml"])
            entries = entries_of(document)
            # A rule further up wins over this one.
            found += [(image, version) for image, version in entries.items() if image not in ruled]
            ruled, listed = {**entries, **ruled}, set(document["resources"])
        for file in ("deployment.yaml", "canary.yaml"):
            if file in files:
                containers = self.yaml(files[file])["spec"]["template"]["spec"]["containers"]
                for image, version in (split(one["image"]) for one in containers):
                    if not (file in listed and image in ruled):
                        found.append((image, version))
        if "values.yaml" in files:
            base = self.yaml(files["values.yaml"])["image"]
            live = self.yaml(files["values-live.yaml"])["image"] if "values-live.yaml" in files else {}
            merged = {**base, **live}
            found.append((merged["repository"], (str(merged["tag"]), merged.get("digest"))))
        return found


def entries_of(kustomization: Any) -> dict[str, Version]:
    return {one["name"]: (one.get("newTag"), one.get("digest")) for one in kustomization.get("images") or []}


def split(reference: str) -> tuple[str, Version]:
    rest, _, digest = reference.partition("@")
    name, _, tag = rest.rpartition(":")
    return name, (tag, digest or None)


def line_of(repo: Path, environment: str) -> list[Point]:
    """Every commit of the first-parent line, newest first."""
    listed = subprocess.run(
        ["git", "-C", str(repo), "log", "--first-parent", "--format=%H %ct %T", "main"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    objects, known, found = Objects(repo), cast("dict[str, Held]", {}), []
    for line in listed.splitlines():
        commit, seconds, tree = line.split()
        below = objects.tree(objects.tree(tree)["envs"][1]).get(environment)
        name = below[1] if below else ""
        if name not in known:
            known[name] = objects.environment(name) if name else {}
        found.append(Point(commit, int(seconds), known[name]))
    objects.close()
    return found


Change = tuple[str, str, str, tuple[Version, ...], tuple[Version, ...]]


def moves(line: list[Point]) -> list[Change]:
    """(commit, app, image, before, after) of everything that changed, newest first."""
    found = []
    for point, older in zip(line, [point.held for point in line[1:]] + [{}], strict=True):
        for app, image in sorted(point.held.keys() | older.keys()):
            before, after = older.get((app, image), ()), point.held.get((app, image), ())
            if before != after:
                found.append((point.commit, app, image, before, after))
    return found


def since(line: list[Point]) -> dict[tuple[str, Version], tuple[str, int]]:
    """The commit that brought each version that runs, and its date."""
    found = {}
    for (app, image), versions in line[0].held.items():
        for version in versions:
            came = line[0]
            for point in line:
                if version not in point.held.get((app, image), ()):
                    break
                came = point
            found[image, version] = (came.commit, came.seconds)
    return found


State = dict[str, tuple[Version, ...]]


def states(line: list[Point], app: str) -> list[tuple[str, State]]:
    """What the app ran, newest first, each with the commit that brought it."""
    found: list[tuple[str, State]] = []
    for point in reversed(line):
        state = {image: versions for (own, image), versions in point.held.items() if own == app}
        if (state or found) and (not found or found[-1][1] != state):
            found.append((point.commit, state))
    return found[::-1]


@dataclass(frozen=True)
class Back:
    """Where a rollback leads, or why to nowhere; `moves` are (reference, new reference) of every site.

    `commit` brought the state that is gone back to.
    """

    reason: str = ""
    commit: str = ""
    moves: frozenset[tuple[str, str]] = frozenset()


def rollback(line: list[Point], app: str, steps: int, *, gone_back_to: str = "", again: bool = False) -> Back:
    """What ran so many steps before, for the images that still run; newer versions only with `again`.

    `gone_back_to` brought the state that the last rollback led to: what runs now is that one again.
    """
    now = {image: versions for (own, image), versions in line[0].held.items() if own == app}
    if not now:
        return Back("image-not-found")
    past = states(line, app)
    begin = [commit for commit, _ in past].index(gone_back_to or past[0][0])
    seen = dict(now)
    for commit, state in past[begin + 1 :]:
        # An image that came or went makes no step, nor does the same version once more.
        then = {image: state[image] for image in now if image in state}
        steps -= any(versions != seen[image] for image, versions in then.items())
        seen |= then
        if steps == 0:
            return _back(commit, now, state, again=again)
    return Back("nothing-before")


def _back(commit: str, now: State, state: State, *, again: bool) -> Back:
    there = {image: state[image] for image in now if image in state}
    if any(len(versions) > 1 for versions in there.values()):
        return Back("ambiguous-image", commit)
    moves = set()
    for image, [(tag, digest)] in there.items():
        if not again and all(_numbers(tag) > _numbers(one) for one, _ in now[image]):
            return Back("not-older", commit)
        for old_tag, old_digest in now[image]:
            new_digest = None  # where none stands none is written
            if old_digest:
                if not digest and tag != old_tag:
                    return Back("digest", commit)  # a site that pins takes no bare tag
                new_digest = digest or old_digest
            moves.add((_written(image, old_tag, old_digest), _written(image, tag, new_digest)))
    return Back("", commit, frozenset(move for move in moves if move[0] != move[1]))


def _numbers(tag: str | None) -> list[int]:
    return [int(part) for part in (tag or "").split(".")]


def _written(image: str, tag: str | None, digest: str | None) -> str:
    return f"{image}:{tag}" + (f"@{digest}" if digest else "")
