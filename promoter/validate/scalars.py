"""What a scalar means to the readers of Kubernetes: kubectl, Argo CD, Flux, Helm and kubeconform.

They read YAML with sigs.k8s.io/yaml, which is YAML 1.1 as go.yaml.in/yaml/v2 has it (its
resolve.go): ``yes`` and ``on`` are true, ``0644`` is octal, dates and ``1:30`` are text. What
YAML 1.2 readers (YAML 1.2.2 §10.3) take for something else is told apart by `is_ambiguous`.
"""

from __future__ import annotations

import base64
import binascii
import math
import re

TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
FALSE = frozenset(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_CORE_BOOLEANS = frozenset(("true", "True", "TRUE", "false", "False", "FALSE"))
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_INTEGER = re.compile(r"[-+]?(?:0[bB][01]+|0[oO][0-7]+|0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SMALL = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z")
_MAYBE_NOT_TEXT = frozenset("+-.0123456789yYnNtTfFoO~")
_LONGEST_NUMBER = 400
_TAG = "tag:yaml.org,2002:"
_FITS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}

Plain = str | int | float | bool | None


class ScalarError(Exception):
    """No value can be had: the tag does not fit, or JSON has no such number."""


def plain_value(text: str) -> Plain:
    """The value of a plain scalar without a tag. Raises ScalarError for infinite numbers and NaN."""
    if not text:
        return None
    if text[0] not in _MAYBE_NOT_TEXT:
        return text
    if _SMALL.match(text):
        return int(text)
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    if text in _NULL:
        return None
    return _number(text) if text[0] in "+-.0123456789" else text


def _number(text: str) -> Plain:
    if _NOT_FINITE.match(text):
        raise ScalarError(f"{text} is a number that JSON does not have")
    if len(text) > _LONGEST_NUMBER:
        return text
    bare = text if text[0] == "." else text.replace("_", "")
    if _INTEGER.match(bare):
        number = _integer(bare)
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.match(bare):
        decimal = float(bare)
        if math.isfinite(decimal):
            return decimal
    return text


def _integer(bare: str) -> int:
    sign, digits = (bare[0], bare[1:]) if bare[0] in "+-" else ("", bare)
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    return int(sign + digits, 8 if octal else 0)


def tagged_value(text: str, tag: str) -> Plain:
    """The value of a scalar with an explicit tag. Raises ScalarError where the text does not fit it."""
    kind = tag.removeprefix(_TAG) if tag.startswith(_TAG) else ""
    if kind == "binary":
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
        except binascii.Error:
            raise ScalarError("a !!binary value is not base64") from None
    fits = _FITS.get(kind)
    if fits is None:
        return text  # !!str, !!timestamp, and tags of other programs
    value = plain_value(text)
    if not isinstance(value, fits) or (kind in ("int", "float") and isinstance(value, bool)):
        raise ScalarError(f"{text[:40]!r} is no !!{kind}")
    return value


def is_ambiguous(text: str) -> bool:
    """Whether a plain scalar is a boolean to YAML 1.1 readers and text to YAML 1.2 readers."""
    return (text in TRUE or text in FALSE) and text not in _CORE_BOOLEANS


def key_of(value: Plain) -> str:
    """The JSON key that a key becomes: ``true``, ``1``. Raises ScalarError for null."""
    if isinstance(value, str):
        return value
    if value is None:
        raise ScalarError("a key is null")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
