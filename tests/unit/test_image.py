"""Image references: the grammar, the equality of names, and what the messages say."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from promoter.errors import UsageError
from promoter.image import (
    MAX_NAME,
    MAX_TAG,
    ImageReference,
    InvalidReferenceError,
    looks_like_reference,
    parse_digest,
    parse_name,
    parse_reference,
    parse_tag,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
SHA256 = "sha256:" + "0123456789abcdef" * 4
SHA384 = "sha384:" + "0123456789abcdef" * 6
SHA512 = "sha512:" + "0123456789abcdef" * 8
OTHER = "blake3+b.x_y-z:" + "0aF9" * 8
HEX64 = "0123456789abcdef" * 4

PARSED: list[tuple[str, str, str | None, str | None]] = [
    ("nginx", "nginx", None, None),
    ("nginx:1.27", "nginx", "1.27", None),
    (f"nginx@{SHA256}", "nginx", None, SHA256),
    (f"nginx:1.27@{SHA256}", "nginx", "1.27", SHA256),
    (f"nginx@{SHA384}", "nginx", None, SHA384),
    (f"nginx@{SHA512}", "nginx", None, SHA512),
    (f"nginx@{OTHER}", "nginx", None, OTHER),
    ("docker.io/library/nginx:1", "docker.io/library/nginx", "1", None),
    ("localhost/app", "localhost/app", None, None),
    ("localhost:5000/a/b:x", "localhost:5000/a/b", "x", None),
    # Without a slash there is no registry: the port is a tag.
    ("localhost:5000", "localhost", "5000", None),
    ("example.com:8080", "example.com", "8080", None),
    ("foo_bar.com:8080", "foo_bar.com", "8080", None),
    ("10.0.0.1:443/a:b", "10.0.0.1:443/a", "b", None),
    ("[::1]/app", "[::1]/app", None, None),
    ("[2001:DB8::1]:5000/team/app:v1", "[2001:DB8::1]:5000/team/app", "v1", None),
    ("REGISTRY/app:Tag", "REGISTRY/app", "Tag", None),
    ("Ghcr.IO/acme/app:_x", "Ghcr.IO/acme/app", "_x", None),
    ("x/a--b.c__d_e/f---g:1", "x/a--b.c__d_e/f---g", "1", None),
    ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage", "xn--n3h.com", None),
    # Distribution refuses 64 hex digits only when nothing follows.
    (f"{HEX64}:tag", HEX64, "tag", None),
    (f"acme/{HEX64}", f"acme/{HEX64}", None, None),
    (HEX64[:63], HEX64[:63], None, None),
    ("nginx:" + "t" * MAX_TAG, "nginx", "t" * MAX_TAG, None),
    ("a" * MAX_NAME + ":1", "a" * MAX_NAME, "1", None),
    ("sha256:abc", "sha256", "abc", None),
]


@pytest.mark.parametrize(("text", "name", "tag", "digest"), PARSED)
def test_parses_into_parts_and_back(text: str, name: str, tag: str | None, digest: str | None) -> None:
    reference = parse_reference(text)
    assert reference == ImageReference(name, tag, digest)
    assert str(reference) == text
    assert looks_like_reference(text) == reference


REFUSED: list[tuple[str, str]] = [
    ("", "empty"),
    (" nginx", "whitespace"),
    ("nginx ", "whitespace"),
    ("nginx:1 .2", "whitespace"),
    ("nginx\n", r"whitespace \('\\n'\)"),
    ("nginx:1\n", "whitespace"),
    (f"nginx@{SHA256}\n", "whitespace"),
    ("nginx\u00a0", "whitespace"),
    ("nginx#1", "'#'"),
    ("nginx\x00", r"'\\x00'"),
    ("nginx\u202e", r"'\\u202e'"),
    ("-nginx", "starts with '-'"),
    ("--image=nginx", "starts with '-'"),
    (HEX64, "hash without a name"),
    (SHA256, "hash without a name"),
    (SHA512, "hash without a name"),
    ("https://ghcr.io/acme/app", "URL"),
    ("Nginx", "must be lowercase, not 'Nginx'"),
    ("ghcr.io/Acme/app:1", "must be lowercase, not 'Acme'"),
    ("acme/App", "must be lowercase, not 'App'"),
    ("nginx:", "tag is empty"),
    (":1.2", "name is empty"),
    (f"@{SHA256}", "name is empty"),
    ("nginx:" + "t" * (MAX_TAG + 1), "tag has 129 characters, at most 128"),
    ("nginx:.1", r"tag cannot start with '\.'"),
    ("nginx:-1", "tag cannot start with '-'"),
    ("nginx:1+b", r"tag cannot hold '\+'"),
    ("nginx:1:2", "tag cannot hold ':'"),
    ("nginx:é", "tag cannot hold 'é'"),
    ("nginx:${TAG}", r"tag cannot hold '\$'"),
    ("nginx:feature/x", "'nginx:feature' before the first '/' reads as a registry"),
    ("nginx@", "digest is empty"),
    ("nginx@sha256", "shape algorithm:hex"),
    ("nginx@1.27", "shape algorithm:hex"),
    (f"nginx@{SHA256}@{SHA256}", "not hexadecimal"),
    (f"nginx@{SHA256}:1", "not hexadecimal"),
    (f"nginx@{SHA256[:-1]}", "63 hex digits, sha256 has 64"),
    (f"nginx@{SHA256}0", "65 hex digits, sha256 has 64"),
    (f"nginx@{SHA384[:-1]}", "95 hex digits, sha384 has 96"),
    (f"nginx@{SHA512[:-1]}", "127 hex digits, sha512 has 128"),
    ("nginx@sha256:", "0 hex digits"),
    (f"nginx@sha256:{HEX64.upper()}", "must be lowercase"),
    (f"nginx@SHA256:{HEX64}", "written sha256, not SHA256"),
    (f"nginx@sha256:{HEX64[:-1]}g", "not hexadecimal"),
    (f"nginx@md5:{'0' * 31}", "31 hex digits, at least 32"),
    (f"nginx@1md:{'0' * 32}", "shape algorithm:hex"),
    (f"nginx@a++b:{'0' * 32}", "shape algorithm:hex"),
    (f"nginx@blake3:{'z' * 32}", "not hexadecimal"),
    ("a" * (MAX_NAME + 1), "256 characters, at most 255"),
    ("ghcr.io/" + "a" * (MAX_NAME - 7), "256 characters, at most 255"),
    ("/nginx", "empty component"),
    ("acme//app", "empty component"),
    ("acme/app/", "empty component"),
    ("ghcr.io/:1", "empty component"),
    ("acme/_app", "start and end"),
    ("acme/app_:1", "start and end"),
    ("a..b", "separate words"),
    ("a___b", "separate words"),
    ("a._b", "separate words"),
    ("a$b", r"cannot hold '\$'"),
    ("{{ .Values.image }}", "whitespace"),
    ("{{.Values.image}}", "."),
    ("my_host.io/app", "reads as a registry"),
    ("host:port/app", "reads as a registry"),
    ("host:/app", "reads as a registry"),
    ("-host.io/app", "starts with '-'"),
    ("host-.io/app", "reads as a registry"),
    ("[::1/app", "reads as a registry"),
    ("[fe80::1%eth0]:5000/app", "reads as a registry"),
    ("[::1]:5000", "cannot hold '\\['"),
    ("[abcd]/app", "cannot hold '\\['"),
    ("é/app", "cannot hold 'é'"),
    ("nginx:\uff11", "tag cannot hold '\uff11'"),
]


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_refuses_and_says_why(text: str, says: str) -> None:
    with pytest.raises(InvalidReferenceError, match=says) as caught:
        parse_reference(text)
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2
    assert caught.value.reason == "invalid-reference"
    assert caught.value.next_step is not None
    assert "does not follow the grammar" not in caught.value.message
    assert looks_like_reference(text) is None


KEYS: list[tuple[str, tuple[str, str], str, str]] = [
    ("nginx", ("docker.io", "library/nginx"), "nginx", "nginx"),
    ("library/nginx", ("docker.io", "library/nginx"), "nginx", "nginx"),
    ("docker.io/nginx", ("docker.io", "library/nginx"), "nginx", "nginx"),
    ("docker.io/library/nginx", ("docker.io", "library/nginx"), "nginx", "nginx"),
    ("index.docker.io/nginx", ("docker.io", "library/nginx"), "nginx", "nginx"),
    ("index.docker.io/library/nginx", ("docker.io", "library/nginx"), "nginx", "nginx"),
    ("Docker.IO/nginx", ("docker.io", "library/nginx"), "nginx", "nginx"),
    ("docker.io:443/nginx", ("docker.io:443", "nginx"), "nginx", "nginx"),
    ("bitnami/redis", ("docker.io", "bitnami/redis"), "bitnami/redis", "redis"),
    ("docker.io/library/a/b", ("docker.io", "library/a/b"), "library/a/b", "b"),
    ("example.com", ("docker.io", "library/example.com"), "example.com", "example.com"),
    ("ghcr.io/library/nginx", ("ghcr.io", "library/nginx"), "library/nginx", "nginx"),
    ("GHCR.io/acme/app", ("ghcr.io", "acme/app"), "acme/app", "app"),
    ("ghcr.io/app", ("ghcr.io", "app"), "app", "app"),
    ("localhost/app", ("localhost", "app"), "app", "app"),
    ("localhost:5000/a/b", ("localhost:5000", "a/b"), "a/b", "b"),
    ("REG/app", ("reg", "app"), "app", "app"),
    ("[2001:DB8::1]:5000/a", ("[2001:db8::1]:5000", "a"), "a", "a"),
]


@pytest.mark.parametrize(("name", "key", "search_text", "last"), KEYS)
def test_names_are_normalized(name: str, key: tuple[str, str], search_text: str, last: str) -> None:
    reference = parse_reference(f"{name}:1@{SHA256}")
    assert reference.key == key
    assert reference.search_text == search_text
    assert reference.last_component == last


def test_same_image_ignores_spelling_tag_and_digest_only() -> None:
    nginx = parse_reference("nginx:1")
    assert nginx.same_image(parse_reference(f"index.docker.io/library/nginx@{SHA256}"))
    assert not nginx.same_image(parse_reference("ghcr.io/library/nginx:1"))
    assert not parse_reference("r.io/a:1").same_image(parse_reference("r.io:443/a:1"))


def test_empty_tag_and_digest_count_as_none() -> None:
    assert str(ImageReference("nginx", "", "")) == "nginx"


def test_reference_is_a_value() -> None:
    reference = parse_reference("nginx:1")
    assert {reference, ImageReference("nginx", "1")} == {reference}
    with pytest.raises(AttributeError):
        reference.tag = "2"  # type: ignore[misc]


@pytest.mark.parametrize("tag", ["1", "_", "v1.2.3-rc.1_x", "A" * MAX_TAG, "latest"])
def test_tag_accepted(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ("", "empty"),
        ("-1", "start with '-'"),
        (".1", r"start with '\.'"),
        ("a b", "cannot hold ' '"),
        ("a\n", r"cannot hold '\\n'"),
        ("a/b", "cannot hold '/'"),
        (f"1@{SHA256}", "cannot hold '@'"),
        ("A" * (MAX_TAG + 1), "129 characters"),
    ],
)
def test_tag_refused(tag: str, says: str) -> None:
    with pytest.raises(InvalidReferenceError, match=f"is not a tag: .*{says}"):
        parse_tag(tag)


@pytest.mark.parametrize("digest", [SHA256, SHA384, SHA512, OTHER, "x:" + "0" * 32])
def test_digest_accepted(digest: str) -> None:
    assert parse_digest(digest) == digest


@pytest.mark.parametrize(
    ("digest", "says"),
    [
        ("", "empty"),
        (HEX64, "shape"),
        (f"@{SHA256}", "shape"),
        (f"{SHA256}\n", "not hexadecimal"),
        (f"\n{SHA256}", "shape"),
        (f"sha256:{HEX64[:-1]}", "63 hex digits"),
        # Base64 is the OCI image spec's wider grammar.
        ("sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", "not hexadecimal"),
    ],
)
def test_digest_refused(digest: str, says: str) -> None:
    with pytest.raises(InvalidReferenceError, match=f"is not a digest: .*{says}"):
        parse_digest(digest)


@pytest.mark.parametrize("name", ["nginx", "ghcr.io/acme/app", "localhost:5000/a/b", "[::1]:1/a"])
def test_name_accepted(name: str) -> None:
    assert parse_name(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("nginx:1", "'1' reads as its tag"),
        ("localhost:5000", "'5000' reads as its tag"),
        (f"nginx@{SHA256}", "has a digest"),
        (f"nginx:1@{SHA256}", "has a digest"),
        ("nginx:", "tag is empty"),
        (HEX64, "hash without a name"),
        ("Nginx", "lowercase"),
    ],
)
def test_name_refused(name: str, says: str) -> None:
    with pytest.raises(InvalidReferenceError, match=f"is not an image name: .*{says}"):
        parse_name(name)


@pytest.mark.parametrize("parse", [parse_reference, parse_name, parse_tag, parse_digest])
@pytest.mark.parametrize("unit", ["Q/", "Q", "Q:", "Q@", "Q.a/", "\x01Q", "😀Q"])
def test_messages_echo_little(parse: Callable[[str], object], unit: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse(unit * 5000 + "\n")
    assert caught.value.message.count("Q") <= 82
    assert len(caught.value.message) < 250
    assert "…" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@ghcr.io/acme/app",
        "user:hunter2@ghcr.io/acme/app:1",
        "user:x@hunter2@ghcr.io/acme/app",
        "user:x/hunter2@ghcr.io/acme/app",
    ],
)
def test_credentials_are_not_echoed(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match="credentials") as caught:
        parse_reference(text)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("unit", ["a.", "a-", "a_", "a/", "a:", "A", "-", "a1", "a.a-"])
def test_hostile_input_takes_linear_time(unit: str) -> None:
    text = "a" + unit * 200_000 + "!"
    started = time.perf_counter()
    assert looks_like_reference(text) is None
    assert time.perf_counter() - started < 1.0


# --- properties ---

ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"
HEXDIGITS = "0123456789abcdef"

words = st.text(ALPHANUMERIC, min_size=1, max_size=6)
separators = st.sampled_from([".", "_", "__", "-", "--", "---"])


@st.composite
def components(draw: st.DrawFn) -> str:
    text = draw(words)
    for _ in range(draw(st.integers(0, 2))):
        text += draw(separators) + draw(words)
    return text


labels = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,6}[a-zA-Z0-9])?", fullmatch=True)
ipv6 = st.ip_addresses(v=6).map(lambda address: f"[{address}]")
dotted = st.lists(labels, min_size=2, max_size=4).map(".".join)
ports = st.one_of(st.just(""), st.integers(0, 99999).map(lambda port: f":{port}"))
registries = st.one_of(
    st.just("localhost"),
    st.builds(str.__add__, st.one_of(dotted, ipv6, st.just("localhost")), ports),
    st.builds(lambda label, port: f"{label}:{port}", labels, st.integers(0, 99999)),
)
paths = st.lists(components(), min_size=1, max_size=4).map("/".join)
names = paths.filter(
    # A first component with a dot is a registry, and a registry has no underscore.
    lambda path: "/" not in path or not {".", "_"} <= set(path.split("/")[0])
)
full_names = st.one_of(names, st.builds(lambda registry, path: f"{registry}/{path}", registries, paths))
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
digests = st.one_of(
    *(
        st.text(HEXDIGITS, min_size=size, max_size=size).map(f"{algorithm}:".__add__)
        for algorithm, size in (("sha256", 64), ("sha384", 96), ("sha512", 128))
    ),
    st.builds(
        lambda algorithm, encoded: f"{algorithm}:{encoded}",
        st.from_regex(
            r"[A-Za-z][A-Za-z0-9]{0,4}([-_+.][A-Za-z][A-Za-z0-9]{0,4}){0,2}", fullmatch=True
        ).filter(lambda algorithm: algorithm.lower() not in {"sha256", "sha384", "sha512"}),
        st.text(HEXDIGITS + "ABCDEF", min_size=32, max_size=80),
    ),
)


@given(full_names, st.none() | tags, st.none() | digests)
def test_valid_references_round_trip(name: str, tag: str | None, digest: str | None) -> None:
    reference = ImageReference(name, tag, digest)
    parsed = parse_reference(str(reference))
    assert parsed == reference
    assert str(parsed) == str(reference)
    assert looks_like_reference(str(reference)) == reference


@given(full_names)
def test_a_name_is_the_image_its_key_spells(name: str) -> None:
    reference = ImageReference(parse_name(name))
    spelled = ImageReference("/".join(reference.key))
    assert spelled.same_image(reference)
    assert reference.search_text in name
    assert reference.search_text in str(spelled)


@given(tags, digests)
def test_parts_parse_alone(tag: str, digest: str) -> None:
    assert parse_tag(tag) == tag
    assert parse_digest(digest) == digest


def attempt(parse: Callable[[str], T], text: str) -> tuple[T | None, str]:
    """What the parser returns or, without one, its message; any other error escapes."""
    try:
        return parse(text), ""
    except InvalidReferenceError as error:
        return None, error.message


near_misses = st.text("aZ0._-:/@#[] \n\x00é", max_size=24)


@given(st.one_of(st.text(), near_misses, near_misses.map(lambda text: f"{text}@{SHA256}")))
@example("a@")
@example("\ud800")
def test_any_text_parses_or_raises_the_one_error(text: str) -> None:
    fast = looks_like_reference(text)
    parsed, message = attempt(parse_reference, text)
    assert parsed == fast
    assert parsed is None or str(parsed) == text
    assert "does not follow the grammar" not in message  # every refusal is explained
    for parse in (parse_name, parse_tag, parse_digest):
        value, message = attempt(parse, text)
        assert value in {text, None}
        assert len(message) < 250


@given(
    full_names, st.none() | tags, st.sampled_from([" ", "\n", "\t", "#", "!", "\x00", "é", "İ"]), st.data()
)
def test_one_forbidden_character_anywhere_is_refused(
    name: str, tag: str | None, character: str, data: st.DataObject
) -> None:
    text = str(ImageReference(name, tag))
    at = data.draw(st.integers(0, len(text)))
    with pytest.raises(InvalidReferenceError):
        parse_reference(text[:at] + character + text[at:])


# --- distribution's own grammar as the oracle ---

# ReferenceRegexp of regexp.go, put together as it is there.
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[.]|_|__|[-]+)[a-z0-9]+)*"
_NAME = rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*"
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
DISTRIBUTION = re.compile(
    rf"({_NAME})(?::([A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@({_ALGORITHM}:[0-9a-fA-F]{{32,}}))?", re.ASCII
)
REGISTERED = {"sha256": 64, "sha384": 96, "sha512": 128}


def refused_on_purpose(name: str, tag: str | None, digest: str | None) -> bool:
    """Where promoter.image is narrower, as its documentation says."""
    first = name.partition("/")[0] if "/" in name else ""
    if len(name) > MAX_NAME or ("." in first and "_" in first):
        return True
    if first.startswith("[") and ":" not in first:  # normalize.go takes it for no registry either
        return True
    if digest is None:
        lone = name if tag is None else tag
        length = 64 if tag is None else REGISTERED.get(name)
        return len(lone) == length and set(lone) <= set(HEXDIGITS)
    algorithm, _, encoded = digest.partition(":")
    if algorithm.lower() not in REGISTERED:
        return False
    return len(encoded) != REGISTERED.get(algorithm) or not set(encoded) <= set(HEXDIGITS)


@settings(deadline=None, max_examples=40)
@given(st.from_regex(DISTRIBUTION, fullmatch=True))
def test_what_distribution_reads_is_read_alike(text: str) -> None:
    match = DISTRIBUTION.fullmatch(text)
    assert match is not None
    name, tag, digest = match.groups()
    assume(not refused_on_purpose(name, tag, digest))
    assert parse_reference(text) == ImageReference(name, tag, digest)


@settings(deadline=None)
@given(st.one_of(st.text(), near_misses, near_misses.map(lambda text: f"{text}@{SHA256}")))
def test_nothing_else_is_read(text: str) -> None:
    if looks_like_reference(text) is not None:
        assert DISTRIBUTION.fullmatch(text)


SPELLINGS = [
    ["nginx", "library/nginx", "docker.io/nginx", "docker.io/library/nginx", "index.docker.io/nginx"],
    ["acme/nginx", "docker.io/acme/nginx", "index.docker.io/acme/nginx"],
    ["library/acme/nginx", "docker.io/library/acme/nginx"],
    ["docker.io:443/library/nginx"],
    ["registry-1.docker.io/library/nginx"],
    ["ghcr.io/nginx", "GHCR.io/nginx"],
    ["ghcr.io/library/nginx"],
    ["r.acme.io/nginx", "R.Acme.IO/nginx"],
    ["r.acme.io:443/nginx"],
    ["r.acme.io:5000/nginx"],
    ["localhost/nginx"],
    ["localhost:5000/nginx"],
    ["[::1]/nginx"],
    ["[::1]:5000/nginx"],
]


@pytest.mark.parametrize("spellings", SPELLINGS, ids=lambda spellings: str(spellings[0]))
def test_spellings_of_one_image_and_no_other(spellings: list[str]) -> None:
    ours = [parse_reference(name) for name in spellings]
    others = [parse_reference(name) for group in SPELLINGS if group is not spellings for name in group]
    assert all(one.same_image(two) for one in ours for two in ours)
    assert not any(one.same_image(other) or other.same_image(one) for one in ours for other in others)


@pytest.mark.parametrize("parse", [parse_reference, parse_name, parse_tag, parse_digest])
@pytest.mark.parametrize("unit", ["\U000e0001", "'\"", "\\", "a/\U000e0001", "a@\U000e0001", "a:\U000e0001"])
def test_messages_stay_short_where_characters_are_escaped(parse: Callable[[str], object], unit: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse(unit * 200)
    assert len(caught.value.message) < 250
