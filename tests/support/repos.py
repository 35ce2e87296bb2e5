"""Real bare repositories, made and read by the git program in a fixed, clean environment.

Dates are deterministic: the first commit stands at `EPOCH`, every further one a second after its parent.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

AUTHOR = "Test Author <author@example.com>"
EPOCH = 1767225600  # 2026-01-01T00:00:00Z
ATTEMPTS = 100
ZERO = "0" * 40

Content = bytes | str


class GitFailedError(Exception):
    """The git program ended with an error; its text is what git said."""


@dataclass(frozen=True)
class Commit:
    sha: str
    subject: str
    body: str  # everything below the subject, trailers included
    trailers: dict[str, list[str]]
    author: str  # "Name <address>"
    committer: str
    parents: tuple[str, ...]


def clean_env(**extra: str) -> dict[str, str]:
    """An environment for git that knows nothing of this machine's configuration, proxies or user."""
    name, _, address = AUTHOR.rstrip(">").partition(" <")
    fixed = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": address,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": address,
    }
    return fixed | extra


def git(
    repo: Path,
    *args: str,
    input: Content | None = None,  # noqa: A002 - as subprocess.run names it
    env: Mapping[str, str] | None = None,
) -> str:
    """Run `git -C repo args` and return its standard output without the last line end."""
    return run(repo, *args, data=input, env=env).decode(errors="surrogateescape").rstrip("\n")


def run(repo: Path, *args: str, data: Content | None = None, env: Mapping[str, str] | None = None) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(repo), *args],
        input=b"" if data is None else encode(data),
        capture_output=True,
        env=clean_env(**(env or {})),
        check=False,
    )
    if done.returncode:
        raise GitFailedError(f"git {' '.join(args)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def make_repo(
    path: Path,
    files: Mapping[str, Content],
    *,
    branch: str = "main",
    allow_filter: bool = True,
    message: str = "Start",
    modes: Mapping[str, str] | None = None,
) -> Path:
    """Make a bare repository with one commit of `files`; none at all leaves the branch unborn.

    `modes` may name paths that are not plain files ("100755", "120000").
    """
    init_bare(path, branch, allow_filter=allow_filter)
    if files:
        entries = ((name, (modes or {}).get(name, "100644"), content) for name, content in files.items())
        fast_import(path, commit_stream(branch, message, entries))
    return path


def init_bare(path: Path, branch: str, *, allow_filter: bool) -> None:
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "--quiet", "--bare", f"--initial-branch={branch}", ".")
    settings = (
        f"[uploadpack]\n\tallowFilter = {str(allow_filter).lower()}\n"
        "[receive]\n\tfsckObjects = true\n\tautogc = false\n"
        "[gc]\n\tauto = 0\n"
    )
    with (path / "config").open("a") as config:
        config.write(settings)


def commit_files(
    repo: Path,
    files: Mapping[str, Content | None],
    message: str,
    *,
    branch: str = "main",
    author: str | None = None,
    date: str | None = None,
    modes: Mapping[str, str] | None = None,
) -> str:
    """Add a commit on the branch (None deletes a path, an absent branch is born) and return its id.

    Safe against concurrent pushes: the branch moves from the parent to the commit or the work is done anew.
    """
    for _ in range(ATTEMPTS):
        old = resolve(repo, f"refs/heads/{branch}")
        tree = changed_tree(repo, old, files, modes or {})
        new = commit_tree(repo, tree, old, message, author or AUTHOR, date or next_date(repo, old))
        try:
            git(repo, "update-ref", f"refs/heads/{branch}", new, old or ZERO)
        except GitFailedError:
            continue  # somebody was faster
        return new
    raise GitFailedError(f"could not move {branch} in {ATTEMPTS} attempts")


