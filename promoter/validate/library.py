"""Which schema a document is held against: the user's, those of imported CRDs, promoter's own, Kubernetes's.

Schemas are data. None of them is fetched, and a ``$ref`` leads only to another schema of the
repository.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from promoter.errors import ConfigError
from promoter.paths import matches_any
from promoter.schema_files import read_schema
from promoter.validate import kubernetes
from promoter.validate.shipped import shipped
from promoter.validate.words import Mistake, mistakes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from promoter.config.validate import ValidateSettings
    from promoter.validate.tree import Tree

_ROOT = "promoter:///"
_BY_PATH = re.compile(r"(?:^|/)([a-z0-9.-]+)/([a-z0-9]+)_(v[0-9][a-z0-9]*)\.json\Z")
OWN_FILE = ".promoter.yaml"
MAX_WEIGHT = 20_000


@dataclass(frozen=True)
class LoadedSchema:
    """A schema of the repository, by its path, and the documents it is for, as in ``UserSchema``."""

    path: str
    content: bytes
    files: str | None = None
    kind: str | None = None


def load_schemas(settings: ValidateSettings, tree: Tree) -> tuple[LoadedSchema, ...]:
    """What ``validate.schemas`` and ``validate.crds`` name, read from one state of the repository.

    Raises:
        ConfigError: a schema that is named is not there.
    """
    wanted: list[tuple[str, str | None, str | None]] = []
    paths = tree.paths()
    for one in settings.schemas:
        found = [path for path in paths if path.endswith(".json") and matches_any(path, (one.schema,))]
        if not found:
            raise ConfigError(
                f"validate.schemas: {one.schema} matches no .json file",
                next_step="correct the path, or commit the schema",
                reason="schema-absent",
            )
        wanted += [(path, one.files, one.kind) for path in sorted(found)]
    if settings.crds is not None:
        below = [path for path in paths if path.endswith(".json") and matches_any(path, (settings.crds,))]
        wanted += [(path, None, None) for path in sorted(below)]
    contents = tree.read({path for path, _, _ in wanted})
    return tuple(LoadedSchema(path, contents[path], files, kind) for path, files, kind in wanted)


@dataclass(frozen=True)
class Check:
    """A schema that is ready to be used."""

    schema: Any
    engine: Any

    def mistakes(self, value: object, weight: int = 1) -> list[Mistake]:
        """What is wrong with a value; nothing where it is valid. Of a very large one only the first mistake.

        ``weight`` is how many values it holds: each may be wrong, and the engine makes all errors at once.
        """
        if self.engine.is_valid(value):
            return []
        if weight <= MAX_WEIGHT:
            return mistakes(self.engine.iter_errors(value), self.schema)
        try:
            self.engine.validate(value)
        except Exception as error:  # noqa: BLE001 - the engine's own, whose module is imported lazily
            return mistakes([error], self.schema)
        return []


@cache
def shipped_kinds() -> dict[str, dict[str, Any]]:
    """The schemas of promoter's own for what GitOps tools add to Kubernetes, by folded kind."""
    schemas = [json.loads(file.read_bytes()) for file in sorted(shipped("kinds").glob("*.json"))]
    return {kubernetes.folded(kind): schema for schema in schemas for kind in _said_kinds(schema)}


class Library:
    """All schemas of a run. The user's are read at once, those that are shipped when a kind asks for them.

    Raises:
        ConfigError: a schema cannot be used, or the Kubernetes version is not bundled.
    """

    def __init__(self, version: str | None = None, loaded: Sequence[LoadedSchema] = ()) -> None:
        self.version = version
        self.loaded = loaded
        self._checks: dict[str, Check | None] = {}
        self._documents = {one.path: _parsed(one) for one in loaded}
        self.by_kind: dict[str, LoadedSchema] = {}
        for one in loaded:
            for kind in _kinds(one, self._documents[one.path]):
                self.by_kind.setdefault(kubernetes.folded(kind), one)
        self.by_files = [one for one in loaded if one.files is not None]
        for one in {**self.by_kind, **{one.path: one for one in self.by_files}}.values():
            self._check_of(one)  # what cannot be used shall be known before anything is judged

    @cached_property
    def kubernetes(self) -> kubernetes.Schemas:
        """The schemas of the configured Kubernetes version."""
        return kubernetes.load(self.version)

    def document(self, one: LoadedSchema) -> Any:  # noqa: ANN401 - JSON
        """A loaded schema as data."""
        return self._documents[one.path]

    @property
    def helpers(self) -> list[str]:
        """The schemas that are for no document: they serve others, or are there by mistake."""
        used = {one.path for one in self.by_kind.values()} | {one.path for one in self.by_files}
        return [one.path for one in self.loaded if one.path not in used]

    def for_file(self, path: str) -> list[Check]:
        """The checks that a file's name asks for."""
        return [self._check_of(one) for one in self.by_files if matches_any(path, (one.files or "",))]

    def for_kind(self, kind: str) -> Check | None:
        """The check of ``apps/v1/Deployment``; None where nobody has a schema for it."""
        if kind not in self._checks:
            self._checks[kind] = self._find(kind)
        return self._checks[kind]

    def own_file(self) -> Check:
        """The check of promoter's configuration."""
        if OWN_FILE not in self._checks:
            self._checks[OWN_FILE] = _check(read_schema("promoter"), OWN_FILE)
        check = self._checks[OWN_FILE]
        assert check is not None  # noqa: S101 - it is shipped
        return check

    def schema(self, kind: str) -> Any:  # noqa: ANN401 - JSON
        """The schema that promoter ships for a kind; None where it ships none."""
        return shipped_kinds().get(kubernetes.folded(kind)) or self.kubernetes.schema(kind)

    def user_schema(self, kind: str) -> LoadedSchema | None:
        """The schema that the repository has for a kind."""
        return self.by_kind.get(kubernetes.folded(kind))

    def _find(self, kind: str) -> Check | None:
        user = self.user_schema(kind)
        if user is not None:
            return self._check_of(user)
        schema = self.schema(kind)
        return _check(schema, kind) if schema is not None else None

    def _check_of(self, one: LoadedSchema) -> Check:
        key = f"{_ROOT}{one.path}"
        if key not in self._checks:
            self._checks[key] = _check(self._documents[one.path], one.path, self._registry)
        check = self._checks[key]
        assert check is not None  # noqa: S101 - just put there
        return check

    @cached_property
    def _registry(self) -> Any:  # noqa: ANN401 - jsonschema_rs
        """What a ``$ref`` of the user's can lead to: the user's schemas."""
        try:
            return _registry_of(self._documents)
        except ConfigError as error:
            # The engine does not say in which of them the reference stands.
            for path in self._documents:
                with contextlib.suppress(ConfigError):
                    _registry_of({other: one for other, one in self._documents.items() if other != path})
                    error.file = path
                    break
            raise


