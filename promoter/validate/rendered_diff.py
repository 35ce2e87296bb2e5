"""What an edit changes in what is rendered, for people: unified, capped, without secrets. Pure."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from typing import TYPE_CHECKING

from promoter.validate.model import SourceFile
from promoter.validate.rendered_documents import STABLE, masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.validate.rendered_documents import Pair, RenderedDocument, Unstable

_CONTEXT = 3
_MOST_LINES = 2_000  # of a document's part that differs: comparing costs the square of it
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")


def source_files(label: str, documents: Sequence[RenderedDocument]) -> Iterator[SourceFile]:
    """Each document as a file of its own, named so that it keeps its name from render to render."""
    again: Counter[str] = Counter()
    for document in documents:
        name = file_name(label, document)
        again[name] += 1
        number = f"-{again[name]}" if again[name] > 1 else ""
        yield SourceFile(name.removesuffix(".yaml") + f"{number}.yaml", document.text.encode("utf-8"))


def file_name(label: str, document: RenderedDocument) -> str:
    """``envs/staging (rendered)/Deployment-api.yaml``, a namespace as a directory."""
    _, kind, namespace, name = (_UNUSUAL.sub("_", part) for part in document.key)
    place = f"{label} (rendered)/{namespace}/" if namespace else f"{label} (rendered)/"
    return f"{place}{kind or 'document'}-{name or 'unnamed'}.yaml"


def unified(label: str, pairs: Sequence[Pair], mask: Unstable | None) -> list[str]:
    """The lines of a unified diff of these documents."""
    lines: list[str] = []
    for old, new in pairs:
        document = new or old
        if document is None:
            continue
        name = file_name(label, document)
        before = masked(old, mask or STABLE).splitlines() if old is not None else []
        after = masked(new, mask or STABLE).splitlines() if new is not None else []
        body = list(_hunks(before, after))
        lines += [f"--- {name if old is not None else '/dev/null'}"]
        lines += [f"+++ {name if new is not None else '/dev/null'}"]
        lines += body or ["@@ only what is hidden differs @@"]
    return lines


def _hunks(before: list[str], after: list[str]) -> Iterator[str]:
    shared = _in_common(before, after)
    tail = _in_common(before[shared:][::-1], after[shared:][::-1])
    if max(len(before), len(after)) - shared - tail > _MOST_LINES:
        yield f"@@ too much differs: {len(before)} lines before, {len(after)} after @@"
        return
    # Only the neighbourhood of what differs is compared; the line numbers are put right after.
    start = max(0, shared - _CONTEXT)
    stop = max(0, tail - _CONTEXT)
    old, new = before[start : len(before) - stop], after[start : len(after) - stop]
    diff = difflib.unified_diff(old, new, lineterm="", n=_CONTEXT)
    for line in list(diff)[2:]:
        yield _moved(line, start) if line.startswith("@@") else line


def _moved(header: str, lines: int) -> str:
    return re.sub(r"([-+])(\d+)", lambda match: f"{match[1]}{int(match[2]) + lines}", header)


def _in_common(one: Sequence[str], other: Sequence[str]) -> int:
    shortest = min(len(one), len(other))
    return next((n for n in range(shortest) if one[n] != other[n]), shortest)


def capped(lines: Sequence[str], most: int) -> str:
    """The text of the lines, cut behind a whole line where it is longer than so many characters."""
    size = kept = 0
    for line in lines:
        size += len(line) + 1
        if size > most:
            break
        kept += 1
    rest = len(lines) - kept
    return "\n".join([*lines[:kept], *([f"… {rest} more lines"] if rest else [])])
