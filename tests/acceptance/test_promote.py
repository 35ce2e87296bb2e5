"""From one environment to the next: exactly what runs there, whatever the format, app by app."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.environments import (
    DIGEST,
    OTHER_DIGEST,
    change,
    config,
    file_of,
    files,
    hold_of,
    image,
    new_commits,
    refused,
    statuses,
    tags,
    told,
    warned,
)
from tests.support import repos
from tests.support.cli import finish, start_promoter

if TYPE_CHECKING:
    from tests.acceptance.conftest import Bench

CONFIG = config(staging="", production="")
GO = ("promote", "staging", "production")


@pytest.fixture
def two(bench: Bench) -> Bench:
    """Staging is ahead of production with api; web is the same in both."""
    bench.make(
        files(CONFIG, staging={"api": "1.1.0", "web": "2.0.0"}, production={"api": "1.0.0", "web": "2.0.0"})
    )
    return bench


# --- formats ---------------------------------------------------------------------------------

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {app}}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec:
      containers:
        - name: {app}
          image: ghcr.io/acme/{app}:{version}   # {environment}
"""
VALUES = """\
{app}:
  image:
    repository: ghcr.io/acme/{app}
    tag: "{version}"   # {environment}
"""
PINNED = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images:
  - name: ghcr.io/acme/{app}   # {environment}
    newTag: {tag}
    digest: {digest}
