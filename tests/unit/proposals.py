"""Data of proposals for several tests: strategies, and one of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from promoter.image import ImageReference, parse_reference
from promoter.intent import Origin
from promoter.proposal.wanted import Wanted

ORIGIN = Origin(
    revision="a1b2c3d4" * 5,
    source_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    order=("github:acme/api:.github/workflows/build.yml", 12),
    run_url="https://github.com/acme/api/actions/runs/987",
    actor="alice",
    author="alice <alice@users.noreply.github.com>",
)


def want(image: str, origin: Origin = ORIGIN, app: str = "", run: str = "r1", *options: str) -> Wanted:
    reference = parse_reference(image)
    return Wanted(reference, app or reference.last_component, origin, run, options)


def build(number: int, namespace: str = "ci", **more: object) -> Origin:
    return Origin(order=(namespace, number), **more)  # type: ignore[arg-type]  # what the test gives


NAMES = st.sampled_from(
    ["api", "ghcr.io/acme/api", "localhost:5000/a/b__c", "[2001:db8::1]:80/x", "ghcr.io/acme/web"]
)
TAGS = st.sampled_from(
    [
        "1.4.2",
        "v1.4.10",
        "1.5.0-rc.1",
        "latest",
        "main-abc1234",
        "20260102",
        "x-",
        "x.",
        "_",
        "fix-12",
        "A" * 128,
    ]
)
DIGESTS = st.sampled_from(["sha256:" + "a" * 64, "sha512:" + "0f" * 64])
IMAGES = st.one_of(
    st.builds(ImageReference, NAMES, TAGS),
    st.builds(ImageReference, NAMES, TAGS, DIGESTS),
    st.builds(ImageReference, NAMES, st.none(), DIGESTS),
)
TIMES = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
)


# What people who wish others no good write into names, messages and paths.
EVIL = [
    "@alice",
    "(@acme/sre)",
    "@all",
    "fixes #12",
    "Closes acme/x#3",
    "Resolves: #4, #5 and !6",
    "closing issues https://gitlab.example/acme/x/-/issues/7",
    "fix",
    "implements PROJ-12",
    "reopens #3",
    "#12",
    "acme/x#3",
    "!12",
    "%v1",
    '~"a label"',
    "$1",
    "&1",
    "^alert#1",
    "[issue:12]",
    "/merge",
    "/close\n/merge",
    "https://evil.example/x",
    "www.evil.example",
    "ftp://evil.example",
    "bob@evil.example",
    "![x](https://evil.example/x.png)",
    "[x](//evil.example)",
    "[x]: https://evil.example",
    "[[Home|https://evil.example]]",
    "<img src=//evil.example>",
    "<b>",
    "<!-- promoter: {} -->",
    "<!--",
    "-->",
    "</details>",
    "a|b",
    "a\\|b",
    "a\\",
    "|",
    "`",
    "``x`",
    "`@alice`",
    "```\n@alice",
    "~~~",
    "a\nb",
    "a\r\n\r\n/merge",
    "---",
    "# heading",
    "- item",
    "> quote",
    "**bold**",
    "&#64;alice",
    "\\@alice",
    "\u202egnp.exe",
    "\u2028/merge",
    "\x1b[31m",
    "\u2060",
    "[skip ci]",
    "[ci skip]",
    "deadbee1",
    "a" * 2000,
    " ",
    "",
    "{changes}",
    "é 環境 \U0001f600",
]
EVIL_TEXT = st.lists(st.sampled_from(EVIL) | st.text(max_size=5), max_size=4).map("".join)
