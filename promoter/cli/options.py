"""Options that several verbs share, and how they are read."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from promoter.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promoter.cli.output import Output
    from promoter.intent import Origin
    from promoter.options import Style, ValidateOptions
    from promoter.session import Caller

_LONGEST_REASON = 500
F = TypeVar("F", bound="Callable[..., Any]")


class _Line(click.ParamType[str]):
    """Text; in an environment variable one value a line."""

    name = "text"
    envvar_list_splitter = "\n"


def option(name: str, *more: str, **settings: Any) -> Callable[[F], F]:  # noqa: ANN401 - handed to click as it is
    """An option that also reads ``PROMOTER_<OPTION>``."""
    variable = "PROMOTER_" + name.removeprefix("--").upper().replace("-", "_")
    return click.option(name, *more, envvar=variable, show_envvar=False, **settings)


def repeatable(name: str, **settings: Any) -> Callable[[F], F]:  # noqa: ANN401 - as above
    """An option that may be given several times; newline-separated in its variable."""

    def without_blanks(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(stripped for value in values if (stripped := value.strip("\r\n ")))

    return option(name, multiple=True, type=_Line(), callback=without_blanks, **settings)


def _form(*forms: str) -> Callable[[F], F]:
    return option(
        "--output", type=click.Choice(forms), default="text", show_default=True, help="Form of the result."
    )


_REPORTING = (
    option(
        "--deadline",
        type=click.FloatRange(min=1, max=86400),
        default=300,
        show_default=True,
        metavar="SECONDS",
        help="Give up after that long.",
    ),
    option(
        "--report-dir",
        metavar="DIR",
        help="Write promotion.env, promotion.json and gl-code-quality-report.json there, for CI.",
    ),
    option("--verbose", "-v", is_flag=True, help="Say what every attempt does."),
    option("--debug", is_flag=True, help="Show every program run, and tracebacks."),
)
_OUTPUT = (_form("text", "json"), *_REPORTING)
_MANIFEST_REPO = option(
    "--manifest-repo", metavar="URL|PATH", help="The Git repository that the GitOps agent deploys from."
)
_CONFIG = option(
    "--config",
    metavar="FILE",
    help="A local configuration; by default .promoter.yaml at the base commit.",
)
_FORGE_API = option(
    "--forge-api",
    metavar="URL",
    help="The forge's API, where it is not found at the manifest repository's host.",
)
_PLACE = (
    _MANIFEST_REPO,
    option("--base", metavar="BRANCH", help="The branch to land on; by default the remote's HEAD."),
    _CONFIG,
    _FORGE_API,
)
_REPOSITORY = (
    *_PLACE,
    option("--env", metavar="NAME", help="An environment of the configuration."),
    repeatable("--path", metavar="DIR", help="Without a configuration: a directory that is the environment."),
)
_LOOKING = (
    _MANIFEST_REPO,
    option("--base", metavar="BRANCH", help="The branch to look at; by default the remote's HEAD."),
    _CONFIG,
)
_PRESENCE = click.Choice(["auto", "required", "off"])
_VALIDATION = (
    option("--kubernetes", metavar="VERSION", help="The cluster's version, as 1.33, for validation."),
    option("--kubeconform", type=_PRESENCE, help="Whether kubeconform looks at the change too."),
    option("--kubeconform-path", metavar="PROGRAM", help="Where kubeconform is; by default on PATH."),
    option("--render", type=_PRESENCE, help="Whether kustomizations and charts are rendered to compare."),
    option("--allow-commands", is_flag=True, help="Run the validate.commands that the configuration names."),
)
_SOURCE = (
    option("--source", metavar="REV", help="The source revision that was built."),
    option("--source-time", metavar="TIME", help="Its commit time, ISO 8601 with zone."),
    option("--source-branch", metavar="NAME", help="The branch that it was built on."),
    option("--order", metavar="NAMESPACE#N", help="The run's number within its pipeline: orders builds."),
)
_PUBLISHING = (
    option(
        "--publish",
        type=click.Choice(["push", "pull-request"]),
        help="How to land; by default what the environment's configuration says, else push.",
    ),
    option("--run-url", metavar="URL", help="Where the CI run can be looked at."),
    option("--actor", metavar="NAME", help="Who or what started it."),
)
_DRY_RUN = option("--dry-run", is_flag=True, help="Show what would change and stop.")
_LANDING = (
    *_VALIDATION,
    *_PUBLISHING,
    option(
        "--override",
        metavar="REASON",
        help="Pass the gates but holds, where the configuration allows it; the reason is recorded.",
    ),
    _DRY_RUN,
    *_OUTPUT,
)
lift_hold = option("--lift-hold", is_flag=True, help="End the app's hold, in the same commit.")


def common(function: F) -> F:
    """The options of a verb that brings what was built."""
    return _decorated(function, (*_REPOSITORY, *_SOURCE, lift_hold, *_LANDING))


def between(function: F) -> F:
    """The options of a verb that moves what runs already: its environments are arguments."""
    return _decorated(function, (*_PLACE, *_LANDING))


def landing(function: F) -> F:
    """The options of a verb that lands a file of promoter's own."""
    return _decorated(function, (*_REPOSITORY, *_PUBLISHING, _DRY_RUN, *_OUTPUT))


