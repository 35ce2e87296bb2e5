"""Whatever is wrong with the input: the right exit code, one clear message, and an untouched remote."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import CANARY, FILE, FILES, IMAGE, OLD, STAGING, WANTED, Bench, assert_error
from tests.support import repos

CONFIG = "version: 1\nenvironments:\n  staging: {path: envs/staging}\n  production: {path: envs/production}\n"
DIGEST = "sha256:" + "ab" * 32
OTHER = "envs/staging/other.yaml"


# --- the command line (2)

COMMAND_LINES: dict[str, tuple[list[str], str]] = {
    "no place": ([*WANTED], "neither --env nor --path"),
    "two places": ([*WANTED, *STAGING, "--env", "staging"], "exclude each other"),
    "no image": ([*STAGING], "say what shall land"),
    "marker that is no policy": ([*STAGING, *WANTED, "--marker", "api"], "is no policy"),
    "marker with two images": (
        [*STAGING, *WANTED, "--image", "web:1", "--marker", "flux-system:api"],
        "takes one --image",
    ),
    "image without tag": ([*STAGING, "--image", IMAGE], "a tag or a digest is missing"),
    "one image twice": ([*STAGING, *WANTED, "--image", f"{IMAGE}:2.0.0"], "twice"),
    "one image twice, spelt otherwise": (
        [*STAGING, "--image", "nginx:1", "--image", "docker.io/library/nginx:2"],
        "twice",
    ),
    "tag with a newline": ([*STAGING, "--image", f"{IMAGE}:1.0\n2"], "is not a"),
    "tag with a space": ([*STAGING, "--image", f"{IMAGE}:1.0 2"], "is not a"),
    "tag with a hash": ([*STAGING, "--image", f"{IMAGE}:1.0#2"], "is not a"),
    "tag with a leading dash": ([*STAGING, "--image", f"{IMAGE}:-1"], "is not a"),
    "image with a leading dash": ([*STAGING, "--image", f"-{IMAGE}:1"], "is not a"),
    "lone tag with a newline": ([*STAGING, "--app", "api", "--tag", "1\n2"], "is not a"),
    "lone tag with a space": ([*STAGING, "--app", "api", "--tag", "1 2"], "is not a"),
    "lone tag with a hash": ([*STAGING, "--app", "api", "--tag", "1#2"], "is not a"),
    "lone tag with a leading dash": ([*STAGING, "--app", "api", "--tag=-1"], "is not a"),
    "digest with a newline": ([*STAGING, "--image", f"{IMAGE}@{DIGEST}\n"[:-2] + "\n1"], "is not a"),
    "digest too short": ([*STAGING, "--image", f"{IMAGE}@sha256:abc"], "is not a"),
    "lone digest with a hash": (
        [*STAGING, "--app", "api", "--tag", "1", "--digest", f"{DIGEST}#"],
        "is not a",
    ),
    "lone digest with a leading dash": (
        [*STAGING, "--app", "api", "--tag", "1", f"--digest=-{DIGEST}"],
        "is not a",
    ),
    "path to the parent": (["--path", "../secrets", *WANTED], "'..' component"),
    "path through the parent": (["--path", "envs/../../x", *WANTED], "'..' component"),
    "absolute path": (["--path", "/etc", *WANTED], "absolute"),
    "path into .git": (["--path", "envs/.git", *WANTED], "'.git' component"),
    "path into .GIT": (["--path", ".GIT/hooks", *WANTED], "'.git' component"),
    "empty path": (["--path", "", *WANTED], "neither --env nor --path"),
    "path with a control character": (["--path", "envs\x1b/x", *WANTED], "control character"),
    "exclude to the parent": ([*STAGING, *WANTED, "--exclude", "../**"], "'..' component"),
    "base with a space": ([*STAGING, *WANTED, "--base", "a b"], "no branch name"),
    "base with a leading dash": ([*STAGING, *WANTED, "--base=--upload-pack=x"], "no branch name"),
    "order": ([*STAGING, *WANTED, "--order", "ci"], "not NAMESPACE#N"),
    "time without zone": ([*STAGING, *WANTED, "--source-time", "2026-01-31T12:00:00"], "with a zone"),
    "time that UTC has no year for": (
        [*STAGING, *WANTED, "--source-time", "0001-01-01T00:00:00+14:00"],
        "no ISO 8601 time",
    ),
    "run URL of two lines": ([*STAGING, *WANTED, "--run-url", "a\nPromoter-Id: 1"], "line break"),
    "deadline of nothing": ([*STAGING, *WANTED, "--deadline", "0"], "--deadline"),
    "pin beside drop-digest": ([*STAGING, *WANTED, "--pin", "--drop-digest"], "exclude each other"),
    "misspelt option": ([*STAGING, *WANTED, "--exclud", "x"], "--exclud"),
    "stray operand": ([*STAGING, *WANTED, "stray"], "stray"),
}


@pytest.mark.parametrize(("args", "says"), COMMAND_LINES.values(), ids=COMMAND_LINES.keys())
def test_a_wrong_command_line(bench: Bench, args: list[str], says: str) -> None:
    bench.refused(*args, code=2, says=says)


@pytest.mark.parametrize("verb", ["holds", "nonsense"])
def test_a_verb_that_is_not_there(bench: Bench, verb: str) -> None:
    result = bench.run(verb, "--output", "json")
    assert_error(result, 2, verb)
    assert result.document["verb"] == verb


def test_no_verb(bench: Bench) -> None:
    result = bench.run(env={"PROMOTER_OUTPUT": "json"})
    assert_error(result, 2, "no verb")
    assert result.document["verb"] == "promoter"
    assert bench.run().stderr.startswith("error: no verb is given: bump, ")
    assert_error(bench.run("--output", "json"), 2, "--output")


def test_known_digest_options(bench: Bench) -> None:
    image = f"{IMAGE}:1.1.0@{DIGEST}"
    pinned = bench.bump(*STAGING, "--image", image, "--pin", "--dry-run")
    assert (pinned.code, pinned.document["changes"][0]["after"]) == (0, image)


@pytest.mark.parametrize("address", ["", "-x", "ftp://example.com/x.git", "https://", "a\nb", "http://[::1"])
def test_an_address_that_is_none(bench: Bench, address: str) -> None:
    bench.address = address
    bench.refused(*STAGING, *WANTED, code=2, says="--manifest-repo")


def test_usage_error_that_quotes_a_password(bench: Bench) -> None:
    """Forgetting the option before the URL must not print the URL's password."""
    for output in ("text", "json"):
        result = bench.run(
            "bump", f"https://ci:{CANARY}@example.com/x.git", "--output", output, env={"PROMOTER_TOKEN": ""}
        )
        assert result.code == 2
        assert "example.com" in result.stdout + result.stderr


