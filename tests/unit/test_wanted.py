"""What a pull request wants: the options of its runs, its trailers, and two runs that want the same image."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promoter.decide import Policy
from promoter.errors import ConfigError
from promoter.intent import Intent, Origin, Request
from promoter.message import commit_message
from promoter.options import BumpOptions, Style
from promoter.proposal.inert import JOINER
from promoter.proposal.merging import merge
from promoter.proposal.wanted import (
    Wanted,
    apply_options,
    options_for,
    options_of,
    trailers_for,
    trailers_of,
    wanted_from_trailers,
)
from tests.unit.proposals import EVIL_TEXT, IMAGES, ORIGIN, TIMES, build, want

PLAIN = BumpOptions(Request(()), Origin(), Style(), Policy())

# --- options -------------------------------------------------------------------------------

EACH = {
    "pin": replace(PLAIN, style=Style(pin=True)),
    "drop-digest": replace(PLAIN, style=Style(drop_digest=True)),
    "allow-downgrade": replace(PLAIN, policy=Policy(allow_downgrade=True)),
    "again": replace(PLAIN, policy=Policy(again=True)),
    "create": replace(PLAIN, create=True),
    "only-marked": replace(PLAIN, only_marked=True),
    "strict": replace(PLAIN, strict=True),
    "match=anywhere": replace(PLAIN, anywhere=True),
    "missing=skip": replace(PLAIN, skip_missing=True),
    "marker=flux-system:api": replace(PLAIN, marker="flux-system:api"),
    "current=1.4.*": replace(PLAIN, current=("1.4.*",)),
    "exclude=a=b/**": replace(PLAIN, exclude=("a=b/**",)),
}


@pytest.mark.parametrize("name", EACH)
def test_each_option(name: str) -> None:
    assert options_of(EACH[name]) == (name,)
    assert apply_options(PLAIN, (name,)) == EACH[name]
    assert apply_options(EACH[name], ()) == PLAIN


def test_defaults_say_nothing() -> None:
    elsewhere = replace(
        PLAIN,
        environment="staging",
        base="main",
        dry_run=True,
        policy=Policy(strict_order=True, order="semver"),
    )
    assert options_of(elsewhere) == ()
    assert apply_options(elsewhere, ()) == elsewhere


OPTIONS = st.builds(
    BumpOptions,
    request=st.just(Request(())),
    origin=st.just(Origin()),
    style=st.builds(Style, st.booleans(), st.booleans()),
    policy=st.builds(Policy, allow_downgrade=st.booleans(), again=st.booleans()),
    current=st.lists(st.text()).map(tuple),
    exclude=st.lists(st.text()).map(tuple),
    skip_missing=st.booleans(),
    strict=st.booleans(),
    marker=st.none() | st.text(),
    anywhere=st.booleans(),
    create=st.booleans(),
    only_marked=st.booleans(),
)


@given(OPTIONS, OPTIONS)
def test_options_come_back(options: BumpOptions, other: BumpOptions) -> None:
    assert apply_options(other, options_of(options)) == options


@pytest.mark.parametrize("name", ["publish=push", "pins", "pin=", "match=nowhere", "", "current"])
def test_an_option_of_another_version_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="does not know") as caught:
        apply_options(PLAIN, ("pin", name))
    assert caught.value.reason == "unknown-option"
    assert caught.value.next_step


def test_the_options_of_a_run() -> None:
    template = replace(PLAIN, environment="staging", base="main", strict=True)
    group = [want("a/api:1", ORIGIN, "shop", "r1", "pin"), want("a/web:2", ORIGIN, "shop", "r1", "pin")]
    options = options_for(template, group)
    assert options.request == Request((group[0].image, group[1].image), "shop")
    assert (options.environment, options.base, options.origin) == ("staging", "main", ORIGIN)
    assert (options.style, options.strict) == (Style(pin=True), False)


# --- trailers ------------------------------------------------------------------------------

ORIGINS = st.builds(
    Origin,
    revision=st.none() | st.sampled_from(["a1b2c3d4" * 5, "v1.0", "fixes", "x#1"]),
    source_time=st.none() | TIMES,
    order=st.none()
    | st.tuples(
        st.sampled_from(["github:acme/api:ci.yml", "jenkins:a/b%2Fc", "gitlab:acme/api:pipeline"]),
        st.integers(0, 10**17),
    ),
    run_url=st.none() | st.sampled_from(["https://ci.example/1", "https://ci.example/job/a%2Fb/1?x=1&y=~z"]),
)
WANTED = st.builds(
    Wanted,
    IMAGES,
    st.sampled_from(["api", "web", "Fixes", "a.b_c-d"]),
    ORIGINS,
    st.sampled_from(["0123456789abcdef", "fedcba9876543210"]),
    st.lists(
        st.sampled_from(
            ["pin", "match=anywhere", "current=1.*", "exclude=**/~a/@b/[c]*", "marker=flux-system:api"]
        )
    ).map(tuple),
)


@given(st.lists(WANTED, max_size=5))
def test_trailers_come_back(wanted: list[Wanted]) -> None:
    pairs = trailers_of("production", wanted)
    assert all("\n" not in value for _, value in pairs)
    runs = {(one.promoter_id, one.app, one.origin, one.options) for one in wanted}
    assert len([key for key, _ in pairs if key == "Promoter-Id"]) == len(runs)
    found = wanted_from_trailers(pairs)
    assert Counter(found) == Counter(wanted)


def test_a_commit_of_one_run() -> None:
    images = [want("ghcr.io/acme/api:1.4.2"), want("ghcr.io/acme/worker:1.4.2", ORIGIN, "api")]
    origin = replace(ORIGIN, actor=None, author=None)
    wanted = tuple(replace(one, origin=origin, options=("pin", "current=1.4.*")) for one in images)
    intent = Intent("production", "api", tuple(one.image for one in images), ORIGIN)
    message = commit_message(None, intent, [], "r1", ("pin", "current=1.4.*"))
    lines = message.rpartition("\n\n")[2].splitlines()
    pairs = [(key, value) for key, _, value in (line.partition(": ") for line in lines)]
    assert [value for key, value in pairs if key == "Promoter-Option"] == ["pin", "current=1.4.*"]
    assert wanted_from_trailers([("Signed-off-by", "x"), *pairs]) == wanted


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("Promoter-Image", "ghcr.io/acme/api:1")],  # of no run
        [("Promoter-Id", "r1")],
        [("Promoter-Id", "r1"), ("Promoter-Image", "not an image")],
        [("Promoter-Id", "r1"), ("Promoter-Image", "ghcr.io/acme/api")],
    ],
)
def test_trailers_that_want_nothing(pairs: list[tuple[str, str]]) -> None:
    assert wanted_from_trailers(pairs) == ()


def test_a_squash_of_several_runs_tells_each_image_its_own() -> None:
    api, web = (
        want("ghcr.io/acme/api:1", build(7, "api")),
        want("ghcr.io/acme/web:2", build(9, "web"), "", "r2"),
    )
    both = trailers_of("production", [api, web])
    assert trailers_for(both, api.image)["Promoter-Order"] == "api#7"
    assert trailers_for(both, replace(web.image, tag="1"))["Promoter-Order"] == "web#9"
    assert trailers_for(both, want("ghcr.io/acme/job:1").image) == {}
    alone = trailers_of("production", [api])
    assert trailers_for(alone, web.image) == {}
    assert trailers_for([("Signed-off-by", "x")], api.image) == {}


def test_trailers_that_make_no_sense_are_passed_over() -> None:
    pairs = [
        ("Promoter-Id", "r1"),
        ("Promoter-Image", "ghcr.io/acme/api:1"),
        ("Promoter-Order", "ci#many"),
        ("Promoter-Source-Time", "2026-01-01 12:00"),
    ]
    assert wanted_from_trailers(pairs) == (want("ghcr.io/acme/api:1", Origin()),)


@given(EVIL_TEXT, EVIL_TEXT)
def test_no_value_makes_a_trailer_or_calls_somebody(text: str, option: str) -> None:
    origin = Origin(revision=text or None, order=(text, 1), run_url=text or None)
    pairs = trailers_of(text, [want("ghcr.io/acme/api:1", origin, text, "r1", option)])
    assert all(len(value.splitlines()) <= 1 for _, value in pairs)
    for key, value in pairs:
        line = f"{key}: {value}"
        assert not re.search(r"(?<![A-Za-z0-9])@[\w-]|(?i:fixes|closes|resolves:) +\S*#|<!--", line)
        assert all(one.isprintable() or one == JOINER for one in line)


# --- two runs that want the same image -----------------------------------------------------

API = "ghcr.io/acme/api"


@pytest.mark.parametrize(
    ("present", "ours", "wins"),
    [
        (("1.4.1", Origin()), ("1.4.2", Origin()), "ours"),
        (("1.4.2", Origin()), ("1.4.1", Origin()), "superseded"),
        (("1.4.2", build(7)), ("1.4.1", build(6)), "superseded"),
        (("1.4.2", build(7)), ("1.4.1", build(8)), "refused"),  # a hotfix line
        (("aaaaaaa", build(7)), ("bbbbbbb", build(8)), "ours"),
        (("aaaaaaa", build(7)), ("bbbbbbb", build(6)), "superseded"),
        (("aaaaaaa", build(7)), ("bbbbbbb", build(6, "other")), "ours"),  # nobody knows
        (("aaaaaaa", Origin()), ("bbbbbbb", Origin()), "ours"),
        (("aaaaaaa", build(7)), ("aaaaaaa", build(8)), "present"),
        (("1.4.2@sha256:" + "a" * 64, build(7)), ("1.4.2@sha256:" + "b" * 64, build(8)), "ours"),
        (("1.4.2@sha256:" + "a" * 64, build(7)), ("1.4.2@sha256:" + "b" * 64, build(6)), "superseded"),
    ],
)
def test_the_newer_wins(present: tuple[str, Origin], ours: tuple[str, Origin], wins: str) -> None:
    there, mine = (
        want(f"{API}:{tag}", origin, run=run) for (tag, origin), run in ((present, "r1"), (ours, "r2"))
    )
    merged = merge([there], [mine])
    assert merged.wanted == ((mine,) if wins == "ours" else (there,))
    assert merged.superseded == ((mine,) if wins == "superseded" else ())
    assert [one for one, _, _ in merged.refused] == ([mine] if wins == "refused" else [])
    assert all("--allow-downgrade" in why for _, why, _ in merged.refused)


def test_source_times_order_where_runs_do_not() -> None:
    def built(hour: int) -> Origin:
        return Origin(source_time=datetime(2026, 1, 1, hour, tzinfo=UTC))

    old, new = want(f"{API}:aaaaaaa", built(1)), want(f"{API}:bbbbbbb", built(2))
    assert merge([old], [new]).wanted == (new,)
    assert merge([new], [old]) == merge([new], [old], lambda _: Policy())
    assert merge([new], [old]).superseded == (old,)


def test_options_and_configuration_rule_the_order() -> None:
    new, old = want(f"{API}:1.4.2", build(7)), want(f"{API}:1.4.1", build(8), "", "r2", "allow-downgrade")
    assert merge([new], [old]).wanted == (old,)
    late = want(f"{API}:1.4.1", build(6))
    assert merge([new], [late], lambda _: Policy(order="none")).wanted == (late,)


def test_images_keep_their_places() -> None:
    present = [want(f"ghcr.io/acme/{name}:1.0.0") for name in ("a", "b", "c")]
    ours = [want("ghcr.io/acme/d:1.0.0"), want("ghcr.io/acme/b:1.1.0")]
    names = [str(one.image) for one in merge(present, ours).wanted]
    assert names == [f"ghcr.io/acme/{name}" for name in ("a:1.0.0", "b:1.1.0", "c:1.0.0", "d:1.0.0")]
    assert merge(present, []).wanted == tuple(present)
    assert merge([], ours).wanted == tuple(ours)


def test_spellings_of_one_image_are_one() -> None:
    assert len(merge([want("docker.io/library/nginx:1.0")], [want("nginx:1.1")]).wanted) == 1


def test_what_runs_picked_by_marker_or_tag_stands_side_by_side() -> None:
    eu = want(f"{API}:1.4.2", ORIGIN, "", "r1", "marker=flux-system:eu")
    us = want(f"{API}:1.3.9", ORIGIN, "", "r2", "marker=flux-system:us")
    assert merge([eu], [us]).wanted == (eu, us)
    newer = replace(us, image=replace(us.image, tag="1.4.0"))
    assert merge([eu, us], [newer]).wanted == (eu, newer)
    line = want(f"{API}:1.3.9", ORIGIN, "", "r3", "current=1.3.*", "pin")
    assert merge([eu], [line]).wanted == (eu, line)


@given(st.lists(WANTED, max_size=4), st.lists(WANTED, max_size=4))
def test_merging_again_changes_nothing(present: list[Wanted], ours: list[Wanted]) -> None:
    once = merge(present, ours)
    slots = [one.slot for one in once.wanted]
    assert len(slots) == len(set(slots))
    assert set(slots) == {one.slot for one in (*present, *ours)}
    again = merge(once.wanted, once.wanted)
    assert again.wanted == once.wanted
    assert again.superseded == ()
