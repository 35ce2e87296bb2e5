"""Configuration text → data that follows the schema, or the first thing that is wrong with it.

Import this module where a configuration is parsed, not at the top: jsonschema and
ruamel.yaml cost 120 ms.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker

from promoter.config import gates, grammar, times
from promoter.config import validate_grammar as validation
from promoter.config.grammar import shorten
from promoter.config.read import Node, Problem, describe, read_yaml
from promoter.errors import ConfigError
from promoter.schema_files import read_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# jsonschema's ValidationError; its stubs admit values that it never has once it is raised.
_Error = Any

_KINDS = {
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
    "integer": "a whole number",
}


def checked(text: str, file: str, *, version: str) -> tuple[dict[str, Any], Node]:
    """Return the configuration's data, which follows schema and grammars, and where it stands.

    Raises:
        ConfigError: with reason ``requires`` when the file asks for another version of
            promoter, else for the first problem in the file, the others counted.
    """
    root, problems = read_yaml(text, file)
    # Before anything else: to an older promoter a newer file's keys are unknown, which misleads.
    _check_requires(root, file, version)
    plain: dict[str, Any] = root.plain()
    validator = Draft202012Validator(read_schema("promoter"), format_checker=_formats())
    for error in validator.iter_errors(plain):
        problems.extend(_explain(error, root))
    if problems:
        found = sorted(set(problems))
        raise found[0].error(file, more=len(found) - 1)
    return plain, root


def problem_at_key(root: Node, keys: Iterable[str], message: str, next_step: str) -> Problem:
    """Return a problem with what stands under a path of keys, placed at the last of them."""
    node, place = root, root
    for key in keys:
        node, place = _at(node, [key]), node.keys[key]
    return _problem(place, message, next_step)


def problem_at(root: Node, steps: Iterable[str | int], message: str, next_step: str) -> Problem:
    """Return a problem with the value at a path of keys and indexes, placed there."""
    return _problem(_at(root, steps), message, next_step)


def _check_requires(root: Node, file: str, version: str) -> None:
    node = root.value.get("requires") if isinstance(root.value, dict) else None
    if node is None or not isinstance(node.value, str):
        return
    try:
        clause = grammar.unsatisfied(node.value, version)
    except ValueError:
        return  # the schema's format reports it in its turn
    if clause:
        upgrade = clause.startswith((">", "=="))
        raise ConfigError(
            f"line {node.line}, column {node.column}: "
            f"the file requires promoter {shorten(node.value)}, this is {version}, which is not {clause}",
            file=file,
            line=node.line,
            next_step=f"{'upgrade to' if upgrade else 'use'} a promoter that is {node.value.strip()}",
            reason="requires",
        )


def _formats() -> FormatChecker:
    """Return the checker of the schema's ``promoter-…`` formats, and of no others."""
    checker = FormatChecker(formats=())
    _add_format(checker, "promoter-path", grammar.repository_path)
    _add_format(checker, "promoter-literal-path", validation.literal_path)
    _add_format(checker, "promoter-requires", lambda text: grammar.unsatisfied(text, "0"))
    _add_format(checker, "promoter-template", grammar.check_placeholders)
    _add_format(checker, "promoter-target-file", grammar.repository_path, grammar.check_placeholders)
    _add_format(checker, "promoter-key-path", grammar.parse_key_path, grammar.check_placeholders)
    _add_format(checker, "promoter-author", grammar.check_author)
    _add_format(checker, "promoter-text", grammar.check_text)
    _add_format(checker, "promoter-title", grammar.check_title)
    _add_format(checker, "promoter-body", grammar.check_body)
    _add_format(checker, "promoter-branch-prefix", grammar.check_branch_prefix)
    _add_format(checker, "promoter-branch", grammar.check_branch)
    _add_format(checker, "promoter-repository", gates.check_repository)
    _add_format(checker, "promoter-span", gates.parse_span)
    _add_format(checker, "promoter-pattern", gates.check_pattern)
    _add_format(checker, "promoter-platform", gates.check_platform)
    _add_format(checker, "promoter-freeze-time", times.parse_freeze_time)
    _add_format(checker, "promoter-timezone", times.time_zone)
    _add_format(checker, "promoter-duration", validation.parse_duration)
    _add_format(checker, "promoter-kubernetes", validation.check_kubernetes)
    _add_format(checker, "promoter-kind", validation.check_kind)
    _add_format(checker, "promoter-group-kind", validation.check_group_kind)
    _add_format(checker, "promoter-release", validation.check_release)
    _add_format(checker, "promoter-namespace", validation.check_namespace)
    _add_format(checker, "promoter-command-name", validation.check_command_name)
    _add_format(checker, "promoter-argument", validation.check_argument)
    checker.checks("promoter-run", raises=ValueError)(_is_run)
    checker.checks("promoter-freeze", raises=ValueError)(_is_freeze)
    return checker


def _add_format(checker: FormatChecker, name: str, *checks: Callable[[str], object]) -> None:
    def conforms(value: object) -> bool:
        if isinstance(value, str):  # other types are the business of "type"
            for check in checks:
                check(value)
        return True

    checker.checks(name, raises=ValueError)(conforms)


