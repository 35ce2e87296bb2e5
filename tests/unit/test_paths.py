"""Globs over the paths of a repository."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promoter.paths import glob_text, literal_prefix, matches, matches_any, relative_to

_components = st.text(alphabet="ab.-", min_size=1, max_size=4)
_literal_paths = st.lists(_components, min_size=1, max_size=4).map("/".join)
_patterns = st.text(alphabet="ab/*?[]!^-\\&|~.", max_size=16)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (".", "anything/at/all.yaml"),
        ("apps", "apps"),
        ("apps", "apps/api/values.yaml"),
        ("apps/api/values.yaml", "apps/api/values.yaml"),
        ("apps/*", "apps/api"),
        ("apps/*", "apps/api/values.yaml"),  # a directory above it
        ("apps/*/values.yaml", "apps/api/values.yaml"),
        ("*.yaml", "values.yaml"),
        ("**", "a/b/c.yaml"),
        ("**/values.yaml", "values.yaml"),
        ("**/values.yaml", "a/b/values.yaml"),
        ("apps/**/values.yaml", "apps/values.yaml"),
        ("apps/**/values.yaml", "apps/a/b/values.yaml"),
        ("apps/**", "apps/a"),
        ("envs/**/prod", "envs/eu/west/prod/values.yaml"),
        ("a?c", "abc"),
        ("v[0-9].yaml", "v1.yaml"),
        ("v[!0-9].yaml", "va.yaml"),
        ("[abc]", "b"),
        ("[a^]", "^"),
        ("[!^]", "a"),
        ("[a-]", "-"),
        ("[a&&b]", "&"),
        ("[a[]", "["),
        ("[+--]", ","),  # a range that ends with the dash
        ("[!z-a]", "m"),
        ("a[b", "a[b"),  # not closed: literal
        ("a]b", "a]b"),
        ("a+(b)", "a+(b)"),
        ("a.b$", "a.b$"),
        ("[\\d]", "d"),
        ("[\\d]", "\\"),
        ("a b/ü", "a b/ü/x.yaml"),
        ("*", "line\nbreak"),
    ],
)
def test_match(pattern: str, path: str) -> None:
    assert matches(path, pattern)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("apps", "apps2/values.yaml"),
        ("apps", "my/apps"),
        ("apps/api/values.yaml", "apps/api"),
        ("apps/*/values.yaml", "apps/a/b/values.yaml"),
        ("apps/*", "apps"),
        ("*.yaml", "a.yml"),
        ("apps/**", "apps"),
        ("**/values.yaml", "a/myvalues.yaml"),
        ("a?c", "a/c"),
        ("a*c", "a/c"),
        ("a[/]c", "a/c"),
        ("a[!x]c", "a/c"),
        ("a[.-0]c", "a/c"),  # the slash stands between these two characters
        ("a[!a-]c", "a-c"),
        ("v[0-9].yaml", "va.yaml"),
        ("v[!0-9].yaml", "v1.yaml"),
        ("[z-a]", "m"),
        ("[\\d]", "1"),
        ("a.c", "abc"),
        ("Apps", "apps/x"),
        ("apps", "apps\n"),
        ("a", ""),
    ],
)
def test_no_match(pattern: str, path: str) -> None:
    assert not matches(path, pattern)


def test_any_of_the_patterns() -> None:
    assert matches_any("apps/x", ("envs", "apps"))
    assert not matches_any("apps/x", ("envs",))
    assert not matches_any("apps/x", ())


@settings(deadline=None)
@given(_patterns, _literal_paths)
def test_every_pattern_compiles_in_silence(pattern: str, path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = matches(path, pattern)
        glob_text(path, pattern)
    if result and path != pattern and pattern != ".":
        assert matches(path + "/below", pattern)


@settings(deadline=None)
@given(_literal_paths, _literal_paths)
def test_a_pattern_without_wildcards_is_a_prefix(path: str, pattern: str) -> None:
    expected = pattern == "." or path == pattern or path.startswith(pattern + "/")
    assert matches(path, pattern) == expected


@settings(deadline=None)
@given(_literal_paths, _patterns.filter(bool))
def test_what_matches_lies_below_the_literal_prefix(path: str, pattern: str) -> None:
    prefix = literal_prefix(pattern)
    if matches(path, pattern):
        assert matches(path, prefix)


@pytest.mark.parametrize(
    ("path", "roots", "expected"),
    [
        ("envs/prod/api/values.yaml", ("envs/prod",), "api/values.yaml"),
        ("envs/prod/api/values.yaml", ("envs/*",), "api/values.yaml"),
        ("envs/prod/api/values.yaml", ("envs",), "prod/api/values.yaml"),
        (
            "envs/prod/api/values.yaml",
            ("envs/prod/api", "envs"),
            "prod/api/values.yaml",
        ),  # the first on the way
        ("apps/api/prod/values.yaml", ("apps/*/prod",), "values.yaml"),
        ("apps/api/prod/eu/values.yaml", ("apps/**/prod",), "eu/values.yaml"),
        ("envs/prod/values.yaml", (".",), "envs/prod/values.yaml"),
        ("envs/prod/values.yaml", (".", "envs"), "prod/values.yaml"),
        ("envs/prod/values.yaml", (), "envs/prod/values.yaml"),
        ("envs/prod/values.yaml", ("other",), "envs/prod/values.yaml"),
        ("values-prod.yaml", ("values-prod.yaml",), "values-prod.yaml"),  # a root that is the file itself
        ("envs/prod/values.yaml", ("envs/pro",), "envs/prod/values.yaml"),
    ],
)
def test_relative_to(path: str, roots: tuple[str, ...], expected: str) -> None:
    assert relative_to(path, roots) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (".", "."),
        ("apps/api", "apps/api"),
        ("apps/api/values.yaml", "apps/api/values.yaml"),
        ("apps/*/prod", "apps"),
        ("apps/api*/prod", "apps"),
        ("apps/v?", "apps"),
        ("apps/[ab]/x", "apps"),
        ("**/values.yaml", "."),
        ("*", "."),
        ("a b/ü/*", "a b/ü"),
    ],
)
def test_literal_prefix(pattern: str, expected: str) -> None:
    assert literal_prefix(pattern) == expected


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("1.4.2", "1.4.*", True),
        ("1.5.0", "1.4.*", False),
        ("feature/x", "*", True),  # a slash is nothing special here
        ("feature/x", "feature*", True),
        ("a/b/c", "a**c", True),
        ("", "*", True),
        ("", "?", False),
        ("main-57", "main-[0-9][0-9]", True),
        ("main-5x", "main-[0-9][0-9]", False),
        ("1.4.2", "1.4", False),  # the whole text, no prefix
        ("1x4", "1.4", False),
        ("1.4\n", "1.4", False),
    ],
)
def test_glob_text(text: str, pattern: str, expected: bool) -> None:
    assert glob_text(text, pattern) is expected