"""
TARGETS = 'targets: [{file: "tags/{environment}/{app}", tag: image_tag, image: "ghcr.io/acme/{app}"}]\n'


def test_across_formats(bench: Bench) -> None:
    """Kustomize with digest, Helm values, a plain manifest and a tag file, each to another one."""

    def side(environment: str, version: str, digest: str, order: str) -> dict[str, repos.Content]:
        kustomized, helm, plain, tagged = order.split()
        return {
            f"envs/{environment}/kustomization.yaml": PINNED.format(
                app=kustomized, environment=environment, tag=version, digest=digest
            ),
            f"envs/{environment}/{helm}/values.yaml": VALUES.format(
                app=helm, environment=environment, version=version
            ),
            f"envs/{environment}/{plain}.yaml": DEPLOYMENT.format(
                app=plain, environment=environment, version=f"{version}@{digest}"
            ),
            f"tags/{environment}/{tagged}": f"# {environment}\nimage_tag: {version}\n",
        }

    before = side("production", "1.0.0", OTHER_DIGEST, "worker cron api web")
    bench.make(
        {
            ".promoter.yaml": CONFIG + TARGETS,
            **side("staging", "1.1.0", DIGEST, "api worker web cron"),
            **before,
        }
    )
    repos.git(bench.repo, "config", "core.logAllRefUpdates", "always")
    start = bench.tip or ""
    document = told(bench, *GO, "--drop-digest", "--app", "worker")  # its tag is all that staging has
    assert document["status"] == "promoted"
    document = told(bench, *GO)
    assert (document["status"], document["reason"], document["app"]) == ("promoted", "changed", None)
    # web's production site is a tag file, cron's a values file: the tags alone; api's is pinned.
    after = {path: repos.read_file(bench.repo, path) for path in before}
    expected = {path: str(text).replace("1.0.0", "1.1.0") for path, text in before.items()}
    expected["envs/production/api.yaml"] = expected["envs/production/api.yaml"].replace(OTHER_DIGEST, DIGEST)
    kustomized = "envs/production/kustomization.yaml"
    del after[kustomized]
    del expected[kustomized]
    assert {path: text.decode() for path, text in after.items()} == expected
    assert (
        f"newTag: 1.1.0\n    digest: {OTHER_DIGEST}" not in repos.read_file(bench.repo, kustomized).decode()
    )
    assert b"newTag: 1.1.0\n" in repos.read_file(bench.repo, kustomized)
    landed = new_commits(bench.repo, start)
    assert [one.trailers["Promoter-App"] for one in landed] == [["worker"], ["api"], ["cron"], ["web"]]
    assert len({one.trailers["Promoter-Id"][0] for one in landed}) == 4
    assert landed[-1].sha == document["commit_sha"] == bench.tip
    # Three apps were one push.
    assert len(repos.git(bench.repo, "reflog", "show", "refs/heads/main").splitlines()) == 2
    repos.fsck(bench.repo)


@pytest.mark.parametrize(
    ("there", "here", "options", "after"),
    [
        (f":1.1.0@{DIGEST}", ":1.0.0", (), ":1.1.0"),
        (f":1.1.0@{DIGEST}", ":1.0.0", ("--pin",), f":1.1.0@{DIGEST}"),
        (f":1.1.0@{DIGEST}", f":1.1.0@{OTHER_DIGEST}", (), f":1.1.0@{DIGEST}"),
        (f":1.1.0@{DIGEST}", ":1.1.0", ("--pin",), f":1.1.0@{DIGEST}"),
        (":1.1.0", f":1.0.0@{DIGEST}", ("--drop-digest",), ":1.1.0"),
        (f"@{DIGEST}", f"@{OTHER_DIGEST}", (), f"@{DIGEST}"),
    ],
)
def test_tag_and_digest(bench: Bench, there: str, here: str, options: tuple[str, ...], after: str) -> None:
    bench.make(
        {
            ".promoter.yaml": CONFIG,
            "envs/staging/a.yaml": f"image: ghcr.io/acme/api{there}\n",
            "envs/production/a.yaml": f"image: ghcr.io/acme/api{here}\n",
        }
    )
    assert told(bench, *GO, *options)["status"] == "promoted"
    assert (
        repos.read_file(bench.repo, "envs/production/a.yaml").decode() == f"image: ghcr.io/acme/api{after}\n"
    )
    assert told(bench, *GO)["status"] == "unchanged"


def test_a_tag_alone_does_not_go_where_a_digest_is_pinned(bench: Bench) -> None:
    bench.make(
        {
            ".promoter.yaml": CONFIG,
            "envs/staging/a.yaml": "image: ghcr.io/acme/api:1.1.0\n",
            "envs/production/a.yaml": f"image: ghcr.io/acme/api:1.0.0@{DIGEST}\n",
        }
    )
    error = refused(bench, *GO, code=6, reason="digest")["error"]
    assert "--drop-digest" in error["next"] + error["message"]
    assert "--pin" in error["next"] + error["message"]


# --- what is taken ---------------------------------------------------------------------------


def test_what_only_one_side_has_is_listed(two: Bench) -> None:
    change(two.repo, "staging", new="1.0.0")
    change(two.repo, "production", old="1.0.0")
    document = told(two, *GO)
    assert statuses(document) == {"api": "promoted", "web": "unchanged"}
    listed = warned(document, "only-on-one-side")
    assert [("acme/new" in one, "acme/old" in one) for one in listed] == [(True, False), (False, True)]
    assert tags(two.repo, "production") == {"api": "1.1.0", "web": "2.0.0", "old": "1.0.0"}


def test_nothing_in_common(bench: Bench) -> None:
    bench.make(files(CONFIG, staging={"api": "1.0.0"}, production={"web": "1.0.0"}))
    document = told(bench, *GO)
    assert (document["status"], document["reason"]) == ("unchanged", "nothing-in-common")
    assert len(warned(document, "only-on-one-side")) == 2


def test_a_canary_is_not_guessed(two: Bench) -> None:
    canary = "kind: Rollout\nspec:\n  image: ghcr.io/acme/api:1.2.0\n"
    repos.commit_files(two.repo, {"envs/staging/canary/rollout.yaml": canary}, "Canary")
    document = refused(two, *GO, "--app", "api", code=4, reason="ambiguous-image")
    for place in (f"{file_of('staging')}:4", "envs/staging/canary/rollout.yaml:3", "1.1.0", "1.2.0"):
        assert place in document["error"]["message"]
    assert "--image ghcr.io/acme/api:TAG" in document["error"]["next"]
    # Without a name the others go on, here: nothing to do for web.
    document = told(two, *GO)
    assert (document["status"], len(warned(document, "ambiguous-image"))) == ("unchanged", 1)
    refused(two, *GO, *image("api", "1.3.0"), code=4, reason="image-not-found", says="1.2.0")
    assert told(two, *GO, *image("api", "1.2.0"))["status"] == "promoted"
    assert tags(two.repo, "production")["api"] == "1.2.0"


def test_filters(two: Bench) -> None:
    change(two.repo, "staging", web="2.1.0")
    document = told(two, *GO, "--app", "web", "--dry-run")
    assert (statuses(document), document["status"]) == ({"web": "planned"}, "planned")
    document = told(two, *GO, "--image", "ghcr.io/acme/api")
    assert statuses(document) == {"api": "promoted"}
    assert tags(two.repo, "production") == {"api": "1.1.0", "web": "2.0.0"}


@pytest.mark.parametrize(
    ("args", "code", "reason", "says"),
    [
        ((*GO, "--app", "apo"), 4, "image-not-found", "staging does not run apo"),
        ((*GO, "--image", "ghcr.io/acme/apo"), 4, "image-not-found", "ghcr.io/acme/apo"),
        ((*GO, "--image", "quay.io/acme/api"), 4, "image-not-found", "quay.io/acme/api"),
        (("promote", "staging", "staging"), 2, "usage", "staging"),
        (("promote", "stagin", "production"), 3, "configuration", "stagin"),
        (("promote", "staging", "prod"), 3, "configuration", "prod"),
        (("promote", "staging"), 2, "usage", "TO"),
        ((*GO, "--image", "ghcr.io/acme/api:-x"), 2, "invalid-reference", "--image"),
        ((*GO, "--pin", "--drop-digest"), 2, "usage", "exclude each other"),
        ((*GO, "--soaked"), 2, "usage", "soak"),
        ((*GO, "--override", " "), 2, "usage", "--override"),
        ((*GO, "--override", "late"), 6, "override", "production allows no override"),
        ((*GO, "--base", "nowhere"), 3, "no-such-branch", "nowhere"),
    ],
    ids=lambda value: " ".join(value[2:]) if isinstance(value, tuple) else None,
)
def test_bad_input(two: Bench, args: tuple[str, ...], code: int, reason: str, says: str) -> None:
    refused(two, *args, code=code, reason=reason, says=says)


def test_without_a_configuration(bench: Bench) -> None:
    refused(bench, *GO, code=3, reason="no-configuration")


# --- app by app ------------------------------------------------------------------------------


def test_one_app_does_not_stop_the_others(two: Bench) -> None:
    """Of four apps one is held, one is newer in production, one is the same and one moves."""
    change(two.repo, "staging", held="1.1.0", back="1.0.0")
    change(two.repo, "production", held="1.0.0", back="1.1.0")
    told(two, "hold", "production", "--app", "held", "--reason", "not yet", "--actor", "carol")
    document = told(two, *GO)
    assert (document["status"], document["error"]) == ("promoted", None)
    assert tags(two.repo, "production") == {"api": "1.1.0", "web": "2.0.0", "held": "1.0.0", "back": "1.1.0"}
    [held] = warned(document, "held")
    assert held.startswith("held is left: ")
    assert "held by carol" in held
    assert "not yet" in held
    [back] = warned(document, "downgrade")
    assert "back is left" in back
    assert statuses(document) == {
        "api": "promoted",
        "web": "unchanged",
        "held": "refused",
        "back": "refused",
    }
    # Named, each of them decides the exit code; alone or beside one that goes.
    refused(two, *GO, "--app", "held", code=6, reason="held", says="not yet")
    change(two.repo, "staging", api="1.2.0")
    refused(two, *GO, "--app", "back", "--app", "api", code=6, reason="downgrade", says="back")
    refused(
        two, *GO, "--app", "back", "--app", "api", "--publish", "pull-request", code=6, reason="downgrade"
    )


def test_all_refused_is_refused(two: Bench) -> None:
    change(two.repo, "production", api="1.2.0", web="2.1.0")
    document = refused(two, *GO, code=6, reason="downgrade")
    assert len(warned(document, "downgrade")) == 1  # the other one


def test_the_reason_is_that_of_the_apps_that_decided(two: Bench) -> None:
    """Not that of the first app, nor of one that is the same or left."""
    repos.commit_files(
        two.repo, {".promoter.yaml": config(staging="", production="publish: pull-request")}, "By proposal"
    )
    told(two, "bump", "--env", "production", *image("api", "1.2.0"))
    document = told(two, *GO)
    assert (document["status"], document["reason"]) == ("superseded", "newer-proposed")
    change(two.repo, "staging", web="2.1.0", zoo="1.0.0")
    change(two.repo, "production", zoo="1.1.0")
    document = told(two, *GO)
    assert (document["status"], document["reason"]) == ("proposed", "changed")
    assert statuses(document) == {"api": "superseded", "web": "proposed", "zoo": "refused"}
    assert warned(document, "downgrade") != []
    # Nothing moves, and what is left is no reason: the others are the same.
    change(two.repo, "staging", api="1.0.0", web="2.0.0")
    document = told(two, *GO)
    assert (document["status"], document["reason"]) == ("unchanged", "equal")


def test_an_older_version_takes_the_option(two: Bench) -> None:
    change(two.repo, "production", api="1.2.0")
    error = refused(two, *GO, "--app", "api", code=6, reason="downgrade")["error"]
    assert "--allow-downgrade" in error["message"] + error["next"]
    assert told(two, *GO, "--app", "api", "--allow-downgrade")["status"] == "promoted"
    assert tags(two.repo, "production")["api"] == "1.1.0"


def test_an_app_goes_whole_or_not_at_all(bench: Bench) -> None:
    apps = "apps: {shop: {images: [ghcr.io/acme/shop, ghcr.io/acme/shop-worker]}}\n"
    before = {"shop": "1.0.0", "shop-worker": "1.0.0"}
    bench.make(files(CONFIG + apps, staging={"shop": "1.1.0", "shop-worker": "0.9.0"}, production=before))
    refused(bench, *GO, code=6, reason="downgrade")
    change(bench.repo, "staging", **{"shop-worker": "1.1.0"})
    canary = "image: ghcr.io/acme/shop-worker:1.2.0\n"
    repos.commit_files(bench.repo, {"envs/staging/canary.yaml": canary}, "Canary")
    refused(bench, *GO, code=4, reason="ambiguous-image")
    repos.commit_files(bench.repo, {"envs/staging/canary.yaml": None}, "No canary")
    start = bench.tip or ""
    assert told(bench, *GO)["app"] == "shop"
    assert tags(bench.repo, "production") == {"shop": "1.1.0", "shop-worker": "1.1.0"}
    [commit] = new_commits(bench.repo, start)
    assert len(commit.trailers["Promoter-Image"]) == 2


def test_builds_of_one_app_that_differ_go_together(bench: Bench) -> None:
    """Two builds are two commits, since each has its own order; one that is refused stops the other."""
    apps = "apps: {shop: {images: [ghcr.io/acme/shop, ghcr.io/acme/shop-worker]}}\n"
    old = {"shop": "1.0.0", "shop-worker": "1.0.0"}
    bench.make(files(CONFIG + apps, staging=old, production=old))
    for name, number in (("shop", "7"), ("shop-worker", "8")):
        told(bench, "bump", "--env", "staging", *image(name, "1.1.0"), "--order", f"ci#{number}")
    change(bench.repo, "production", **{"shop-worker": "1.2.0"})
    refused(bench, *GO, code=6, reason="downgrade")
    change(bench.repo, "production", **{"shop-worker": "1.0.0"})
    start = bench.tip or ""
    told(bench, *GO)
    assert [one.trailers["Promoter-Order"] for one in new_commits(bench.repo, start)] == [["ci#7"], ["ci#8"]]


def test_nothing_to_promote(two: Bench) -> None:
    told(two, *GO)
    tip = two.tip
    document = told(two, *GO)
    assert (document["status"], document["reason"], two.tip) == ("unchanged", "equal", tip)
    assert set(statuses(document).values()) == {"unchanged"}
    text = two.run(*GO, "--manifest-repo", two.address)
    assert text.stdout.startswith("unchanged (equal)\n")


# --- what is told ----------------------------------------------------------------------------


def test_the_build_is_carried_over(two: Bench) -> None:
    build = ("--source", "1a2b3c4d" * 5, "--source-time", "2026-01-02T03:04:05+00:00", "--order", "ci#12")
    told(two, "bump", "--env", "staging", *image("api", "1.2.0"), *build, "--source-branch", "release/1")
    source = two.tip or ""
    who = ("--run-url", "https://ci.example/runs/9", "--actor", "alice")
    told(two, *GO, "--app", "api", *who)
    commit = repos.log(two.repo)[0]
    trailers = {key: values for key, values in commit.trailers.items() if key != "Promoter-Id"}
    assert trailers == {
        "Promoter-Environment": ["production"],
        "Promoter-App": ["api"],
        "Promoter-Image": ["ghcr.io/acme/api:1.2.0"],
        "Promoter-From": [f"staging {source}"],
        "Promoter-Source": ["1a2b3c4d" * 5],
        "Promoter-Source-Time": ["2026-01-02T03:04:05+00:00"],
        "Promoter-Source-Branch": ["release/1"],
        "Promoter-Order": ["ci#12"],
        "Promoter-Run": ["https://ci.example/runs/9"],
    }
    # A late job of an older build knows its place in production, too.
    late = told(two, "bump", "--env", "production", *image("api", "old-tag"), "--order", "ci#11")
    assert (late["status"], late["reason"]) == ("superseded", "older-build")


def test_the_build_of_another_image_is_not_carried_over(two: Bench) -> None:
    """A squash that holds a run's trailers changed another image besides."""
    squash = "\n".join(
        [
            "Update web and api (#7)\n",
            "Promoter-Id: 0123456789abcdef",
            "Promoter-Environment: staging",
            "Promoter-App: web",
            "Promoter-Image: ghcr.io/acme/web:2.1.0",
            f"Promoter-Source: {'1a2b3c4d' * 5}",
            "Promoter-Order: ci#12",
        ]
    )
    change(two.repo, "staging", squash, api="1.2.0", web="2.1.0")
    told(two, *GO)
    landed = {one.trailers["Promoter-App"][0]: one.trailers for one in repos.log(two.repo)[:2]}
    assert landed["web"]["Promoter-Source"] == ["1a2b3c4d" * 5]
    assert landed["web"]["Promoter-Order"] == ["ci#12"]
    assert not landed["api"].keys() & {"Promoter-Source", "Promoter-Order"}