def resolve(repo: Path, rev: str) -> str | None:
    try:
        return git(repo, "rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
    except GitFailedError:
        return None


def next_date(repo: Path, parent: str | None) -> str:
    latest = int(git(repo, "log", "-1", "--format=%ct", parent)) if parent else EPOCH - 1
    return f"@{latest + 1} +0000"


def changed_tree(
    repo: Path, old: str | None, files: Mapping[str, Content | None], modes: Mapping[str, str]
) -> str:
    with tempfile.TemporaryDirectory() as folder:
        env = {"GIT_INDEX_FILE": f"{folder}/index"}
        if old:
            git(repo, "read-tree", old, env=env)
        kept = {name: content for name, content in files.items() if content is not None}
        blobs = write_blobs(repo, Path(folder), list(kept.values()))
        lines = [
            f"{modes.get(name, '100644')} {blob}\t{name}" for name, blob in zip(kept, blobs, strict=True)
        ]
        lines += [f"0 {ZERO}\t{name}" for name in files if name not in kept]
        git(repo, "update-index", "-z", "--index-info", input="".join(f"{line}\0" for line in lines), env=env)
        return git(repo, "write-tree", env=env)


def write_blobs(repo: Path, folder: Path, contents: list[Content]) -> list[str]:
    paths = [folder / f"blob-{number}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(encode(content))
    names = "".join(f"{path}\n" for path in paths)
    return git(repo, "hash-object", "-w", "--no-filters", "--stdin-paths", input=names).split()


def commit_tree(repo: Path, tree: str, parent: str | None, message: str, author: str, date: str) -> str:
    name, _, address = author.rstrip(">").partition(" <")
    env = {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": address,
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
    }
    parents = ["-p", parent] if parent else []
    return git(repo, "commit-tree", *parents, tree, input=message.rstrip("\n") + "\n", env=env)


def read_file(repo: Path, path: str, rev: str = "main") -> bytes:
    return run(repo, "cat-file", "blob", f"{rev}:{path}")


def log(repo: Path, rev: str = "main") -> list[Commit]:
    """The commits reachable from `rev` (a range works too), newest first."""
    fields = ("%H", "%s", "%b", "%(trailers:only,unfold)", "%an <%ae>", "%cn <%ce>", "%P")
    text = run(repo, "log", "--topo-order", "-z", f"--format={'%x01'.join(fields)}", rev, "--")
    return [parse_commit(entry) for entry in text.decode(errors="surrogateescape").split("\0") if entry]


def parse_commit(entry: str) -> Commit:
    sha, subject, body, trailers, author, committer, parents = entry.split("\x01")
    found: dict[str, list[str]] = {}
    for line in trailers.splitlines():
        key, _, value = line.partition(":")
        found.setdefault(key, []).append(value.strip())
    return Commit(sha, subject, body.strip("\n"), found, author, committer, tuple(parents.split()))


def revert(repo: Path, sha: str, *, branch: str = "main") -> str:
    """Push a real `git revert` of the commit (of a merge: towards its first parent) and return its id."""
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder) / "work"
            clone = ["clone", "--quiet", "--shared", "--no-tags", f"--branch={branch}", str(repo), str(work)]
            git(Path(folder), *clone)
            date = next_date(work, "HEAD")
            env = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
            merge = len(git(repo, "rev-list", "--parents", "-n1", sha).split()) > 2
            git(work, "revert", "--no-edit", *(["-m", "1"] if merge else []), sha, env=env)
            new = git(work, "rev-parse", "HEAD")
            base = git(work, "rev-parse", "HEAD~1")
            try:
                git(work, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
            except GitFailedError:
                if resolve(repo, f"refs/heads/{branch}") == base:
                    raise
                continue  # somebody was faster
            return new
    raise GitFailedError(f"could not push the revert in {ATTEMPTS} attempts")


def fsck(repo: Path) -> None:
    """Assert that the repository is sound: `git fsck --strict --full` ends well and finds nothing to say."""
    done = subprocess.run(
        ["git", "-C", str(repo), "fsck", "--strict", "--full", "--no-dangling", "--no-progress"],
        capture_output=True,
        text=True,
        env=clean_env(),
        check=False,
    )
    lines = (done.stdout + done.stderr).splitlines()
    complaints = [line for line in lines if not line.startswith("notice:")]
    assert (done.returncode, complaints) == (0, [])


def make_history(
    repo: Path,
    n: int,
    path: str,
    *,
    branch: str = "main",
    message: str = "Filler {n}",
    content: Callable[[int], Content] = "counter: {}\n".format,
) -> str:
    """Add n commits that each rewrite `path` (`{n}` in it and in `message` counts) and return the new tip.

    One fast-import, not for use beside concurrent pushes.
    """
    tip = resolve(repo, f"refs/heads/{branch}")
    start = int(git(repo, "log", "-1", "--format=%ct", tip)) + 1 if tip else EPOCH
    fast_import(repo, history_stream(branch, tip, start, n, path, message, content))
    return git(repo, "rev-parse", f"refs/heads/{branch}")


def history_stream(
    branch: str,
    tip: str | None,
    start: int,
    n: int,
    path: str,
    message: str,
    content: Callable[[int], Content],
) -> Iterator[bytes]:
    for number in range(n):
        entry = (path.replace("{n}", str(number)), "100644", content(number))
        text = message.replace("{n}", str(number))
        parent = tip if number == 0 else None  # later ones follow the branch as this stream has left it
        yield from commit_stream(branch, text, [entry], when=start + number, parent=parent)


# --- fast-import


def commit_stream(
    branch: str,
    message: str,
    entries: Iterable[tuple[str, str, Content]],
    *,
    when: int = EPOCH,
    parent: str | None = None,
) -> Iterator[bytes]:
    stamp = f"{AUTHOR} {when} +0000"
    yield f"commit refs/heads/{branch}\nauthor {stamp}\ncommitter {stamp}\n".encode()
    yield data(message.rstrip("\n") + "\n")
    if parent:
        yield f"from {parent}\n".encode()
    for name, mode, content in entries:
        yield encode(f"M {mode} inline {quote(name)}\n")
        yield data(content)


def data(content: Content) -> bytes:
    raw = encode(content)
    return b"data %d\n%b\n" % (len(raw), raw)


def quote(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def encode(content: Content) -> bytes:
    return content.encode(errors="surrogateescape") if isinstance(content, str) else content


def fast_import(repo: Path, stream: Iterable[bytes]) -> None:
    with tempfile.TemporaryFile(buffering=1 << 20) as spool:
        spool.writelines(stream)
        spool.flush()
        os.lseek(spool.fileno(), 0, os.SEEK_SET)
        done = subprocess.run(
            ["git", "-C", str(repo), "fast-import", "--quiet"],
            stdin=spool,
            capture_output=True,
            env=clean_env(),
            check=False,
        )
    if done.returncode:
        raise GitFailedError(f"git fast-import: {done.stderr.decode(errors='replace').strip()}")


# --- a large manifest repository

OTHER_PLACES = (
    "envs/production",
    "envs/development",
    "envs/qa",
    "envs/preview",
    "clusters/eu-west-1",
    "clusters/us-east-1",
    "platform/shared",
)


def big_tree(
    path: Path,
    n_files: int,
    *,
    per_environment: int,
    images: int | None = None,
    branch: str = "main",
    allow_filter: bool = True,
    repack: bool = False,
) -> Path:
    """Make a bare repository of exactly n_files small manifests in one commit.

    `per_environment` of them stand under `envs/staging`, the rest is spread evenly over `OTHER_PLACES`. Each
    place has a `kustomization.yaml` whose `images:` list names `ghcr.io/acme/app-000` and further ones
    (`images` of them, by default one for each application, at most 100), and applications of five files.
    `repack` leaves the pack a host would: deltas and a bitmap.
    """
    if not 1 <= per_environment <= n_files:
        raise ValueError("per_environment must be between 1 and n_files")
    init_bare(path, branch, allow_filter=allow_filter)
    fast_import(path, commit_stream(branch, "Start", tree_files(n_files, per_environment, images)))
    if repack:
        git(path, "repack", "-a", "-d", "-f", "-q", "--write-bitmap-index")
    return path


def tree_files(n_files: int, per_environment: int, images: int | None) -> Iterator[tuple[str, str, Content]]:
    share, more = divmod(n_files - per_environment, len(OTHER_PLACES))
    counts = [("envs/staging", per_environment)]
    counts += [(place, share + (number < more)) for number, place in enumerate(OTHER_PLACES)]
    for place, count in counts:
        for name, content in place_files(place, count, images):
            yield f"{place}/{name}", "100644", content


def place_files(place: str, count: int, images: int | None) -> Iterator[tuple[str, str]]:
    """Exactly `count` files: the place's own kustomization, then the applications'."""
    if count == 0:
        return
    apps = -(-(count - 1) // len(APP_FILES))
    yield "kustomization.yaml", place_kustomization(place, apps, images or min(max(apps, 1), 100))
    for number in range(count - 1):
        app = f"app-{number // len(APP_FILES):03d}"
        name, template = APP_FILES[number % len(APP_FILES)]
        yield f"{app}/{name}", fill(template, place, app, number)


def place_kustomization(place: str, apps: int, images: int) -> str:
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization"]
    if apps:
        lines += [f"namespace: {place.rpartition('/')[2]}", "resources:"]
        lines += [f"  - app-{number:03d}" for number in range(apps)]
    lines.append("images:")
    for number in range(images):
        lines += [f"  - name: ghcr.io/acme/app-{number:03d}", f'    newTag: "1.{number % 40}.{number % 7}"']
    return "\n".join(lines) + "\n"


def fill(template: str, place: str, app: str, number: int) -> str:
    facts = {
        "@app@": app,
        "@env@": place.rpartition("/")[2],
        "@replicas@": str(1 + number % 5),
        "@port@": str(8000 + number % 1000),
        "@tag@": f"1.{number % 40}.{number % 7}",
    }
    for key, value in facts.items():
        template = template.replace(key, value)
    return template


APP_FILES = (
    (
        "kustomization.yaml",
        """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: @env@
resources:
  - deployment.yaml
  - service.yaml
configMapGenerator:
  - name: @app@-config
    literals:
      - ENVIRONMENT=@env@
      - PORT=@port@
images:
  - name: ghcr.io/acme/@app@
    newTag: "@tag@"
""",
    ),
    (
        "deployment.yaml",
        """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: @app@
  labels:
    app.kubernetes.io/name: @app@
    app.kubernetes.io/instance: @app@-@env@
spec:
  replicas: @replicas@
  selector:
    matchLabels:
      app.kubernetes.io/name: @app@
  template:
    metadata:
      labels:
        app.kubernetes.io/name: @app@
    spec:
      containers:
        - name: @app@
          image: ghcr.io/acme/@app@:@tag@ # moved by the pipeline
          ports:
            - name: http
              containerPort: @port@
          envFrom:
            - configMapRef:
                name: @app@-config
          readinessProbe:
            httpGet: {path: /healthz, port: http}
          resources:
            requests: {cpu: 100m, memory: 128Mi}
            limits: {memory: 256Mi}
""",
    ),
    (
        "service.yaml",
        """\
apiVersion: v1
kind: Service
metadata:
  name: @app@
  labels:
    app.kubernetes.io/instance: @app@-@env@
spec:
  selector:
    app.kubernetes.io/name: @app@
  ports:
    - name: http
      port: 80
      targetPort: @port@
""",
    ),
    (
        "values.yaml",
        """\
# Helm values of @app@ in @env@
replicaCount: @replicas@

image:
  repository: ghcr.io/acme/@app@
  tag: "@tag@"
  pullPolicy: IfNotPresent

service:
  type: ClusterIP
  port: @port@

ingress:
  enabled: true
  hosts:
    - host: @app@.@env@.example.com
      paths: ["/"]
""",
    ),
    (
        "Chart.yaml",
        """\
apiVersion: v2
name: @app@
description: "@app@ as it runs in @env@"
type: application
version: 0.@replicas@.0
appVersion: "@tag@"
""",
    ),
)
