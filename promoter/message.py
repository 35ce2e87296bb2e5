"""The commit message: a subject, the changes, and the trailers that machines read."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from promoter.proposal.inert import compared, is_link, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from promoter.image import ImageReference
    from promoter.intent import Intent, Origin
    from promoter.outcome import Change

DEFAULT_TEMPLATE = "promote {app} to {tag} in {environment}\n\n{changes}"
ROLLBACK_TEMPLATE = "roll {app} back to {tag} in {environment}\n\n{changes}"
PLACEHOLDERS = ("app", "environment", "image", "images", "tag", "changes", "revision", "run", "actor")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LISTED_CHANGES = 50
OPTION = "Promoter-Option"
OWN_TRAILERS = {"from": "Promoter-From", "override": "Promoter-Override"}  # options with a name of their own


def commit_message(
    template: str | None,
    intent: Intent,
    changes: Sequence[Change],
    promoter_id: str,
    options: Sequence[str] = (),
) -> str:
    """The filled template, followed by the trailers as a paragraph of their own.

    ``options`` are those of the run that a later one must know to apply it again
    (``promoter.proposal.wanted.options_of``).
    """
    first, origin = intent.images[0], intent.origin
    values = {
        "app": plain(intent.app),
        "environment": plain(intent.environment),
        "image": plain(str(first)),
        "images": ", ".join(plain(str(image)) for image in intent.images),
        "tag": plain(first.tag or first.digest or ""),
        "changes": change_lines(changes),
        "revision": plain(origin.revision or ""),
        "run": link_or_plain(origin.run_url),
        "actor": plain(origin.actor or ""),
    }
    # What comes from the environment itself ran there before.
    back = any(option.startswith(f"from={intent.environment} ") for option in options)
    text = fill(template or (ROLLBACK_TEMPLATE if back else DEFAULT_TEMPLATE), values)
    block = trailers(intent.environment, intent.app, intent.images, origin, promoter_id, options)
    return f"{text.strip()}\n\n{trailer_block(block)}"


def new_id() -> str:
    """The identity of one landing."""
    return os.urandom(8).hex()


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with what is known filled in; other braces stay."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def change_lines(changes: Sequence[Change]) -> str:
    """A line for each change, up to a number of them."""
    lines = [
        plain(f"{one.file}:{one.line}: {one.before} -> {one.after}") for one in changes[:_LISTED_CHANGES]
    ]
    if len(changes) > _LISTED_CHANGES:
        lines.append(f"and {len(changes) - _LISTED_CHANGES} more")
    return "\n".join(lines)


def link_or_plain(url: str | None) -> str:
    """A URL, encoded as URLs are, where it can do no harm; nothing for None."""
    encoded = quote(url or "", safe=":/?=&%+,~")
    return encoded if is_link(encoded) else plain(url or "")


def trailers(
    environment: str,
    app: str,
    images: Iterable[ImageReference],
    origin: Origin,
    promoter_id: str,
    options: Iterable[str] = (),
) -> Iterator[tuple[str, str]]:
    """What machines read of one run; each value on one line.

    Keys and meaning: DESIGN §6; ``Promoter-Source-Branch`` is the branch that was built,
    ``Promoter-Option`` one option of the command line that changes how the images are applied.
    """
    yield "Promoter-Id", promoter_id
    yield "Promoter-Environment", _value(environment)
    yield "Promoter-App", _value(app)
    for image in images:
        yield "Promoter-Image", _value(str(image))
    for option in options:
        name, _, value = option.partition("=")
        yield (OWN_TRAILERS[name], _value(value)) if name in OWN_TRAILERS else (OPTION, _value(option))
    if origin.revision:
        yield "Promoter-Source", compared(origin.revision)
    if origin.source_time:
        yield "Promoter-Source-Time", origin.source_time.isoformat()
    if origin.source_branch:
        yield "Promoter-Source-Branch", _value(origin.source_branch)
    if origin.order:
        namespace, number = origin.order
        harmless = compared(f"{one_line(namespace)}#{number}", urls=True)
        yield "Promoter-Order", f"{harmless.rpartition('#')[0]}#{number}"
    if origin.run_url:
        yield "Promoter-Run", link_or_plain(origin.run_url)


def trailer_block(pairs: Iterable[tuple[str, str]]) -> str:
    """The trailers as the last paragraph of a message."""
    return "".join(f"{key}: {value}\n" for key, value in pairs)


def _value(text: str) -> str:
    """A value cannot start another trailer."""
    return plain(text, closing=False)