def starting(function: F) -> F:
    """The options of the verb that writes the first configuration."""
    place = tuple(one for one in _PLACE if one is not _CONFIG)
    return _decorated(function, (*place, *_PUBLISHING, _DRY_RUN, *_OUTPUT))


def on_repository(function: F) -> F:
    """The options of every verb that works on a manifest repository, without an intent of its own."""
    return _decorated(function, (*_REPOSITORY, *_VALIDATION, *_OUTPUT))


def looking(*forms: str, forge: bool = False) -> Callable[[F], F]:
    """The options of a verb that only reads environments; ``forge`` where it asks that one, too."""
    places = (*_LOOKING, _FORGE_API) if forge else _LOOKING
    return lambda function: _decorated(function, (*places, _form(*forms), *_REPORTING))


def looked_at(given: Mapping[str, Any]) -> dict[str, Any]:
    """Base and configuration of a verb that only reads environments."""
    return {"config": local_config(given["config"]), "base": branch(given["base"])}


def reporting(function: F) -> F:
    """The options of every verb that reports an outcome."""
    return _decorated(function, _OUTPUT)


def reporting_as(*forms: str) -> Callable[[F], F]:
    """The options of a verb that reports an outcome in forms of its own."""
    return lambda function: _decorated(function, (_form(*forms), *_REPORTING))


def _decorated(function: F, options: tuple[Callable[[F], F], ...]) -> F:
    for decorate in reversed(options):
        function = decorate(function)
    return function


def apply_output(output: Output, given: Mapping[str, Any]) -> None:
    """Hand the output options to the place that prints, and check that there is a manifest repository."""
    apply_reporting(output, given)
    if not given["manifest_repo"]:
        raise UsageError(
            "--manifest-repo is missing", next_step="give the URL or path, or set PROMOTER_MANIFEST_REPO"
        )


def apply_reporting(output: Output, given: Mapping[str, Any]) -> None:
    """Hand the output options to the place that prints."""
    output.form = given["output"]
    output.report_dir = given["report_dir"]
    output.verbose = given["verbose"]
    output.debugging = given["debug"]


def where(given: Mapping[str, Any]) -> dict[str, Any]:
    """Base, configuration and environment, checked against each other."""
    found = anywhere(given)
    if not given["env"] and not given["path"]:
        raise UsageError(
            "neither --env nor --path says where the images shall land",
            next_step="--env NAME for an environment of the configuration, --path DIR without one",
        )
    return {**found, "dry_run": given["dry_run"], "publish": given["publish"]}


def caller(given: Mapping[str, Any], environ: Mapping[str, str], say: Callable[[str], None]) -> Caller:
    """What the caller gave of the places, and of validation. Raises UsageError."""
    from promoter.options import ValidateOptions
    from promoter.session import Caller

    checks = validation(given) if "kubernetes" in given else ValidateOptions()  # no manifest is written
    base = branch(given["base"])
    return Caller(given["manifest_repo"], environ, say, given["forge_api"], checks, base)


def validation(given: Mapping[str, Any]) -> ValidateOptions:
    """What the caller says of validation.

    Raises UsageError for a Kubernetes version that no schemas are there for.
    """
    from promoter.options import ValidateOptions

    if given["kubernetes"] is not None:
        from promoter.config.validate_grammar import check_kubernetes

        try:
            check_kubernetes(given["kubernetes"])
        except ValueError as error:
            raise UsageError(f"--kubernetes: {error}") from None
    return ValidateOptions(
        given["kubernetes"],
        given["kubeconform"],
        given["kubeconform_path"],
        given["render"],
        given.get("allow_commands", True),  # `validate` is what runs them
    )


def anywhere(given: Mapping[str, Any]) -> dict[str, Any]:
    """Base, configuration and, where it is given, environment."""
    if given["env"] and given["path"]:
        raise UsageError(
            "--env and --path exclude each other",
            next_step="--path is for repositories without a configuration",
        )
    return {
        "environment": given["env"],
        "paths": repository_paths("--path", given["path"], whole=True),
        "config": local_config(given["config"]),
        "base": branch(given["base"]),
    }


def repository_paths(name: str, given: tuple[str, ...], *, whole: bool = False) -> tuple[str, ...]:
    """Paths or globs inside the manifest repository, normalised. Raises UsageError."""
    from promoter.config.grammar import repository_path

    paths = []
    for text in given:
        try:
            path = repository_path(text)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
        if path == "." and not whole:
            raise UsageError(f"{name} {text}: that is the whole repository")
        paths.append(path)
    return tuple(paths)


def local_config(file: str | None) -> tuple[str, str] | None:
    """The caller's own configuration as (name, text). Raises ConfigError."""
    if file is None:
        return None
    try:
        return file, Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"--config: {error.strerror}", file=file, next_step="give the name of a file that can be read"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError("the configuration is not UTF-8", file=file, next_step="save it as UTF-8") from None


