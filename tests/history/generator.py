"""A manifest repository with a past: seeded, made by `git fast-import`, the same every time.

Its commits are promoter's (pushed, merged, squashed to a title), people's edits, `git revert`s, moved
folders, another tool's commits, apps that go and come back, canaries, and edits that change no image at all.
Clocks step back now and then. What it means is for `tests.history.oracle` to say.
"""

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import repos

START = 1_750_000_000
ENVIRONMENTS = ("staging", "production")
CONFIGURATION = """\
version: 1
environments:
  staging: {path: envs/staging}
  production: {path: envs/production}
apps:
  shop: {images: ["ghcr.io/acme/shop", "ghcr.io/acme/shop-worker"]}
"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {app}
spec:
  replicas: {replicas}
  template:
    spec:
      containers:
{containers}"""
CONTAINER = """\
        - name: c{number}
          image: {image}
"""
KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"

Files = dict[str, str]
Version = tuple[str, str | None]


@dataclass
class App:
    """One app in one environment."""

    name: str
    form: str  # plain, kustomize, rooted, helm, overridden
    folder: str
    images: dict[str, Version]
    replicas: int = 1
    literal: str = "0.0.1"  # what a container holds below an images entry
    listed: bool = True  # whether the root kustomization rules it
    canary: str = ""
    present: bool = True

    def files(self, root: str) -> Files:
        here = f"{root}/{self.folder}"
        if not self.present:
            return {}
        files = self._own(here)
        if self.canary:
            name = next(iter(self.images))
            files[f"{here}/canary.yaml"] = self._deployment([f"{name}:{self.canary}"])
        return files

    def _own(self, here: str) -> Files:
        written = [written_as(name, version) for name, version in self.images.items()]
        if self.form == "plain":
            return {f"{here}/deployment.yaml": self._deployment(written)}
        if self.form in ("kustomize", "rooted"):
            held = [f"{name}:{self.literal}" for name in self.images]
            entries = entries_of(self.images) if self.form == "kustomize" else ""
            listing = "resources:\n  - deployment.yaml\n" + (f"images:\n{entries}" if entries else "")
            return {
                f"{here}/kustomization.yaml": KUSTOMIZATION + listing,
                f"{here}/deployment.yaml": self._deployment(held),
            }
        (name, (tag, digest)), *_ = self.images.items()
        pinned = f"  digest: {digest}\n" if digest else ""
        if self.form == "helm":
            text = f"replicas: {self.replicas}\nimage:\n  repository: {name}\n  tag: {tag}\n{pinned}"
            return {f"{here}/values.yaml": text}
        return {
            f"{here}/values.yaml": f"replicas: {self.replicas}\nimage:\n  repository: {name}\n",
            f"{here}/values-live.yaml": f"image:\n  tag: {tag}\n",
        }

    def _deployment(self, images: list[str]) -> str:
        listed = "".join(CONTAINER.format(number=number, image=image) for number, image in enumerate(images))
        return DEPLOYMENT.format(app=self.name, replicas=self.replicas, containers=listed)


def written_as(name: str, version: Version) -> str:
    return f"{name}:{version[0]}" + (f"@{version[1]}" if version[1] else "")


def entries_of(images: Mapping[str, Version]) -> str:
    lines = []
    for name, (tag, digest) in images.items():
        lines += [f"  - name: {name}", f'    newTag: "{tag}"', *([f"    digest: {digest}"] if digest else [])]
    return "".join(f"{line}\n" for line in lines)


Apps = dict[tuple[str, str], App]