def test_environment_variable_that_is_wrong(bench: Bench) -> None:
    env = {"PROMOTER_OUTPUT": "json", "PROMOTER_DEADLINE": "soon"}
    result = bench.run(*bench.arguments(*STAGING, *WANTED), env=env)
    assert_error(result, 2, "soon")


# --- the configuration (3)


def test_an_unknown_environment(bench: Bench) -> None:
    bench.make({".promoter.yaml": CONFIG} | FILES)
    result = bench.refused("--env", "stagin", *WANTED, code=3, says="stagin")
    assert "staging" in result.document["error"]["message"] + result.document["error"]["next"]


@pytest.mark.parametrize(
    ("config", "line", "says"),
    [
        (CONFIG + "environmens: {}\n", 5, "did you mean 'environments'"),
        ("version: 2\nenvironments: {staging: {path: a}}\n", 1, "version"),
        ("version: 1\nenvironments:\n  staging: {path: [}\n", 3, "not valid YAML"),
        ("", 1, "empty"),
        ("version: 1\nenvironments:\n  staging: {path: ../x}\n", 3, "'..'"),
        ('version: 1\nrequires: ">=99.0"\nenvironments: {staging: {path: a}, x: 1}\n', 2, "requires"),
        (CONFIG + "x: " + "[" * 50_000, 5, "nested deeper"),
        ("version: 1\nenvironments:\n  staging: {path: a, after: tset}\n  test: {path: b}\n", 3, "'test'"),
        ("version: 1\nenvironments:\n  staging: {path: a, after: staging}\n", 3, "after itself"),
        ("version: 1\nenvironments:\n  staging: {path: a, soak: 1h}\n", 3, "after"),
        (CONFIG + "images: [{match: '*', allow: '('}]\n", 5, "no pattern"),
    ],
)
def test_a_wrong_configuration(bench: Bench, config: str, line: int, says: str) -> None:
    bench.make({".promoter.yaml": config} | FILES)
    bench.refused("--env", "staging", *WANTED, code=3, says=says, file=".promoter.yaml", line=line)


