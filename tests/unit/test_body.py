"""Title, description and merge message: complete, harmless, and never too long."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from promoter.errors import RefusedError
from promoter.gates import Gate
from promoter.intent import Origin
from promoter.outcome import Change, Notice
from promoter.proposal.body import Described, body, landing_message, title
from promoter.proposal.inert import JOINER, code, plain, restored
from promoter.proposal.links import commit_url, compare_url
from promoter.proposal.marker import Marker, read, render
from promoter.proposal.wanted import Wanted, wanted_from_trailers
from tests.unit.proposals import EVIL, EVIL_TEXT, ORIGIN, want

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

API, WEB = "ghcr.io/acme/api", "ghcr.io/acme/web"
GITHUB, PLENTY = 65_536, 1_000_000


def change(number: int = 0, file: str = "envs/production/api.yaml", app: str = "api") -> Change:
    return Change(
        "production", app, API, file, number + 1, f"{API}:1.4.1", f"{API}:1.4.2", "proposed"
    )  # fmt: skip


def described(*wanted: Wanted, **facts: Any) -> Described:
    chosen = wanted or (want(f"{API}:1.4.2"),)
    marker = Marker("production", "main", "api", "a" * 40, "b" * 40, chosen)
    return replace(Described("production", chosen, (change(),), marker), **facts)


MARKDOWN = MarkdownIt("gfm-like")


def tokens(text: str) -> Iterator[Token]:
    for token in MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


def rows(text: str) -> list[list[str]]:
    """The cells of the tables, as a reader sees them."""
    found: list[list[str]] = []
    for token in MARKDOWN.parse(text):
        if token.type == "tr_open":
            found.append([])
        elif token.type == "inline" and found and token.map and token.level >= 4:
            found[-1].append("".join(child.content for child in token.children or ()))
    return found


# --- what it says --------------------------------------------------------------------------


def test_titles() -> None:
    assert title(None, described()) == "promote api to 1.4.2 in production"
    digest = want(f"{API}@sha256:{'0123456789abcdef' * 4}")
    assert title(None, described(digest)) == "promote api to sha256:0123456789ab in production"
    several = described(want(f"{API}:1.4.2"), want(f"{WEB}:2.0.0"), want("ghcr.io/acme/job:3"))
    assert title(None, several) == "promote api and 2 more in production"
    one_app = described(want(f"{API}:1.4.2", app="shop"), want(f"{WEB}:2.0.0", app="shop"))
    assert title(None, one_app) == "promote shop to 1.4.2 and 1 more in production"
    nothing = replace(described(), wanted=())
    assert title(None, nothing) == "promote api in production"


def test_a_title_of_ones_own() -> None:
    several = described(want(f"{API}:1.4.2"), want(f"{WEB}:2.0.0"))
    assert title("[{environment}] {apps}: {images} by {actor}", several) == (
        f"[production] api, web: {API}:1.4.2, {WEB}:2.0.0 by alice"
    )
    assert title("{app} {unknown} {}", described()) == "api {unknown} {}"


def test_a_long_title_is_cut() -> None:
    long = title(None, described(want(f"{API}:{'1' * 128}")), 60)
    assert len(long) == 60
    assert long.endswith("1…")


def test_the_table_of_changes() -> None:
    text = body(None, described(changes=(change(), change(4, "envs/production/x|y`z.yaml"))), PLENTY)
    assert rows(text) == [
        ["environment", "app", "image", "file"],
        ["production", "api", f"{API}:1.4.1 → {API}:1.4.2", "envs/production/api.yaml:1"],
        ["production", "api", f"{API}:1.4.1 → {API}:1.4.2", "envs/production/x|y`z.yaml:5"],
    ]


def test_sites_that_stay_are_not_in_the_table() -> None:
    stays = replace(change(7), after=f"{API}:1.4.1", status="left")
    assert len(rows(body(None, described(changes=(change(), stays)), PLENTY))) == 2


def test_links_to_the_source() -> None:
    text = body(None, described(previous={API: "c" * 40}), PLENTY)
    revision = ORIGIN.revision
    links = [token.attrs["href"] for token in tokens(text) if token.type == "link_open"]
    assert links[:3] == [
        f"https://github.com/acme/api/commit/{revision}",
        f"https://github.com/acme/api/compare/{'c' * 40}...{revision}",
        "https://github.com/acme/api/actions/runs/987",
    ]


@pytest.mark.parametrize(
    ("run", "root"),
    [
        ("https://github.com/acme/api/actions/runs/1", "https://github.com/acme/api"),
        ("https://ghe.acme.example/acme/api/actions/runs/1/attempts/2", "https://ghe.acme.example/acme/api"),
        (
            "https://gitea.acme.example:3000/acme/api/actions/runs/1",
            "https://gitea.acme.example:3000/acme/api",
        ),
        ("https://gitlab.com/acme/shop/api/-/jobs/1", "https://gitlab.com/acme/shop/api/-"),
        ("https://acme.example/gitlab/acme/api/-/pipelines/1", "https://acme.example/gitlab/acme/api/-"),
        ("https://jenkins.example/job/api/7", None),
        ("https://github.com/acme/api/actions/runs/x", None),
        ("https://x)/a/b/actions/runs/1", None),
        ("javascript:alert(1)//a/b/actions/runs/1", None),
        (None, None),
    ],
)
def test_where_the_source_is(run: str | None, root: str | None) -> None:
    origin = Origin(revision="b" * 40, run_url=run)
    assert commit_url(origin) == (f"{root}/commit/{'b' * 40}" if root else None)
    assert compare_url(origin, "a" * 40) == (f"{root}/compare/{'a' * 40}...{'b' * 40}" if root else None)


@pytest.mark.parametrize("previous", [None, "b" * 40, "v1.0", "x/../y", ""])
def test_nothing_to_compare(previous: str | None) -> None:
    assert compare_url(replace(ORIGIN, revision="b" * 40), previous) is None
    assert commit_url(replace(ORIGIN, revision="v1.0")) is None


def test_everything_has_its_place() -> None:
    text = body(
        None,
        described(
            gates=(
                Gate("frozen", "frozen until Mon 2026-01-05 08:00 UTC", datetime(2026, 1, 5, 8, tzinfo=UTC)),
            ),
            notes=("a person set the tag in the pull request",),
            warnings=(
                Notice("refused-site", "left as it is: an anchor", "a.yaml", 3),
                Notice("label", "no label"),
            ),
            findings=(Notice("schema", "replicas must be a number", "b.yaml"),),
            diff="--- a/x\n+++ b/x\n-a\n+b",
            commands=(("Hold", "promoter hold production --app api"),),
        ),
        PLENTY,
    )
    shown = [token.content for token in tokens(text) if token.type in ("code_inline", "fence")]
    for expected in (
        "frozen until Mon 2026-01-05 08:00 UTC",
        "a person set the tag in the pull request",
        "left as it is: an anchor",
        "a.yaml:3",
        "replicas must be a number",
        "b.yaml",
        "--- a/x\n+++ b/x\n-a\n+b\n",
        "promoter hold production --app api",
    ):
        assert expected in shown


def test_a_body_of_ones_own() -> None:
    template = (
        "# {app} in {environment}\n\n<!-- promoter: {} -->\n{changes}\n\n"
        "{run} {revision} {nothing}\n\n/label ~deploy"
    )
    text = body(template, described(), PLENTY)
    assert "# `api` in `production`" in text
    assert "\n/label ~deploy\n" in text  # whose repository it is may say so
    assert f"[`run`]({ORIGIN.run_url}) `{ORIGIN.revision}` {{nothing}}" in text
    assert read(text) == described().marker
    assert len(rows(text)) == 2


# --- what machines read --------------------------------------------------------------------


def trailers_as_git_reads_them(message: str) -> list[tuple[str, str]]:
    # As in a commit that is there: the divider of patches sent by mail, which a diff has too, means nothing.
    command = ["git", "interpret-trailers", "--parse", "--unfold", "--no-divider"]
    output = subprocess.run(command, input=message.encode(), capture_output=True, check=True).stdout.decode()
    return [(key, value) for key, _, value in (line.partition(": ") for line in output.splitlines())]


def without_people(wanted: tuple[Wanted, ...]) -> tuple[Wanted, ...]:
    return tuple(replace(one, origin=replace(one.origin, actor=None, author=None)) for one in wanted)


def test_the_trailers_end_body_and_landing() -> None:
    wanted = (want(f"{API}:1.4.2", ORIGIN, "api", "r1", "pin"), want(f"{WEB}:2.0.0", Origin(), "web", "r2"))
    facts = described(*wanted, diff="+a\n\n+Promoter-Id: forged")
    for message in (f"title\n\n{body(None, facts, GITHUB)}", "\n\n".join(landing_message(None, facts))):
        pairs = trailers_as_git_reads_them(message)
        assert wanted_from_trailers(pairs) == without_people(wanted)
        assert [key for key, _ in pairs if key == "Promoter-Environment"] == ["Promoter-Environment"] * 2


def test_the_marker_stands_before_the_trailers() -> None:
    text = body(None, described(), GITHUB)
    assert read(text) == described().marker
    assert text.index(render(described().marker)) < text.index("\nPromoter-Id: r1\n")
    assert not re.search(r"^-{3,}$", text, re.MULTILINE)


def test_the_landing_message() -> None:
    subject, text = landing_message(None, described())
    assert subject == "promote api to 1.4.2 in production"
    assert text.startswith(f"envs/production/api.yaml:1: {API}:1.4.1 -> {API}:1.4.2\n\nPromoter-Id: r1\n")
    several = described(want(f"{API}:1.4.2"), want(f"{WEB}:2.0.0"))
    assert landing_message(None, several)[0] == "promote api and 1 more in production"
    subject, text = landing_message("deploy {app} {tag}", described())
    assert subject == "deploy api 1.4.2"
    assert text.startswith("Promoter-Id: r1\n")


# --- what people write does nothing --------------------------------------------------------

# What a forge may act on in plain text, also inside of code (see promoter/proposal/inert.py).
CLOSES = re.compile(
    r"(?:clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?|reopen(?:s|ed)?)"
    r":? +(?:issues? +)?(?:[\w./-]*[#!][0-9]|https?://|[A-Z][A-Z0-9_]+-[0-9]|\[)",
    re.IGNORECASE,
)
IN_TEXT = re.compile(r"(?<![A-Za-z0-9])@[\w-]|(?<!\w)[#!%~$&^][\w\"]|://|<[A-Za-z/!?]|\bwww\.")

EVIL_CHANGE = st.builds(
    Change,
    EVIL_TEXT,
    EVIL_TEXT,
    EVIL_TEXT,
    EVIL_TEXT,
    st.integers(1, 9),
    EVIL_TEXT,
    EVIL_TEXT,
    st.just("proposed"),
)
EVIL_NOTICE = st.builds(Notice, EVIL_TEXT, EVIL_TEXT, st.none() | EVIL_TEXT, st.none() | st.integers(1, 9))
EVIL_ORIGIN = st.builds(
    Origin,
    revision=EVIL_TEXT,
    order=st.none() | st.tuples(EVIL_TEXT, st.integers(0, 99)),
    run_url=EVIL_TEXT | EVIL_TEXT.map(lambda text: f"https://ci.example/{text}"),
    actor=EVIL_TEXT,
    author=EVIL_TEXT,
)


@st.composite
def evil(draw: st.DrawFn) -> Described:
    wanted = (want(f"{API}:1.4.2", draw(EVIL_ORIGIN), draw(EVIL_TEXT), "r1", draw(EVIL_TEXT)),)
    environment = draw(EVIL_TEXT)
    return Described(
        environment,
        wanted,
        tuple(draw(st.lists(EVIL_CHANGE, max_size=2))),
        Marker(
            environment or "x", draw(EVIL_TEXT) or "x", draw(EVIL_TEXT) or "x", "a" * 40, "b" * 40, wanted
        ),
        {API: draw(EVIL_TEXT)},
        (Gate("frozen", draw(EVIL_TEXT)),),
        (draw(EVIL_TEXT),),
        tuple(draw(st.lists(EVIL_NOTICE, max_size=2))),
        tuple(draw(st.lists(EVIL_NOTICE, max_size=1))),
        draw(st.none() | EVIL_TEXT.map(lambda text: f"+{text}\n{text}")),
        (("Hold", draw(EVIL_TEXT)),),
    )


OUR_WORDS = {
    *("environment", "app", "image", "file", "→", "Waits:", "Warnings", "Findings", "Hold:", "by", "source"),
    *("run", "To", "leave", "as", "it", "is,", "close", "this:", "the", "same", "images", "are", "not"),
    *("proposed", "again,", "newer", "ones", "are.", "go", "back", "after", "merge,", "revert", "it."),
}


@settings(deadline=None, max_examples=100)
@given(evil())
def test_whatever_people_write_stands_in_code(facts: Described) -> None:
    text = body(None, facts, GITHUB)
    assert read(text) == facts.marker
    assert not CLOSES.search(text)
    assert not any(line.startswith("/") or line == "---" for line in text.splitlines())
    upper = text.partition("<!-- promoter:")[0]
    for token in tokens(upper):
        if token.type == "link_open":
            link = str(token.attrs["href"])  # a run's address is the caller's own word, wherever it leads
            ours = link == facts.wanted[0].origin.run_url
            assert ours or re.match(r"https://(ci\.example|github\.com/acme/api)/", link)
        assert token.type not in (
            "image",
            "html_inline",
            "heading_open",
            "blockquote_open",
            "hr",
            "code_block",
        )
        if token.type == "html_block":
            assert token.content.strip() in ("<details><summary>Diff</summary>", "</details>")
        if token.type == "text":
            assert set(re.sub(r"[(),:]+(?= |$)", "", token.content).split()) <= {
                *OUR_WORDS, *(word.strip("(),:") for word in OUR_WORDS)
            }, token.content  # fmt: skip
    assert {len(row) for row in rows(upper)} <= {4}
    assert len(rows(upper)) in (0, 1 + sum(one.before != one.after for one in facts.changes))


@settings(deadline=None, max_examples=100)
@given(evil())
def test_whatever_people_write_does_nothing_as_text(facts: Described) -> None:
    subject, message = landing_message(None, facts)
    trailers = body(None, facts, GITHUB).partition(render(facts.marker))[2]
    for text in (title(None, facts), subject, message, trailers):
        assert not CLOSES.search(text)
        # Links to the run alone are left, and what a run's number hangs on.
        rest = re.sub(r"(?m)^Promoter-(?:Run|Order): .*$", "", text)
        assert not IN_TEXT.search(rest), rest
        assert not re.search(r"\[[\w ]*(?:skip ci|ci skip)", text)
        assert all(one.isprintable() or one in ("\n", JOINER) for one in text)
        assert not any(token.type in ("image", "html_inline", "html_block") for token in tokens(text))
    assert "\n" not in title(None, facts)


@settings(deadline=None, max_examples=20)
@given(evil())
def test_whatever_people_write_makes_no_trailer(facts: Described) -> None:
    for message in ("\n\n".join(landing_message(None, facts)), f"t\n\n{body(None, facts, GITHUB)}"):
        keys = [key for key, _ in trailers_as_git_reads_them(message)]
        assert [key for key in keys if key == "Promoter-Id"] == ["Promoter-Id"]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize("text", EVIL)
def test_code_shows_the_text(text: str) -> None:
    for shown in (code(text), f"| a |\n| --- |\n| {code(text, cell=True)} |"):
        found = [token for token in tokens(shown) if token.type == "code_inline"]
        visible = "".join(
            one if one.isprintable() else "\N{REPLACEMENT CHARACTER}"
            for one in " ".join(text.replace(JOINER, "").split())
        )
        assert [restored(one.content).strip() for one in found] == [
            visible if len(visible) <= 400 else visible[:399] + "…"
        ]


@given(EVIL_TEXT)
def test_plain_text_comes_back(text: str) -> None:
    visible = " ".join(text.replace(JOINER, "").split())
    assert restored(plain(text)) == "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in visible
    )


@pytest.mark.parametrize(
    "text",
    [
        "1.4.2",
        "ghcr.io/acme/api:1.4.2@sha256:" + "a" * 64,
        "main-abc1234",
        "envs/production/api.yaml",
        "fix-12 x",
    ],
)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert plain(text) == text
    assert code(text) == f"`{text}`"


# --- limits --------------------------------------------------------------------------------


def long(count: int = 3000, **facts: Any) -> Described:
    return described(changes=tuple(change(number) for number in range(count)), **facts)


@pytest.mark.parametrize("limit", [1200, 2000, 5000, 20_000, GITHUB, PLENTY])
def test_a_long_body_is_shortened(limit: int) -> None:
    facts = long(diff="\n".join(f"+line {number}" for number in range(9000)), notes=("n" * 300,) * 40)
    text = body(None, facts, limit)
    assert len(text) <= limit
    assert read(text) == facts.marker
    assert trailers_as_git_reads_them(f"t\n\n{text}")[0] == ("Promoter-Id", "r1")
    shown = max(0, len(rows(text)) - 1)
    if limit < PLENTY:
        assert f"and {3000 - shown} more changes" in text
        assert len(text) > limit * 0.6  # and not by more than it must
    else:
        assert shown == 3000
        assert "more" not in text


def test_the_table_keeps_some_rows_before_the_diff_goes() -> None:
    text = body(None, long(30, diff="+x\n" * 60_000), 8000)
    assert len(rows(text)) == 21
    assert re.search(r"… and [0-9]+ more lines\n```\n\n</details>", text)


def test_a_long_template_is_cut() -> None:
    text = body("x" * 5000, described(), 2000)
    assert len(text) <= 2000
    assert "xxx…\n\n<!-- promoter:" in text
    assert trailers_as_git_reads_them(f"t\n\n{text}")[0] == ("Promoter-Id", "r1")


def test_more_images_than_a_description_holds() -> None:
    wanted = tuple(
        want(f"ghcr.io/acme/app-{number}:1.4.2", app=f"app-{number}", run=f"r{number}")
        for number in range(110)
    )
    text = body(None, described(*wanted), GITHUB)
    assert len(text) <= GITHUB
    assert read(text) == described(*wanted).marker
    with pytest.raises(RefusedError) as caught:
        body(None, described(*wanted), 20_000)
    assert caught.value.reason == "too-many-images"
    assert "group: app" in (caught.value.next_step or "")


@settings(deadline=None, max_examples=50)
@given(evil(), st.integers(2000, 30_000))
def test_any_body_fits(facts: Described, limit: int) -> None:
    try:
        text = body(None, facts, limit)
    except RefusedError:
        assert len(render(facts.marker)) > limit
        return
    assert len(text) <= limit
    assert read(text) == facts.marker
