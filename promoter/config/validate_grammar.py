"""The small languages inside ``validate`` and ``helm``: versions, kinds, durations, commands.

As in ``config.grammar``, a check raises ValueError with a message that quotes the text and
says what was expected.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from promoter.config.grammar import repository_path, shorten

# Those that the bundle of schemas has, the oldest first; a test holds the two together.
KUBERNETES_VERSIONS = tuple(f"1.{minor}" for minor in range(25, 38))
# What findings are called by that no configured command brings.
OWN_VALIDATORS = ("yaml", "schema", "kubeconform", "render", "blast-radius")
FILES = "{files}"


def check_kubernetes(text: str) -> None:
    """Accept a version of Kubernetes whose schemas are bundled.

    Raises:
        ValueError: there are none for it.
    """
    if text not in KUBERNETES_VERSIONS:
        minor = re.match(r"v?(1\.[0-9]+)(?![0-9])", text)
        hint = f"; did you mean {minor[1]!r}?" if minor and minor[1] in KUBERNETES_VERSIONS else ""
        span = f"{KUBERNETES_VERSIONS[0]} to {KUBERNETES_VERSIONS[-1]}"
        raise ValueError(f"{shorten(text)} is no version with schemas here; there are {span}{hint}")


_VERSION_KIND = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?v[0-9][a-z0-9]*/[A-Z][A-Za-z0-9]*"
_KIND = re.compile(rf"[A-Z][A-Za-z0-9]*|{_VERSION_KIND}")


def check_kind(text: str) -> None:
    """Accept ``Kind`` or ``group/version/Kind``.

    Raises:
        ValueError: the text has another form.
    """
    if not _KIND.fullmatch(text):
        raise ValueError(f"{shorten(text)} is not a kind; expected e.g. Secret or apps/v1/Deployment")


def check_group_kind(text: str) -> None:
    """Accept ``group/version/Kind``, and ``version/Kind`` of the core group.

    Raises:
        ValueError: the text has another form.
    """
    if not re.fullmatch(_VERSION_KIND, text):
        raise ValueError(f"{shorten(text)} is not group/version/Kind; expected e.g. acme.io/v1/Widget")


_DURATION = re.compile(r"([0-9]{1,6})(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> float:
    """The seconds that ``30s``, ``5m`` or ``1h`` means.

    Raises:
        ValueError: the text has another form, or means no time at all, or more than a day.
    """
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= 86400:
        raise ValueError(f'{shorten(text)} is not a time of up to a day; expected e.g. "30s", "5m" or "1h"')
    return float(seconds)


def literal_path(text: str) -> str:
    """Return the path of one file or directory in the repository, as ``repository_path`` does.

    Raises:
        ValueError: it could mean something outside the repository, or it is a glob.
    """
    if re.search(r"[*?\[]", text):
        raise ValueError(f"{shorten(text)} is a glob; expected the path of one file or directory")
    return repository_path(text)


# Helm's ValidReleaseName and its limit; a namespace is a DNS label (RFC 1123).
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_RELEASE = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def check_release(text: str) -> None:
    """Accept what Helm takes as the name of a release.

    Raises:
        ValueError: the text has another form.
    """
    if not _RELEASE.fullmatch(text) or len(text) > 53:
        raise ValueError(f"{shorten(text)} is no name of a release; expected small letters, digits and '-'")


def check_namespace(text: str) -> None:
    """Accept the name of a Kubernetes namespace.

    Raises:
        ValueError: the text has another form.
    """
    if not re.fullmatch(_LABEL, text) or len(text) > 63:
        raise ValueError(f"{shorten(text)} is no namespace; expected small letters, digits and '-'")


def check_command_name(text: str) -> None:
    """Accept the name of a configured command: findings go by it.

    Raises:
        ValueError: a validator of promoter's own has it, or it has another form.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        raise ValueError(
            f"{shorten(text)} cannot be a name; expected letters, digits, '.', '_' and '-', "
            "the first a letter or digit"
        )
    if text.lower() in OWN_VALIDATORS:
        raise ValueError(f"{shorten(text)} is a validator of promoter's own; choose another name")


def check_program(text: str) -> None:
    """Accept the bare name of a program, which is then looked up on the caller's PATH.

    Raises:
        ValueError: it is a path: what stands in the repository is never run.
    """
    if "/" in text or "\\" in text:
        raise ValueError(
            f"{shorten(text)} is a path; a program is named without one and looked up on PATH, "
            "never in the repository"
        )
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", text):
        raise ValueError(f"{shorten(text)} is no name of a program; expected e.g. conftest")


def check_argument(text: str) -> None:
    """Accept an argument whose only placeholder is ``{files}``, alone.

    Raises:
        ValueError: there is another placeholder, or text around it.
    """
    if "\x00" in text:
        raise ValueError(f"{shorten(text)} holds a control character")
    name = next((name for name in re.findall(r"(?<!\{)\{([A-Za-z_-]+)\}(?!\})", text) if text != FILES), None)
    if name == "files":
        raise ValueError(f"{shorten(text)} has text around {FILES}, which stands for several arguments")
    if name is not None:
        hint = f"; did you mean {FILES}?" if get_close_matches(name, ["files"], n=1) else ""
        raise ValueError(f"{shorten(text)} holds '{{{name}}}'; only {FILES} is filled in{hint}")