def test_configuration_of_the_caller(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    config = ("--config", str(file), "--env", "staging", *WANTED)
    bench.refused(*config, code=3, says="No such file", file=str(file))
    file.write_bytes(b"version: 1 # \xff\n")
    bench.refused(*config, code=3, says="not UTF-8", file=str(file))
    file.write_text("version: 1\nenvironment: {}\n")
    bench.refused(*config, code=3, says="environment", file=str(file), line=2)
    file.unlink()
    file.mkdir()
    bench.refused(*config, code=3, says="directory", file=str(file))


def test_path_beside_a_configuration(bench: Bench) -> None:
    bench.make({".promoter.yaml": CONFIG} | FILES)
    bench.refused(*STAGING, *WANTED, code=2, says=".promoter.yaml")


def test_env_without_a_configuration(bench: Bench) -> None:
    bench.refused("--env", "staging", *WANTED, code=3, says="no .promoter.yaml", reason="no-configuration")


def test_configuration_that_is_not_utf8(bench: Bench) -> None:
    bench.make({".promoter.yaml": b"version: 1 # \xff\n"} | FILES)
    bench.refused("--env", "staging", *WANTED, code=3, says="not UTF-8", file=".promoter.yaml")


def test_configuration_that_is_a_link(bench: Bench) -> None:
    """An unread gate is no open gate."""
    bench.make({**FILES, ".promoter.yaml": "other.yaml"}, modes={".promoter.yaml": "120000"})
    bench.refused(*STAGING, *WANTED, code=3, says="no regular file", file=".promoter.yaml")


def test_configuration_that_is_a_directory(bench: Bench) -> None:
    bench.make({**FILES, ".promoter.yaml/a.yaml": CONFIG})
    bench.refused(*STAGING, *WANTED, code=3, says="no regular file", file=".promoter.yaml")


# --- the image (4)


def test_no_match(bench: Bench) -> None:
    image = ("--image", "ghcr.io/acme/absent:1.0.0")
    bench.refused(*STAGING, *image, code=4, says="does not use ghcr.io/acme/absent", reason="image-not-found")


def test_one_of_two_without_match_lands_nothing(bench: Bench) -> None:
    images = (*WANTED, "--image", "ghcr.io/acme/absent:1.0.0")
    bench.refused(*STAGING, *images, code=4, says="does not use ghcr.io/acme/absent")


def test_path_that_is_not_there(bench: Bench) -> None:
    bench.refused("--path", "envs/nowhere", *WANTED, code=4, says="does not use")


def test_image_of_two_apps(bench: Bench) -> None:
    apps = f"apps: {{one: {{images: [{IMAGE}]}}, two: {{images: ['ghcr.io/acme/*']}}}}\n"
    bench.make({".promoter.yaml": CONFIG + apps} | FILES)
    bench.refused("--env", "staging", *WANTED, code=4, says="several apps: one, two", reason="ambiguous-app")
    chosen = bench.bump("--env", "staging", *WANTED, "--app", "two", "--dry-run")
    assert (chosen.code, chosen.document["app"]) == (0, "two")


def test_app_that_nobody_knows(bench: Bench) -> None:
    bench.make({".promoter.yaml": CONFIG} | FILES)
    bench.refused("--env", "staging", "--app", "x", "--tag", "1", code=4, says="does not say which image")


@pytest.mark.parametrize("option", ["--require-image", "--pin"])
def test_a_registry_at_a_port_that_is_none(bench: Bench, option: str) -> None:
    name = "registry.example.com:99999/acme/api"
    bench.make({FILE: f"image: {name}:1.0.0\n"})
    wanted = (*STAGING, "--image", f"{name}:1.1.0", option)
    bench.refused(*wanted, code=4, says="there is no port 99999", reason="image-missing")


TARGET = 'targets: [{file: "tags/{environment}", tag: image_tag, image: "ghcr.io/acme/{app}"}]\n'


@pytest.mark.parametrize("content", [None, "", "other: 1\n", "image_tag: [1]\n", "- image_tag\n"])
def test_target_without_its_key(bench: Bench, content: str | None) -> None:
    target: dict[str, repos.Content] = {} if content is None else {"tags/staging": content}
    bench.make({".promoter.yaml": CONFIG + TARGET, "envs/staging/x.yaml": "a: 1\n", **target})
    file = None if content is None else "tags/staging"
    bench.refused("--env", "staging", *WANTED, code=4, says=IMAGE, file=file)


# --- files that cannot be read (4), or stand beside one that can (0)

BROKEN: dict[str, tuple[bytes, int]] = {
    "syntax": (f"a: 1\nimage: {IMAGE}:1.0.0\n  b: [\n".encode(), 3),
    "not UTF-8": (f"a: 1\nimage: {IMAGE}:1.0.0\nb: '\xff'\n".encode("latin-1"), 3),
    "alias bomb": (
        b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 30))
        + f"image: {IMAGE}:1.0.0\n".encode(),
        6,
    ),
    "deep flow": (f"image: {IMAGE}:1.0.0\nb: ".encode() + b"[" * 50_000 + b"]" * 50_000 + b"\n", 2),
    "deep flow mappings": (
        f"image: {IMAGE}:1.0.0\nb: ".encode() + b"{a: " * 50_000 + b"}" * 50_000 + b"\n",
        2,
    ),
    "deep dashes": (b"- " * 50_000 + f"\n- image: {IMAGE}:1.0.0\n".encode(), 1),
    "unclosed quote": (f'a: "\nimage: {IMAGE}:1.0.0\n'.encode(), 3),
    "tab": (f"a: 1\nimage: {IMAGE}:1.0.0\n\tb: 1\n".encode(), 3),
}