def _registry_of(documents: dict[str, Any]) -> Any:  # noqa: ANN401 - jsonschema_rs
    import jsonschema_rs

    entries = [(_uri(path), schema) for path, schema in documents.items()]
    try:
        return jsonschema_rs.Registry(entries, retriever=_fetch_nothing)
    except (ValueError, jsonschema_rs.ReferencingError, jsonschema_rs.ValidationError) as error:
        raise _unusable(None, error) from None


def _uri(path: str) -> str:
    return _ROOT + quote(path)


def _fetch_nothing(uri: str) -> Any:  # noqa: ANN401 - what it would return, if it did
    raise ValueError(f"{uri} is not a schema of the repository")


def _parsed(one: LoadedSchema) -> Any:  # noqa: ANN401 - JSON
    try:
        schema = json.loads(one.content)
    except RecursionError:
        raise ConfigError("the schema is nested too deeply", file=one.path, reason="schema") from None
    except ValueError as error:  # of decoding, too
        raise ConfigError(
            f"the schema is not JSON: {error}",
            file=one.path,
            line=getattr(error, "lineno", None),
            next_step="write it as JSON",
            reason="schema",
        ) from None
    if not isinstance(schema, dict):
        raise ConfigError("a schema must be a mapping", file=one.path, reason="schema")
    return schema


def _check(schema: Any, path: str, registry: Any = None) -> Check:  # noqa: ANN401 - JSON, jsonschema_rs
    import jsonschema_rs  # which costs too much for runs that need it not

    settings: dict[str, Any] = {"offline": True, "base_uri": _uri(path)}
    if registry is not None:
        settings["registry"] = registry
    # Linear in the text, as Go's and the API server's are; a pattern that looks around needs the other one.
    linear, around = jsonschema_rs.RegexOptions(), jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000)
    try:
        try:
            engine = jsonschema_rs.validator_for(schema, pattern_options=linear, **settings)
        except jsonschema_rs.ValidationError:
            engine = jsonschema_rs.validator_for(schema, pattern_options=around, **settings)
    except (ValueError, jsonschema_rs.ReferencingError, jsonschema_rs.ValidationError) as error:
        raise _unusable(path, error) from None
    return Check(schema, engine)


def _unusable(path: str | None, error: Exception) -> ConfigError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ConfigError(
        f"the schema cannot be used: {first}",
        file=path,
        next_step="correct it; a $ref leads to another schema of the repository, never to the network",
        reason="schema",
    )


def _kinds(one: LoadedSchema, schema: dict[str, Any]) -> Iterable[str]:
    """The kinds that a schema is for: as configured, else as it says itself, else by its path."""
    if one.kind is not None:
        return (one.kind,)
    if one.files is not None:
        return ()
    return list(_said_kinds(schema)) or list(_kind_by_path(one.path))


def _said_kinds(schema: dict[str, Any]) -> Iterator[str]:
    said = schema.get("x-kubernetes-group-version-kind")
    for entry in said if isinstance(said, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("kind"), str):
            parts = (entry.get("group"), entry.get("version"), entry["kind"])
            yield posixpath.join(*(str(part) for part in parts if part))
    if not said:
        for version in _allowed(schema, "apiVersion"):
            yield from (f"{version}/{kind}" for kind in _allowed(schema, "kind"))


def _allowed(schema: dict[str, Any], name: str) -> list[str]:
    """The texts that a property of a schema may have, where these are listed."""
    properties = schema.get("properties")
    one = properties.get(name) if isinstance(properties, dict) else None
    values = one.get("enum", [one.get("const")]) if isinstance(one, dict) else []
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _kind_by_path(path: str) -> Iterator[str]:
    """``acme.io/widget_v1.json`` is for ``acme.io/v1/widget``; the case of the kind is not told."""
    found = _BY_PATH.search(path)
    if found:
        group, kind, version = found.groups()
        yield f"{version}/{kind}" if group == version else f"{group}/{version}/{kind}"