@dataclass
class World:
    """The apps of every environment as they are now, and the commits so far."""

    random: random.Random
    apps: Apps = field(default_factory=dict)
    stream: list[bytes] = field(default_factory=list)
    mark: int = 0
    clock: int = START
    number: int = 0
    files: Files = field(default_factory=dict)
    readme: int = 0
    before: Apps = field(default_factory=dict)  # the apps as the last commit left them
    recent: list[tuple[str, Apps]] = field(default_factory=list)  # subjects, and what each commit found

    def tree(self) -> Files:
        """Every file as it shall stand."""
        files: Files = {".promoter.yaml": CONFIGURATION, "README.md": f"# Deployments {self.readme}\n"}
        for environment in ENVIRONMENTS:
            root = f"envs/{environment}"
            own = [app for (where, _), app in self.apps.items() if where == environment]
            for app in own:
                files |= app.files(root)
            ruled = [app for app in own if app.form == "rooted" and app.present and app.listed]
            if ruled:
                resources = "".join(f"  - {app.folder}\n" for app in ruled)
                entries = "".join(entries_of(app.images) for app in ruled)
                files[f"{root}/kustomization.yaml"] = (
                    f"{KUSTOMIZATION}resources:\n{resources}images:\n{entries}"
                )
        return files

    def commit(self, message: str, *, author: str = "Alice") -> None:
        """Commit what differs from the last tree."""
        changed = {key: one for key, one in self.before.items() if self.apps.get(key) != one}
        self.recent = [*self.recent[-4:], (message.partition("\n")[0], changed)]
        self._write(message, author, ())

    def merge(self, message: str, sides: list[tuple[str, Callable[[], None]]], author: str) -> None:
        """Commits on a side branch, each with what it does, and the merge of them."""
        base, files = self.mark, self.files
        for text, act in sides:
            act()
            self._write(text, author, ())
        top, self.files = self.mark, files
        self._write(message, "Merger", (base, top))

    def _write(self, message: str, author: str, parents: tuple[int, ...]) -> None:
        wanted = self.tree()
        changed = {path: text for path, text in wanted.items() if self.files.get(path) != text}
        gone = [path for path in self.files if path not in wanted]
        self.clock += self.random.randrange(60, 7200)
        when = self.clock - (self.random.randrange(86400, 400_000) if self.random.random() < 0.01 else 0)
        before = self.mark
        self.mark += 1
        who = f"{author} <{author.lower().replace(' ', '.')}@example.com>"
        text = message.encode()
        lines = [
            b"commit refs/heads/main\nmark :%d\n" % self.mark,
            f"author {who} {when - 60} +0200\ncommitter {who} {when} +0200\n".encode(),
            b"data %d\n%s\n" % (len(text), text),
        ]
        if parents:
            lines.append(b"from :%d\nmerge :%d\n" % parents)
        elif before:
            lines.append(b"from :%d\n" % before)
        if parents:
            lines.append(b"deleteall\n")
            changed, gone = dict(wanted), []
        lines += [b"D %s\n" % path.encode() for path in gone]
        for path, content in changed.items():
            data = content.encode()
            lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
        self.stream += lines
        self.files, self.before = wanted, copy.deepcopy(self.apps)


# --- what happens --------------------------------------------------------------------------


def make(path: Path, commits: int, seed: int = 7) -> Path:
    """The repository; `commits` are those of its first-parent line."""
    world = World(random.Random(seed))
    forms = {
        "api": "kustomize",
        "web": "plain",
        "shop": "plain",
        "mail": "helm",
        "search": "rooted",
        "cart": "rooted",
        "auth": "overridden",
        "edge": "kustomize",
    }
    for environment in ENVIRONMENTS:
        for name, form in forms.items():
            names = ["shop", "shop-worker"] if name == "shop" else [name]
            images = {f"ghcr.io/acme/{one}": ("1.0.0", None) for one in names}
            world.apps[environment, name] = App(name, form, name, dict(images))
    world.commit("Start")
    actions = [*WEIGHTS]
    for _ in range(commits - 1):
        action = world.random.choices(actions, [WEIGHTS[one] for one in actions])[0]
        action(world)
    repos.init_bare(path, "main", allow_filter=True)
    repos.fast_import(path, world.stream)
    return path


def pick(world: World) -> tuple[str, App]:
    environment = world.random.choice(ENVIRONMENTS)
    apps = [app for (where, _), app in world.apps.items() if where == environment and app.present]
    return environment, world.random.choice(apps)


def new_version(world: World, app: App) -> dict[str, Version]:
    """One tag for all images of the app; sometimes an old one again, sometimes with a digest."""
    world.number += 1
    tag = f"1.{world.number // 10}.{world.number % 10}"
    if world.random.random() < 0.1:
        tag = f"1.{world.random.randrange(max(1, world.number // 10))}.0"
    pinned = app.form in ("kustomize", "rooted", "helm") and world.random.random() < 0.3
    digest = f"sha256:{world.random.getrandbits(256):064x}" if pinned else None
    return dict.fromkeys(app.images, (tag, digest))


def trailers(world: World, environment: str, app: App, images: Mapping[str, Version]) -> str:
    lines = [
        f"Promoter-Id: {world.random.getrandbits(64):016x}",
        f"Promoter-Environment: {environment}",
        f"Promoter-App: {app.name}",
        *(f"Promoter-Image: {written_as(name, version)}" for name, version in images.items()),
        f"Promoter-Run: https://ci.example.com/runs/{world.number}",
    ]
    return "\n".join(lines)


