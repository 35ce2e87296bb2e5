"""The text of a proposed configuration, with a remark on everything that is a guess."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promoter.init.tag_files import TagFiles
    from promoter.outcome import FoundEnvironment, Proposed

_HEAD = """\
# How promoter finds and moves the images of this repository, as `promoter init` found it.
# Names told the order and the ways to land: look at each line before it rules anything.
# `promoter schema print config` tells of all keys.
version: 1
"""
_MORE = """\

# apps:                       # images that go together; else each image is an app, called after its last part
#   checkout: {images: [ghcr.io/acme/checkout, ghcr.io/acme/checkout-worker]}
# images:                     # how tags are read, and which may land
#   - {match: "ghcr.io/acme/*", allow: '^v?[0-9]'}
# exclude: ["vendor/**"]      # files that are never read
"""
# Text that is text to every reader of YAML, without quotes.
_PLAIN = re.compile(
    r"(?!(?:y|n|yes|no|on|off|true|false|null|nan|inf)\Z)[A-Za-z][A-Za-z0-9_./-]*", re.IGNORECASE
)
_MOST_OUTSIDE = 3


def render(proposed: Proposed, targets: Sequence[TagFiles], outside: Sequence[str]) -> str:
    """The file. ``outside`` are files with images that belong to no environment."""
    lines = [*_environments(proposed.environments), *_outside(outside), *_targets(targets)]
    return _HEAD + "".join(f"{line}\n" for line in lines) + _MORE


def _environments(environments: Sequence[FoundEnvironment]) -> Iterator[str]:
    yield "environments:"
    for one in environments:
        yield f"  # {_count(one)}"
        if one.paths == (".",):
            yield "  # No directory or file is called like an environment, so this is the whole repository:"
            yield "  # name the parts that staging, production, ... are made of."
        yield f"  {_scalar(one.name)}:"
        paths = [_scalar(path) for path in one.paths]
        yield f"    path: {paths[0] if len(paths) == 1 else '[' + ', '.join(paths) + ']'}"
        if one.after is not None:
            yield f"    after: {_scalar(one.after)}  # proposed: only what runs there may land here"
            yield "    # soak: 1h  # for at least that long"
        if one.publish != "push":
            yield f"    publish: {one.publish}  # proposed: somebody looks first; push lands at once"


def _count(one: FoundEnvironment) -> str:
    if not one.images:
        return "no image stands here: bump finds none, or adds an entry to a kustomization with --create"
    images = "1 image" if one.images == 1 else f"{one.images} images"
    return f"{images} ({', '.join(one.formats)})"


def _outside(files: Sequence[str]) -> Iterator[str]:
    names = list(dict.fromkeys(files))
    if names:
        more = f" and {len(names) - _MOST_OUTSIDE} more files" if len(names) > _MOST_OUTSIDE else ""
        shown = ", ".join(json.dumps(name) for name in names[:_MOST_OUTSIDE])
        yield f"  # In no environment, though images stand there: {shown}{more}"


def _targets(targets: Sequence[TagFiles]) -> Iterator[str]:
    if not targets:
        return
    known = [one for one in targets if one.image is not None]
    yield ""
    yield "# Files that hold a tag, and not of which image." + (
        "" if known else " Say it, and uncomment them:"
    )
    yield "targets:" if known else "# targets:"
    for one in targets:
        image = one.image or "REGISTRY/OWNER/{app}"
        words = {"file": one.file, "tag": _key_path(one.tag), "image": image}
        entry = ", ".join(f"{key}: {json.dumps(word)}" for key, word in words.items())
        yield f"{' ' if one.image is not None else '# '} - {{{entry}}}"


def _key_path(key: str) -> str:
    return f'"{key}"' if "." in key else key


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