@pytest.mark.parametrize(("content", "line"), BROKEN.values(), ids=BROKEN.keys())
def test_the_only_mention_cannot_be_read(bench: Bench, content: bytes, line: int) -> None:
    bench.make({OTHER: content})
    found = bench.refused(
        *STAGING, *WANTED, code=4, says=f"the only mention of {IMAGE}", file=OTHER, line=line, timeout=20
    )
    assert found.document["reason"] == "unreadable"


@pytest.mark.parametrize(("content", "line"), BROKEN.values(), ids=BROKEN.keys())
def test_a_mention_that_cannot_be_read_beside_a_site(bench: Bench, content: bytes, line: int) -> None:
    bench.make({**FILES, OTHER: content})
    bench.refused(*STAGING, *WANTED, "--strict", code=4, says="--strict", file=OTHER, line=line, timeout=20)
    result = bench.lands(timeout=20)
    [warning] = result.document["warnings"]
    assert (warning["code"], warning["file"], warning["line"]) == ("unreadable", OTHER, line)
    assert repos.read_file(bench.repo, OTHER) == content


def test_the_warning_is_loud_in_text(bench: Bench) -> None:
    bench.make({**FILES, OTHER: BROKEN["syntax"][0]})
    result = bench.run(*bench.arguments(*STAGING, *WANTED))
    assert result.code == 0
    assert f"warning: {OTHER}:3: mentions {IMAGE} and cannot be read" in result.stderr


def test_a_broken_file_that_does_not_mention_the_image(bench: Bench) -> None:
    bench.make({**FILES, OTHER: "a: [\n", "envs/staging/latin.yaml": b"\xff"})
    assert bench.lands().document["warnings"] == []


FOLDED = f"spec:\n  image: >-\n    {IMAGE}:1.0.0\n"


def test_a_site_whose_edit_is_refused(bench: Bench) -> None:
    bench.make({OTHER: FOLDED})
    bench.refused(*STAGING, *WANTED, code=4, says="folded", file=OTHER, line=2, reason="refused-site")


def test_a_file_that_is_a_link(bench: Bench) -> None:
    bench.make({OTHER: "/etc/passwd"} | FILES, modes={OTHER: "120000"})
    assert [change["file"] for change in bench.lands().document["changes"]] == [FILE]


# --- what stood there before (0)

NONSENSE = {
    "number of 5,000 digits": f"Promoter-Order: ns#{'9' * 5000}",
    "time that UTC has no year for": "Promoter-Source-Time: 0001-01-01T00:00:00+14:00",
}