def _is_freeze(value: object) -> bool:
    """Check a freeze as a whole, where both of its ends are times."""
    ends = (value.get("from"), value.get("to")) if isinstance(value, dict) else ()
    try:
        read = [times.parse_freeze_time(end) for end in ends if isinstance(end, str)]
    except ValueError:
        return True  # the end's own format reports it
    if len(read) == 2:
        times.check_freeze(*ends)
    return True


def _is_run(value: object) -> bool:
    """Check the program of a command: the arguments have formats of their own."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        validation.check_program(value[0])
    return True


def _explain(error: _Error, root: Node) -> Iterator[Problem]:
    """Turn one of jsonschema's errors into problems with a place and words of our own."""
    steps = list(error.absolute_path)
    node = _at(root, steps)
    name = _dotted(steps)
    match error.validator:
        case "required" | "anyOf" | "minProperties" if node.partial:
            pass  # what seems missing may be what was left out, and that is a problem already
        case "additionalProperties":
            yield from _unknown_keys(error, node, name)
        case "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            if not _mistyped(error, missing):
                keys = " and ".join(repr(key) for key in missing)
                yield _problem(node, f"{name or 'the file'} lacks {keys}", f"add {keys}")
        case "anyOf":
            wanted = [key for choice in error.validator_value for key in choice["required"]]
            if not _mistyped(error, wanted):
                keys = ", ".join(repr(key) for key in wanted)
                yield _problem(node, f"{name} needs at least one of {keys}", "add one of them")
        case "pattern" if "propertyNames" in error.absolute_schema_path:
            yield _bad_name(error, node, name)
        case _:
            yield _problem(node, *_bad_value(error, node, name))


def _unknown_keys(error: _Error, node: Node, name: str) -> Iterator[Problem]:
    known = list(error.schema["properties"])
    for key in _extras(error):
        hint = _did_you_mean(key, known)
        place = f" in {name}" if name else ""
        step = f"known here: {', '.join(known)}; another key needs a promoter that knows it"
        yield _problem(node.keys[key], f"unknown key {shorten(key)}{place}{hint}", step)


def _extras(error: _Error) -> list[str]:
    return [key for key in error.instance if key not in error.schema["properties"]]


def _mistyped(error: _Error, missing: Iterable[str]) -> bool:
    """Tell whether a key only seems missing: one that is misspelt is reported as that."""
    extras = _extras(error)
    return any(_closest(key, extras) for key in missing)


def _bad_name(error: _Error, node: Node, name: str) -> Problem:
    expected = "letters, digits, '.', '_' and '-', the first a letter or digit"
    message = f"{shorten(error.instance)} cannot be a name in {name}; expected {expected}"
    return _problem(node.keys[error.instance], message, "rename it")


def _bad_value(error: _Error, node: Node, name: str) -> tuple[str, str]:
    """Return message and next step for a value that has a place of its own."""
    match error.validator:
        case "type":
            return _bad_type(error, node, name)
        case "const":
            step = "write version: 1, or use the promoter that the file was written for"
            return f"{name} must be {error.validator_value}, not {describe(node)}", step
        case "enum":
            values = [str(value) for value in error.validator_value]
            hint = _did_you_mean(error.instance, values) if isinstance(error.instance, str) else ""
            choice = values[0] if len(values) == 1 else "one of " + ", ".join(values)
            return f"{name} must be {choice}, not {describe(node)}{hint}", f"write {' or '.join(values)}"
        case "minItems" | "minProperties" | "minLength":
            return f"{name} is empty", "give it a value or remove it"
        case "minimum":
            return (
                f"{name} must be at least {error.validator_value}, not {describe(node)}",
                "correct the value",
            )
        case "format":
            return f"{name}: {error.cause}", "correct the value"
        case "not":
            other = list(error.absolute_schema_path)
            key = other[other.index("dependentSchemas") + 1]
            return f"{name} cannot stand beside {key!r}", "keep one of them"
        case _:
            return f"{name}: {error.message}", "correct the value"


def _bad_type(error: _Error, node: Node, name: str) -> tuple[str, str]:
    wanted = error.validator_value
    kinds = [wanted] if isinstance(wanted, str) else wanted
    expected = " or ".join(_KINDS[kind] for kind in kinds)
    step = f"write {expected}"
    if "string" in kinds and isinstance(node.value, (bool, float)):
        step = f'write it in quotes: "{node.text}"'
    return f"{name} must be {expected}, not {describe(node)}", step


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = _closest(word.lower(), known)
    return f"; did you mean {close[0]!r}?" if close else ""


def _closest(word: str, known: Iterable[str]) -> list[str]:
    # Stricter than difflib's default, which takes "markers" for "images".
    return get_close_matches(word, list(known), n=1, cutoff=0.65)


def _at(root: Node, steps: Iterable[str | int]) -> Node:
    node: Any = root
    for step in steps:
        node = node.value[step]
    found: Node = node
    return found


def _dotted(steps: Iterable[str | int]) -> str:
    """Write a place as a person would: ``targets[0].file``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def _problem(node: Node, message: str, next_step: str) -> Problem:
    return Problem(node.line, node.column, message, next_step)