def promote(world: World) -> None:
    environment, app = pick(world)
    app.images = new_version(world, app)
    tag = next(iter(app.images.values()))[0]
    text = (
        f"promote {app.name} to {tag} in {environment}\n\n{trailers(world, environment, app, app.images)}\n"
    )
    world.commit(text, author="promoter")


def promote_by_merge(world: World) -> None:
    environment, app = pick(world)
    images = new_version(world, app)
    text = f"promote {app.name} in {environment}\n\n{trailers(world, environment, app, images)}\n"

    def act() -> None:
        app.images = images

    forge = world.random.choice(
        [
            f"Merge pull request #{world.number} from acme/promoter/{environment}/{app.name}",
            f"Merge branch '{app.name}' into 'main'\n\nSee merge request acme/deploy!{world.number}",
        ]
    )
    world.merge(forge, [(text, act)], "promoter")


def promote_by_squash(world: World) -> None:
    environment, app = pick(world)
    app.images = new_version(world, app)
    world.commit(f"promote {app.name} in {environment} (#{world.number})", author="Bob")


def edit_by_hand(world: World) -> None:
    for _ in range(world.random.choice([1, 1, 1, 3])):
        _, app = pick(world)
        app.images = new_version(world, app)
    world.commit("Set versions by hand")


def other_tool(world: World) -> None:
    _, app = pick(world)
    app.images = new_version(world, app)
    world.commit(f"build: automatic update of {app.name}\n\nupdates image\n", author="image-updater")


def revert(world: World) -> None:
    """As `git revert` writes it, of one of the last commits: its apps are as they were before it."""
    subject, changed = world.random.choice(world.recent or [("Start", {})])
    world.apps |= copy.deepcopy(changed)
    world.commit(f'Revert "{subject}"\n\nThis reverts commit {world.random.getrandbits(160):040x}.\n')


def count_replicas(world: World) -> None:
    """An edit of a file that holds an image, without a change of any."""
    _, app = pick(world)
    app.replicas += 1
    world.commit("Scale")


def edit_readme(world: World) -> None:
    world.readme += 1
    world.commit("Describe it better")


def move_folder(world: World) -> None:
    _, app = pick(world)
    app.folder = app.name if "/" in app.folder else f"team/{app.name}"
    world.commit("Sort folders")


def edit_below(world: World) -> None:
    """A container below an images entry: it changes nothing that runs, unless nothing rules it."""
    _, app = pick(world)
    app.literal = f"0.1.{world.number}"
    world.number += 1
    world.commit("Edit what is overridden")


def list_or_not(world: World) -> None:
    """The root kustomization takes an app up, or drops it: then its container counts."""
    _, app = pick(world)
    app.listed = not app.listed
    world.commit("List it, or not")


def rename_image(world: World) -> None:
    """The image of an app gets another name; where a base file names it, the tag stays where it is."""
    _, app = pick(world)
    if len(app.images) == 1:
        (name, version), *_ = app.images.items()
        other = f"{name}-next" if not name.endswith("-next") else name.removesuffix("-next")
        app.images = {other: version}
    world.commit("Rename the image")


def canary(world: World) -> None:
    _, app = pick(world)
    world.number += 1
    if app.form == "plain":
        app.canary = "" if app.canary else f"2.0.{world.number}"
    world.commit("Canary")


def come_and_go(world: World) -> None:
    environment, app = pick(world)
    absent = [one for (where, _), one in world.apps.items() if where == environment and not one.present]
    if absent:
        absent[0].present = True
    else:
        app.present = False
    world.commit("Add or remove an app")


def merge_by_person(world: World) -> None:
    _, first = pick(world)
    _, second = pick(world)

    def one() -> None:
        first.images = new_version(world, first)

    def other() -> None:
        second.images = new_version(world, second)
        first.replicas += 1

    world.merge("Merge branch 'topic'", [("Try this", one), ("And that", other)], "Carol")


WEIGHTS: dict[Callable[[World], None], int] = {
    promote: 30,
    promote_by_merge: 12,
    promote_by_squash: 8,
    edit_by_hand: 8,
    other_tool: 8,
    revert: 6,
    count_replicas: 6,
    edit_readme: 5,
    move_folder: 4,
    edit_below: 4,
    list_or_not: 3,
    rename_image: 2,
    canary: 3,
    come_and_go: 3,
    merge_by_person: 3,
}