@pytest.mark.parametrize("trailer", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_landing_whose_trailer_makes_no_sense(bench: Bench, trailer: str) -> None:
    """It tells nothing of its build; no later run ends by it, nor carries it on."""
    there = FILE.replace("staging", "production")
    bench.make({".promoter.yaml": CONFIG, FILE: f"image: {IMAGE}:main-1\n", there: f"image: {IMAGE}:a\n"})
    text = f"Land\n\nPromoter-Id: 0123456789abcdef\nPromoter-Image: {IMAGE}:topic-2\n{trailer}\n"
    repos.commit_files(bench.repo, {FILE: f"image: {IMAGE}:topic-2\n"}, text)
    build = ("--order", "ns#5", "--source-time", "2026-01-31T12:00:00Z")
    for args in (
        ("history",),
        ("history", "--metrics"),
        ("bump", "--env", "staging", "--image", f"{IMAGE}:x-3", *build, "--dry-run"),
        ("promote", "staging", "production"),
    ):
        result = bench.run(*args, "--manifest-repo", bench.address, "--output", "json")
        assert result.code == 0, result
    landed = repos.log(bench.repo)[0]
    assert landed.trailers["Promoter-Environment"] == ["production"]
    assert trailer.partition(":")[0] not in landed.trailers


# --- where it runs (0)


def test_a_bare_repository_as_working_directory_runs_nothing(bench: Bench, tmp_path: Path) -> None:
    """What a checkout brought along: its configuration names a program that Git fetches with."""
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    repos.git(tmp_path, "init", "--quiet", "--bare", str(trap))
    for key, value in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", str(trap)),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", f"touch {sprung}; false"),
    ):
        repos.git(trap, "config", key, value)
    absent = "8d1c8b69c3fce7bea45c73efd06983e3c419a92f"
    subprocess.run(["git", "show", "--no-patch", absent], cwd=trap, capture_output=True, check=False)
    assert sprung.exists()  # it is one
    sprung.unlink()
    env = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/api", "GITHUB_SHA": absent}
    result = bench.bump(*STAGING, *WANTED, env=env, cwd=trap)
    assert (result.code, result.document["status"]) == (0, "promoted")
    assert not sprung.exists()
    [commit, *_] = repos.log(bench.repo)
    assert commit.trailers["Promoter-Source"] == [absent]
    assert "Promoter-Source-Time" not in commit.trailers


# --- the repository (3)


def test_an_empty_repository(bench: Bench) -> None:
    bench.make({})
    bench.refused(*STAGING, *WANTED, code=3, says="empty", reason="empty-repository")


def test_an_empty_repository_with_a_base(bench: Bench) -> None:
    bench.make({})
    bench.refused(*STAGING, *WANTED, "--base", "main", code=3, says="main", reason="no-such-branch")


@pytest.mark.parametrize("base", ["nowhere", "refs/heads/nowhere"])
def test_a_missing_branch(bench: Bench, base: str) -> None:
    says = "no branch 'nowhere'"
    bench.refused(*STAGING, *WANTED, "--base", base, code=3, says=says, reason="no-such-branch")


@pytest.mark.parametrize("base", ["v1", "refs/tags/v1", "tags/v1"])
def test_a_tag_as_base(bench: Bench, base: str) -> None:
    repos.git(bench.repo, "tag", "v1", "main")
    bench.refused(*STAGING, *WANTED, "--base", base, code=3, says=base, reason="no-such-branch")


def test_a_head_that_names_no_branch(bench: Bench) -> None:
    repos.git(bench.repo, "symbolic-ref", "HEAD", "refs/heads/nowhere")
    bench.refused(*STAGING, *WANTED, code=3, says="HEAD", reason="no-such-branch")
    assert bench.bump(*STAGING, *WANTED, "--base", "main").code == 0


@pytest.mark.parametrize("kind", ["directory", "file", "nothing", "url"])
def test_a_path_that_is_no_repository(bench: Bench, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "directory":
        place.mkdir()
    elif kind == "file":
        place.write_text("")
    bench.address = f"file://{place}" if kind == "url" else str(place)
    bench.refused(*STAGING, *WANTED, code=3, says=str(place), reason="no-repository")


def test_a_path_with_a_working_tree(bench: Bench, tmp_path: Path) -> None:
    """A person's own clone is a repository too; git does not let its checked-out branch move."""
    work = tmp_path / "work"
    repos.git(tmp_path, "clone", "--quiet", str(bench.repo), str(work))
    bench.address = str(work)
    bench.refused(*STAGING, *WANTED, code=8, says="checked out", reason="push-refused")


def test_a_repository_of_another_user(bench: Bench) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a repository away")
    os.chown(bench.repo, 12345, 12345)
    try:
        result = bench.bump(*STAGING, *WANTED)
    finally:
        os.chown(bench.repo, 0, 0)
    assert_error(result, 8, "dubious ownership")
    assert "the user whom" in result.document["error"]["next"]


def test_a_file_name_that_looks_like_a_command(bench: Bench) -> None:
    """CI systems read commands from the log: a file's name must not begin a line."""
    name = "envs/staging/a\n::error::x\n.yaml"
    bench.make({name: f"image: {IMAGE}:1.0.0\n"})
    result = bench.run(*bench.arguments(*STAGING, *WANTED))
    assert result.code == 0
    assert not any(line.startswith("::") for line in (result.stdout + result.stderr).splitlines())


def test_nothing_of_the_old_file_is_lost(bench: Bench) -> None:
    bench.lands()
    assert repos.read_file(bench.repo, FILE).decode() == OLD.replace("1.0.0", "1.1.0", 1)