def test_a_dry_run_shows_and_leaves_it(two: Bench) -> None:
    change(two.repo, "staging", web="2.1.0")
    tip = two.tip
    document = told(two, *GO, "--dry-run")
    assert (document["status"], statuses(document)) == ("planned", {"api": "planned", "web": "planned"})
    text = two.run(*GO, "--dry-run", "--manifest-repo", two.address)
    assert 'newTag: "1.1.0"' in text.stdout
    assert 'newTag: "2.1.0"' in text.stdout
    assert two.tip == tip


# --- by pull request: a branch where there is no forge -----------------------------------------


def test_by_pull_request(bench: Bench) -> None:
    by = "publish: pull-request"
    old = {"api": "1.0.0", "web": "1.0.0"}
    bench.make(
        files(config(staging="", production=by), staging={"api": "1.1.0", "web": "1.1.0"}, production=old)
    )
    tip = bench.tip
    document = told(bench, *GO)
    assert (document["status"], bench.tip) == ("proposed", tip)
    assert sorted(one["branch"] for one in document["pull_requests"]) == [
        "promoter/production/api",
        "promoter/production/web",
    ]
    assert tags(bench.repo, "production", "promoter/production/web") == old | {"web": "1.1.0"}
    again = told(bench, *GO)
    assert [one["operation"] for one in again["pull_requests"]] == ["unchanged", "unchanged"]


