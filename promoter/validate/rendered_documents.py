"""Rendered text as documents, and what differs between two renders but for what no two have alike. Pure.

Charts may draw random values, make certificates and read the clock (helm.sh/docs/chart_template_guide/
function_list: ``randAlphaNum``, ``genCA``, ``uuidv4``, ``now``). Such fields are found by rendering the
same input twice: what differs then is unstable, and masked wherever renders are compared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promoter import yamltext
from promoter.validate.leads import text_at
from promoter.yamltext import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as ReadOnlyMap
    from collections.abc import Sequence as ReadOnlyList

Kind = tuple[str, str, str]  # apiVersion, kind, namespace
Key = tuple[str, str, str, str]  # and name

MASK = "(differs with each render)"
HIDDEN = "(hidden)"
_BOUNDARY = re.compile(r"^---(?=\s|$)", re.MULTILINE)


@dataclass(frozen=True)
class Leaf:
    """A scalar, or an empty collection: what is compared of it, and where it stands in the text."""

    value: str
    start: int = 0
    end: int = 0


@dataclass(frozen=True, eq=False)
class RenderedDocument:
    """One rendered object: its text, and its fields by their paths."""

    key: Key
    text: str
    leaves: ReadOnlyMap[str, Leaf]

    @property
    def kind(self) -> Kind:
        """All of its key but the name."""
        return self.key[:3]

    @property
    def title(self) -> str:
        """``Kind/name`` as people write it."""
        return f"{self.key[1] or 'document'}/{self.key[3] or '-'}"


class UnreadableRenderError(Exception):
    """What was rendered is no YAML, or larger than it may be."""


def split(text: str) -> list[RenderedDocument]:
    """The documents of a render, those without content left out. Raises UnreadableRenderError."""
    found: list[RenderedDocument] = []
    starts = [match.start() for match in _BOUNDARY.finditer(text)]
    for start, end in zip([0, *starts], [*starts, len(text)], strict=True):
        piece = text[start:end].removeprefix("---").strip("\n")
        try:
            roots = yamltext.parse(piece) if piece.strip() else []
        except yamltext.YamlTextError as error:
            raise UnreadableRenderError(error.problem) from None
        roots = [root for root in roots if not (isinstance(root, Scalar) and yamltext.is_null(root))]
        if roots:
            leaves = {path: leaf for number, root in enumerate(roots) for path, leaf in _leaves(root, number)}
            found.append(RenderedDocument(_key(roots[0]), piece + "\n", leaves))
    return found


def _key(root: Node) -> Key:
    named = text_at(root, "metadata", "name") or text_at(root, "metadata", "generateName")
    return (
        text_at(root, "apiVersion") or "",
        text_at(root, "kind") or "",
        text_at(root, "metadata", "namespace") or "",
        named or "",
    )


def _leaves(root: Node, number: int) -> Iterator[tuple[str, Leaf]]:
    waiting: list[tuple[str, Node]] = [(f"{number}:" if number else "", root)]
    while waiting:
        path, raw = waiting.pop()
        node = yamltext.resolve(raw)
        lead = f"{path}." if path and not path.endswith(":") else path
        if isinstance(node, Mapping):
            first: dict[str, Node] = {}
            for key, value in yamltext.entries(node):
                first.setdefault(key, value)
            waiting += [(f"{lead}{key}", value) for key, value in first.items()]
        elif isinstance(node, Sequence):
            waiting += [(f"{lead}{index}", item) for index, item in enumerate(node.items)]
        if isinstance(node, Scalar):
            quoted = "'" if node.style else ""
            yield path, Leaf(f"{quoted}{node.tag or ''}{node.value}", node.start, node.end)
        elif isinstance(node, Mapping | Sequence) and node.size == 1:
            yield path, Leaf("{}" if isinstance(node, Mapping) else "[]")


# --- comparing ------------------------------------------------------------------------------------

Pair = tuple[RenderedDocument | None, RenderedDocument | None]


@dataclass(frozen=True)
class Unstable:
    """What differs between renders of one input: field paths by document, and kinds whose names do."""

    fields: ReadOnlyMap[Key | Kind, frozenset[str]]
    names: frozenset[Kind] = frozenset()

    def of(self, document: RenderedDocument) -> frozenset[str]:
        """The unstable fields of a document."""
        own = self.fields.get(document.key, frozenset())
        return own | self.fields.get(document.kind, frozenset()) if document.kind in self.names else own


STABLE = Unstable({})


def unstable(
    renders: ReadOnlyList[tuple[ReadOnlyList[RenderedDocument], ReadOnlyList[RenderedDocument]]],
) -> Unstable:
    """What differs between the two renders of each input."""
    fields: dict[Key | Kind, set[str]] = defaultdict(set)
    names: set[Kind] = set()
    for one, other in renders:
        known = {document.key for document in one} & {document.key for document in other}
        names |= {document.kind for document in (*one, *other) if document.key not in known}
        for first, second in _pairs(one, other, frozenset(names)):
            if first is None or second is None:
                continue
            paths = differing(first, second)
            fields[first.key] |= paths
            if first.kind in names:
                fields[first.kind] |= paths
    return Unstable({key: frozenset(paths) for key, paths in fields.items() if paths}, frozenset(names))


def changed(
    before: ReadOnlyList[RenderedDocument], after: ReadOnlyList[RenderedDocument], mask: Unstable = STABLE
) -> list[Pair]:
    """The documents that differ but for what is unstable: before and after, None where there is none."""
    return [
        (old, new)
        for old, new in _pairs(before, after, mask.names)
        if old is None or new is None or differing(old, new) - mask.of(old) - mask.of(new)
    ]


def differing(old: RenderedDocument, new: RenderedDocument) -> set[str]:
    """The paths of the fields that are not the same."""
    return {
        path
        for path in {**old.leaves, **new.leaves}
        if path not in old.leaves
        or path not in new.leaves
        or old.leaves[path].value != new.leaves[path].value
    }


def _pairs(
    before: ReadOnlyList[RenderedDocument],
    after: ReadOnlyList[RenderedDocument],
    unnamed: frozenset[Kind],
) -> Iterator[Pair]:
    """Documents of one key side by side; those of a kind whose names are unstable in their order."""
    waiting: dict[Key, list[RenderedDocument]] = defaultdict(list)
    for document in after:
        waiting[document.key].append(document)
    left: list[RenderedDocument] = []
    for document in before:
        same = waiting.get(document.key)
        if same:
            yield document, same.pop(0)
        else:
            left.append(document)
    rest = [document for documents in waiting.values() for document in documents]
    for document in left:
        alike = next((one for one in rest if one.kind == document.kind and one.kind in unnamed), None)
        if alike is not None:
            rest.remove(alike)
        yield document, alike
    yield from ((None, document) for document in rest)


def masked(document: RenderedDocument, mask: Unstable) -> str:
    """The document's text with what is unstable masked, and what a Secret holds hidden."""
    varying = mask.of(document)
    pieces: list[str] = []
    position = 0
    for path, leaf in sorted(document.leaves.items(), key=lambda one: one[1].start):
        secret = document.key[1] == "Secret" and path.startswith(("data.", "stringData."))
        if (secret or path in varying) and leaf.end > leaf.start >= position:
            ends = "\n" if document.text[leaf.start : leaf.end].endswith("\n") else ""  # a block's own
            pieces += [document.text[position : leaf.start], HIDDEN if secret else MASK, ends]
            position = leaf.end
    return "".join([*pieces, document.text[position:]])
