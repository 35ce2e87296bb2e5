"""On which line a place in a document stands: looked up only where something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promoter import yamltext

if TYPE_CHECKING:
    from promoter.validate.values import Steps
    from promoter.yamltext import Node

_Children = dict[str | int, tuple[int, "Node"]]


class Lines:
    """The lines of one document, counted from 1 where its text begins."""

    def __init__(self, text: str) -> None:
        try:
            self._root = next(iter(yamltext.parse(text)), None)
        except yamltext.YamlTextError:  # the findings say it already
            self._root = None
        self._known: dict[int, _Children] = {}  # by the identities of nodes, which live as long as the root

    def line(self, steps: Steps) -> int:
        """Where the last of these steps is taken, or else the one nearest to it that the document has."""
        if self._root is None:
            return 1
        line, node = self._root.line, self._root
        for step in steps:
            found = self._children(yamltext.resolve(node)).get(step)
            if found is None:
                break
            line, node = found
        return line

    def _children(self, node: Node) -> _Children:
        children = self._known.get(id(node))
        if children is None:
            children = self._known[id(node)] = _index(node)
        return children


def _index(node: Node) -> _Children:
    """What is one step below a node: the line of the key, or of the item, and what it leads to."""
    children: _Children = {}
    if isinstance(node, yamltext.Sequence):
        children.update((number, (item.line, item)) for number, item in enumerate(node.items))
    elif isinstance(node, yamltext.Mapping):
        # Those that << brings come last, and lose.
        for merged, value in reversed(list(yamltext.entries(node))):
            children[merged] = (value.line, value)
        for key, value in node.pairs:  # of a key that stands twice the last one is read
            name = yamltext.resolve(key)
            if isinstance(name, yamltext.Scalar):
                children[name.value] = (key.line, value)
    return children
