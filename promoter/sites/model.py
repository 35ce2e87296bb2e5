"""What a site is, and how a file is read and walked to find them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from promoter import templates, yamltext
from promoter.yamltext import Alias, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from promoter.image import ImageReference

Role = Literal["reference", "tag", "digest", "name"]

_MOST_SHARED = 64 * 1024  # characters of a file whose places are kept from one format to the next


@dataclass(frozen=True, slots=True)
class Part:
    """One scalar of a site. A ``tag`` may carry a digest behind an ``@``.

    ``before`` and ``after`` are the text of the scalar around it: ``${VAR:-`` and ``}``;
    ``implied`` is what its readers put before it themselves: ``sha256:``.
    """

    role: Role
    scalar: Scalar
    before: str = ""
    after: str = ""
    implied: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One place in one file that holds an image reference, or a part of it.

    ``where`` names the place across versions of the file (document and key path, list
    items by their ``name``). ``reference`` is what readers make of it. ``shadowed_by`` is
    the ``file:line`` that overrides the site; ``problem`` says why it cannot be edited.
    ``shares`` are the names of other images whose sites hold one of the same scalars.
    ``within`` are the scalars, outermost first, whose text the site's own document is.
    ``marker`` is the policy, ``namespace:name``, of a Flux ``$imagepolicy`` comment beside it;
    ``new_name`` the name that an edit writes where the marker lets it. ``is_new`` says that
    the entry of a kustomization does not stand there yet: an edit adds it.
    """

    file: str
    line: int
    format: str
    where: str
    reference: ImageReference
    parts: tuple[Part, ...]
    shadowed_by: str | None = None
    problem: str | None = None
    shares: tuple[str, ...] = ()
    within: tuple[Scalar, ...] = ()
    marker: str | None = None
    new_name: str | None = None
    is_new: bool = False


class UnreadableFileError(Exception):
    """The file cannot be read as YAML; ``line`` is 1-based where known."""

    def __init__(self, file: str, why: str, line: int | None = None) -> None:
        super().__init__(f"{file}: {why}")
        self.file = file
        self.why = why
        self.line = line


@dataclass(frozen=True, slots=True, eq=False)
class ManifestFile:
    """A file as text without byte order mark, and its parsed documents. Equal to itself alone.

    ``is_template`` says that Go template actions were masked to parse it.
    """

    path: str
    text: str
    has_bom: bool
    documents: tuple[Node, ...]
    is_template: bool = False

    def encode(self, text: str) -> bytes:
        """The bytes of an edited text, with the byte order mark that the file had."""
        return ((yamltext.BOM if self.has_bom else "") + text).encode("utf-8")


def read_manifest(path: str, data: bytes) -> ManifestFile:
    """Decode and parse one file. Raises UnreadableFileError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFileError(path, f"not UTF-8 (byte {error.start})", line) from None
    has_bom = text.startswith(yamltext.BOM)
    text = text.removeprefix(yamltext.BOM)
    try:
        return ManifestFile(path, text, has_bom, tuple(yamltext.parse(text)))
    except yamltext.YamlTextError as error:
        problem = error
    if templates.has_actions(text):
        try:
            return ManifestFile(path, text, has_bom, tuple(yamltext.parse(templates.mask(text))), True)
        except yamltext.YamlTextError as error:
            problem = error
    raise UnreadableFileError(path, problem.problem, problem.line)


class Place(NamedTuple):
    """A node on the walk through a document.

    ``keys`` are the mapping keys that lead to it (list positions left out), ``step`` is the
    way from ``parent`` as text, ``duplicate`` the line of a key on the path that stands twice.
    """

    node: Node
    keys: tuple[str, ...]
    step: str
    parent: Place | None = None
    duplicate: int | None = None

    @property
    def where(self) -> str:
        """The whole path as text."""
        return self.parent.where + self.step if self.parent is not None else self.step

    @property
    def in_list(self) -> bool:
        """Whether it is an item of a list."""
        return self.parent is not None and isinstance(self.parent.node, Sequence)


def walk(file: ManifestFile) -> Iterator[Place]:
    """Every node of every document in file order, aliases resolved but not descended into."""
    return iter(_places(file)) if len(file.text) <= _MOST_SHARED else _walk(file)


@lru_cache(maxsize=4)
def _places(file: ManifestFile) -> tuple[Place, ...]:
    """The walk of a file, which one format after the other goes."""
    return tuple(_walk(file))


def _walk(file: ManifestFile) -> Iterator[Place]:
    for number, root in enumerate(file.documents):
        pending = [Place(root, (), document_label(root, number))]
        while pending:
            place = pending.pop()
            yield place
            pending.extend(reversed(list(_children(place))))


def _children(place: Place) -> Iterator[Place]:
    node = place.node
    if isinstance(node, Mapping):
        again = _lines_again(node)
        for key, value in node.pairs:
            name = yamltext.resolve(key)
            if isinstance(name, Scalar):
                duplicate = again.get(name.value, place.duplicate)
                yield _child(place, value, (*place.keys, name.value), f".{name.value}", duplicate)
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield _child(place, item, place.keys, item_label(item, index), place.duplicate)


def _lines_again(mapping: Mapping) -> dict[str, int]:
    """The keys that stand more than once in the mapping itself, with the line of the last."""
    seen: set[str] = set()
    again: dict[str, int] = {}
    for key, _ in mapping.pairs:
        name = yamltext.resolve(key)
        if isinstance(name, Scalar):
            if name.value in seen:
                again[name.value] = name.line
            seen.add(name.value)
    return again


def stands_again(mapping: Mapping, keys: Iterable[str]) -> int | None:
    """The line where one of these keys stands again in the mapping itself; None where none does."""
    again = _lines_again(mapping)
    return next((again[key] for key in keys if key in again), None)


def _child(parent: Place, value: Node, keys: tuple[str, ...], step: str, duplicate: int | None) -> Place:
    # What an alias stands for is walked where its anchor is; only its scalar is a place here.
    if isinstance(value, Alias):
        value = value.target if isinstance(value.target, Scalar) else Sequence(value.line)
    return Place(value, keys, step, parent, duplicate)


def document_label(root: Node, number: int) -> str:
    """``Kind/name`` where a document says so, else its number: stable when others move."""
    if isinstance(root, Mapping):
        kind = yamltext.scalar_value(yamltext.get(root, "kind"))
        metadata = yamltext.get(root, "metadata")
        name = (
            yamltext.scalar_value(yamltext.get(metadata, "name")) if isinstance(metadata, Mapping) else None
        )
        if kind and name:
            return f"{kind}/{name}"
    return f"#{number}"


def item_label(item: Node, index: int) -> str:
    """``[name=api]`` for a list item that has a name, else ``[0]``."""
    node = yamltext.resolve(item)
    name = yamltext.scalar_value(yamltext.get(node, "name")) if isinstance(node, Mapping) else None
    return f"[name={name}]" if name else f"[{index}]"


def split_tag(text: str) -> tuple[str | None, str | None]:
    """The tag and digest that a tag value holds: ``1.2@sha256:…`` has both, empty neither."""
    tag, at, digest = text.partition("@")
    return tag or None, digest if at and digest else None