# git-check-ref-format(1), without what no branch of a forge needs.
_BRANCH = re.compile(
    r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|\Z)))[^\s\x00-\x20~^:?*\[\\\x7f./-][^\s\x00-\x20~^:?*\[\\\x7f]*(?<![/.])\Z"
)


def branch(name: str | None) -> str | None:
    """The short name of a branch. Raises UsageError."""
    if name is None:
        return None
    short = name.removeprefix("refs/heads/")
    if not _BRANCH.match(short):
        raise UsageError(f"--base {name!r} is no branch name")
    return short


def origin(given: Mapping[str, Any], environ: Mapping[str, str]) -> Origin:
    """Where the intent comes from: what the options say, else what the CI system tells."""
    from dataclasses import replace

    from promoter.ci import detect

    found = detect(environ, _commit_time)
    changes: dict[str, Any] = {}
    fields = {"source": "revision", "run_url": "run_url", "actor": "actor", "source_branch": "source_branch"}
    for name, field in fields.items():
        if given[name]:
            changes[field] = _one_line(name, given[name])
    if given["source"] and given["source"] != found.revision:
        changes["source_time"] = None  # the CI system's time is of another revision
    if given["source_time"]:
        changes["source_time"] = _time(given["source_time"])
    if given["order"]:
        changes["order"] = _order(given["order"])
    return replace(found, **changes)


def style(given: Mapping[str, Any]) -> Style:
    """What becomes of digests. Raises UsageError."""
    from promoter.options import Style

    if given["pin"] and given["drop_digest"]:
        raise UsageError("--pin and --drop-digest exclude each other")
    return Style(given["pin"], given["drop_digest"])


def runner(given: Mapping[str, Any], environ: Mapping[str, str]) -> Origin:
    """Who runs this and where; what it moves was built by another run."""
    from promoter.ci import detect
    from promoter.intent import Origin

    found = detect(environ, _commit_time)
    actor, run_url = (_one_line(name, given[name]) if given[name] else None for name in ("actor", "run_url"))
    return Origin(run_url=run_url or found.run_url, actor=actor or found.actor, author=found.author)


def override(given: Mapping[str, Any]) -> str | None:
    """The reason that gates are passed for. Raises UsageError for an empty one."""
    if given["override"] is None:
        return None
    reason = _one_line("override", given["override"]).strip()
    if not reason:
        raise UsageError("--override takes a reason, and this one is empty")
    return reason


def reason(given: Mapping[str, Any]) -> str:
    """Why an app is held; empty where nobody says. Raises UsageError."""
    text: str = given["reason"] or ""
    if not text.isprintable() or len(text) > _LONGEST_REASON:
        raise UsageError(
            f"--reason is not one line of at most {_LONGEST_REASON} characters",
            next_step="write it shorter, or link to where it is explained",
        )
    return text


def until(given: Mapping[str, Any]) -> datetime | None:
    """When a hold ends by itself. Raises UsageError."""
    if not given["until"]:
        return None
    from datetime import UTC

    from promoter.holds import parse_until

    try:
        return parse_until(given["until"], datetime.now(UTC))
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None


def _one_line(name: str, text: str) -> str:
    if not text.isprintable():
        raise UsageError(f"--{name.replace('_', '-')} holds a line break or another control character")
    return text


def _time(text: str) -> datetime:
    from promoter.ci.facts import parse_time

    moment = parse_time(text)
    if moment is None:
        raise UsageError(f"--source-time {text!r} is no ISO 8601 time with a zone, as 2026-01-31T12:00:00Z")
    return moment


def _order(text: str) -> tuple[str, int]:
    namespace, _, number = _one_line("order", text).rpartition("#")
    if not namespace.strip() or not (number.isascii() and number.isdigit()) or len(number) > 18:
        raise UsageError(f"--order {text!r} is not NAMESPACE#N with a whole number N")
    return namespace, int(number)


def _commit_time(revision: str) -> str | None:
    """The commit date of a revision in the working directory, as a checkout step left it."""
    import os

    from promoter.deadline import Deadline
    from promoter.git.door import GitTimeoutError, child_environment, run

    if not re.fullmatch(r"[0-9a-f]{40,64}", revision):
        return None
    # Read only: a checkout by another user is as good. But a bare repository among its files is
    # somebody's data, and what its configuration names must not run: not as a place to fetch a missing
    # commit from, nor to check a signature. Git older than 2.38 does not know safe.bareRepository.
    safe = {"safe.directory": "*", "safe.bareRepository": "explicit"}
    try:
        shown = run(
            ("git", "show", "--no-patch", "--no-show-signature", "--format=%cI", revision),
            directory=Path.cwd(),
            environment=child_environment(os.environ, safe) | {"GIT_ALLOW_PROTOCOL": ""},
            deadline=Deadline(10),
        )
    except GitTimeoutError:
        return None
    return shown.text.strip() if shown.code == 0 else None
