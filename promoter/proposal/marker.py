"""The state of a pull request, hidden in its description: an HTML comment with JSON that promoter reads back.

A description has one marker or none: text of others is written so that it cannot hold one
(`promoter.proposal.inert`), and where there are two nobody can tell which is ours.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promoter.ci import parse_time
from promoter.image import looks_like_reference
from promoter.intent import Origin
from promoter.proposal.wanted import Wanted

if TYPE_CHECKING:
    from datetime import datetime

_VERSION = 1
_OPTIONAL = ("closed", "told")
_OPENING = re.compile(r"<!--\s*promoter\s*:", re.IGNORECASE)
_MARKER = re.compile(r"<!--\s*promoter:\s*(\{[^<>]*\})\s*-->")
# Besides what would end the comment: nothing in there looks like a reference, and no blank
# stands where a keyword could refer to something (see inert.py).
_ESCAPED = re.compile(r"[^A-Za-z0-9._/:,\"{}\[\]\\=*+-]|(?<=-)-|(?<=/)/")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Marker:
    """What promoter knows of its pull request.

    ``key`` is the app, or ``_all``; ``fork`` the commit that the branch was made from,
    ``head`` the one that the description is of. ``closed`` is promoter's own reason to have
    closed it. ``told`` is a fingerprint of what the text tells people.
    """

    environment: str
    base: str
    key: str
    fork: str
    head: str
    wanted: tuple[Wanted, ...]
    closed: str | None = None
    told: str | None = None


def render(marker: Marker) -> str:
    """The comment, on one line. Raises nothing: any text can stand in it."""
    document = {
        "v": _VERSION,
        "environment": marker.environment,
        "base": marker.base,
        "key": marker.key,
        "fork": marker.fork,
        "head": marker.head,
        "wanted": [_of_wanted(one) for one in marker.wanted],
        **{name: text for name in _OPTIONAL if (text := getattr(marker, name)) is not None},
    }
    text = json.dumps(document, separators=(",", ":"))
    escaped = _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return f"<!-- promoter: {escaped} -->"


def read(body: str) -> Marker | None:
    """The marker of a description; None where there is none, several, or one that is not quite right."""
    found = _MARKER.search(body)
    if found is None or len(_OPENING.findall(body)) != 1:
        return None
    try:
        # No blank is ours: a forge, or a person's editor, may have wrapped the line.
        document = json.loads("".join(found[1].split()))
    except (ValueError, RecursionError):
        return None
    try:
        return _marker(document)
    except _MalformedError:
        return None


def replaced(body: str, marker: Marker) -> str:
    """The description with another marker in the place of its own, which `read` has found."""
    return _MARKER.sub(lambda _: render(marker), body)


class _MalformedError(Exception):
    """The document is not one that `render` wrote."""


def _of_wanted(wanted: Wanted) -> dict[str, Any]:
    origin = wanted.origin
    fields = {
        "image": str(wanted.image),
        "app": wanted.app,
        "id": wanted.promoter_id,
        "options": list(wanted.options) or None,
        "revision": origin.revision,
        "branch": origin.source_branch,
        "time": origin.source_time.isoformat() if origin.source_time else None,
        "order": list(origin.order) if origin.order else None,
        "run": origin.run_url,
        "actor": origin.actor,
        "author": origin.author,
    }
    return {key: value for key, value in fields.items() if value is not None}


def _marker(document: Any) -> Marker:  # noqa: ANN401 - a JSON document
    needed = ("environment", "base", "key", "fork", "head")
    _expect(isinstance(document, dict) and document.keys() - set(_OPTIONAL) == {"v", *needed, "wanted"})
    _expect(type(document["v"]) is int and document["v"] == _VERSION)
    texts = {key: _text(document, key) for key in needed}
    _expect(all(texts.values()))
    _expect(all(_COMMIT.fullmatch(str(texts[key])) for key in ("fork", "head")))
    _expect(isinstance(document["wanted"], list))
    wanted = tuple(_wanted(one) for one in document["wanted"])
    more = {name: _text(document, name) for name in _OPTIONAL}
    return Marker(**texts, wanted=wanted, **more)  # type: ignore[arg-type]  # none of them is None


_KEYS = {"image", "app", "id", "options", "revision", "branch", "time", "order", "run", "actor", "author"}


def _wanted(document: Any) -> Wanted:  # noqa: ANN401 - a JSON document
    _expect(isinstance(document, dict) and {"image", "app", "id"} <= document.keys() <= _KEYS)
    image = looks_like_reference(_text(document, "image") or "")
    app, promoter_id = _text(document, "app"), _text(document, "id")
    options = document.get("options", [])
    _expect(isinstance(options, list) and all(isinstance(one, str) for one in options))
    if image is None or not (image.tag or image.digest) or app is None or promoter_id is None:
        raise _MalformedError
    origin = Origin(
        revision=_text(document, "revision"),
        source_time=_time(document),
        source_branch=_text(document, "branch"),
        order=_order(document),
        run_url=_text(document, "run"),
        actor=_text(document, "actor"),
        author=_text(document, "author"),
    )
    return Wanted(image, app, origin, promoter_id, tuple(options))


def _text(document: dict[str, Any], key: str) -> str | None:
    value = document.get(key)
    _expect(isinstance(value, str) if key in document else value is None)
    return value


def _time(document: dict[str, Any]) -> datetime | None:
    text = _text(document, "time")
    moment = parse_time(text)
    _expect((text is None) == (moment is None))
    return moment


def _order(document: dict[str, Any]) -> tuple[str, int] | None:
    if "order" not in document:
        return None
    order = document["order"]
    _expect(isinstance(order, list) and [type(one) for one in order] == [str, int])
    return order[0], order[1]


def _expect(condition: bool) -> None:
    if not condition:
        raise _MalformedError