# --- several at once -------------------------------------------------------------------------


def test_promotes_and_bumps_at_once(bench: Bench) -> None:
    """Two promotes of five apps each way, and bumps of both environments: nothing lost, nothing backwards."""
    apps = [f"app-{number}" for number in range(5)]
    bench.make(
        files(CONFIG, staging=dict.fromkeys(apps, "1.1.0"), production=dict.fromkeys([*apps, "own"], "1.0.0"))
    )
    where = ("--manifest-repo", bench.address, "--output", "json")
    commands = [
        (*GO, *where),
        (*GO, *where),
        ("bump", "--env", "production", *image("own", "1.1.0"), *where),
        ("bump", "--env", "production", *image("app-0", "1.2.0"), *where),
        ("bump", "--env", "staging", *image("app-1", "1.3.0"), *where),
    ]
    running = [start_promoter(*command, env=bench.environment()) for command in commands]
    results = [finish(process) for process in running]
    assert [one.code for one in results[2:]] == [0, 0, 0], results
    # A promote that came after the newer app-0 lists it as left.
    assert [one.code for one in results[:2]] == [0, 0], results
    assert {json.loads(one.stdout)["status"] for one in results[:2]} <= {"promoted", "unchanged"}
    told(bench, *GO)
    expected = dict.fromkeys(apps, "1.1.0") | {"own": "1.1.0", "app-0": "1.2.0", "app-1": "1.3.0"}
    assert tags(bench.repo, "production") == expected
    for commit in repos.log(bench.repo)[:-1]:
        before, after = (
            {
                (place, app): tag
                for place in ("staging", "production")
                for app, tag in tags(bench.repo, place, rev).items()
            }
            for rev in (f"{commit.sha}~1", commit.sha)
        )
        moved = {key for key in after if after[key] != before[key]}
        assert {key[1] for key in moved} == set(commit.trailers["Promoter-App"])
        assert all(after[key] > before[key] for key in moved)
    repos.fsck(bench.repo)


def test_a_hold_elsewhere_is_no_hold_here(two: Bench) -> None:
    repos.commit_files(two.repo, {hold_of("staging", "api"): "reason: x\n"}, "Hold staging")
    assert told(two, *GO)["status"] == "promoted"
