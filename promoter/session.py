"""The composition root: a run's directory, its Git, its remote and its commit writer, wired once."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from promoter.errors import UnreachableError
from promoter.git.door import Git, child_environment
from promoter.git.remote import parse_remote
from promoter.git.repository import DEFAULT_AUTHOR, Repository
from promoter.options import ValidateOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from promoter.config import Config, Environment
    from promoter.deadline import Deadline
    from promoter.forges.locate import Kind
    from promoter.forges.port import Forge
    from promoter.git.remote import Remote
    from promoter.git.repository import Entry, Snapshot
    from promoter.hands import Hands
    from promoter.image import ImageReference
    from promoter.intent import Origin
    from promoter.options import BumpOptions
    from promoter.plan import Plan
    from promoter.rules import Rules
    from promoter.validate.of_edit import Checked, EditValidator


@contextlib.contextmanager
def at_work(caller: Caller, deadline: Deadline, debug: Callable[[str], None]) -> Iterator[Hands]:
    """The hands of a run. Its base is being fetched meanwhile: the block may begin by importing."""
    with (
        open_repository(caller, deadline, debug) as repository,
        repository.opening(caller.base),
        hands(repository, caller, debug) as own,
    ):
        yield own


@contextlib.contextmanager
def open_repository(caller: Caller, deadline: Deadline, debug: Callable[[str], None]) -> Iterator[Repository]:
    """The manifest repository for the length of the block; everything it wrote is gone after it."""
    environ, verbose = caller.environ, caller.verbose
    remote, app_author = parse_remote(caller.address, environ), None
    if environ.get("PROMOTER_APP_ID") or environ.get("PROMOTER_APP_PRIVATE_KEY"):
        from promoter.address import parse_address
        from promoter.forges import connect  # only where a GitHub App's key is exchanged

        place, forge_api = parse_address(caller.address), caller.forge_api
        credential = connect.git_credential(place, environ, forge_api, deadline, verbose)
        remote = remote.answering(credential)
        app_author = partial(connect.app_author, place, credential, environ, forge_api, deadline, verbose)
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(_scratch_directory(environ))
        directory = scratch / "repository"
        directory.mkdir()
        environment = child_environment(environ, remote.configuration()) | remote.environment()
        if remote.is_ssh:
            environment["GIT_SSH_COMMAND"] = _ssh_command(environ, environment, scratch, deadline, stack)
        git = Git(directory, environment, deadline, debug)
        redirect = partial(
            _resolve_redirect,
            remote=remote,
            environ=environ,
            ca_file=environment.get("GIT_SSL_CAINFO"),
            deadline=deadline,
        )
        yield Repository(git, scratch, remote, verbose, redirect, app_author)


@contextlib.contextmanager
def _scratch_directory(environ: Mapping[str, str]) -> Iterator[Path]:
    # A TMPDIR that is given is meant: Python would quietly go elsewhere where it cannot be written.
    parent = environ.get("TMPDIR") or None
    try:
        directory = tempfile.TemporaryDirectory(prefix="promoter-", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise UnreachableError(
            f"no temporary directory can be made{f' in {parent}' if parent else ''}: {error.strerror}",
            next_step="free space or set TMPDIR to a directory that can be written",
            reason="machine",
        ) from None
    with directory as name:
        yield Path(name)


def _ssh_command(
    environ: Mapping[str, str],
    environment: Mapping[str, str],
    scratch: Path,
    deadline: Deadline,
    stack: contextlib.ExitStack,
) -> str:
    from promoter.git import ssh  # only where ssh is used

    key = environ.get("PROMOTER_SSH_KEY", "")
    agent = None
    if ssh.is_key_text(key):
        agent = stack.enter_context(ssh.agent_with(key, scratch / "ssh", environment, deadline))
    return ssh.ssh_command(environ, agent, scratch)


def _resolve_redirect(
    url: str, remote: Remote, environ: Mapping[str, str], ca_file: str | None, deadline: Deadline
) -> str:
    from promoter.git.redirect import resolve_redirect  # only where a server redirects

    return resolve_redirect(
        url, ca_file, environ, authorization=remote.authorization(url), seconds=deadline.remaining()
    )


@dataclass(frozen=True)
class Caller:
    """What the caller gave: where the manifest repository is, its forge's API, how to validate.

    ``base`` is the branch that was asked for, None where the environments' own count.
    """

    address: str
    environ: Mapping[str, str]
    verbose: Callable[[str], None]
    forge_api: str | None = None
    validation: ValidateOptions = field(default_factory=ValidateOptions)
    base: str | None = None


@contextlib.contextmanager
def hands(repository: Repository, caller: Caller, debug: Callable[[str], None]) -> Iterator[Hands]:
    """The effects of a run. What they reach besides ``repository`` is opened where it is asked for, once."""
    from promoter.places import elsewhere  # which is imported while Git fetches

    with contextlib.ExitStack() as stack:
        places: dict[tuple[str, str | None], Hands] = {}

        def home(here: Caller, environment: Environment, snapshot: Snapshot) -> Hands | None:
            there = elsewhere(here, caller, environment, snapshot)
            if there is None:
                return None
            key = (there.address, there.base)
            if key not in places:
                deadline = repository.git.deadline
                places[key] = at(stack.enter_context(open_repository(there, deadline, debug)), there)
            return places[key]

        def at(place: Repository, here: Caller) -> Hands:
            return _hands(place, here, partial(home, here))

        places[caller.address, caller.base] = at(repository, caller)
        yield places[caller.address, caller.base]


def _hands(
    repository: Repository, caller: Caller, home: Callable[[Environment, Snapshot], Hands | None]
) -> Hands:
    from promoter.hands import Hands

    connected: dict[tuple[object, ...], Forge] = {}
    validators: list[EditValidator] = []
    looked_up: dict[BumpOptions, BumpOptions] = {}
    environ, deadline, verbose = caller.environ, repository.git.deadline, caller.verbose

    def forge(config: Config) -> Forge:
        from promoter.forges.permissions import needed

        key = (config.forge_type, *needed(config).items())
        if key not in connected:
            connected[key] = _connect(caller, config, deadline)
        return connected[key]

    def validate(snapshot: Snapshot, rules: Rules, edits: Mapping[str, tuple[bytes, bytes]]) -> Checked:
        from promoter.validate.of_edit import EditValidator

        if not validators:
            validators.append(EditValidator(repository, caller.validation, environ))
        return validators[0](snapshot, rules, edits)

    def look_up(options: BumpOptions, config: Config) -> BumpOptions:
        if not (options.require_image or options.style.pin):
            return options
        from promoter.registry.step import checked

        if options not in looked_up:
            looked_up[options] = checked(options, config, environ, deadline, verbose)
        return looked_up[options]

    def exists(image: ImageReference) -> bool | None:
        from promoter import registry

        return registry.exists(image, environ, deadline, verbose, only_with_credentials=True)

    write = partial(write_commit, repository, environ, forge)
    files = partial(write_files, repository, environ, forge)
    return Hands(repository, caller.base, write, forge, validate, home, look_up, exists, files)


def _connect(caller: Caller, config: Config, deadline: Deadline) -> Forge:
    from promoter.address import parse_address
    from promoter.credentials import choose_credential
    from promoter.forges.connect import ca_file, connect
    from promoter.forges.locate import locate
    from promoter.forges.permissions import needed
    from promoter.forges.probe import probe

    environ, verbose = caller.environ, caller.verbose

    def ask(web: str) -> Kind | None:
        return probe(web, ca_file(environ), deadline, verbose)

    place = parse_address(caller.address)
    found = locate(place, environ, forge_type=config.forge_type, forge_api=caller.forge_api, probe=ask)
    return connect(found, choose_credential(place, environ), deadline, verbose, environ, needed(config))


def write_commit(
    repository: Repository,
    environ: Mapping[str, str],
    forge: Callable[[Config], Forge],
    snapshot: Snapshot,
    plan: Plan,
    promoter_id: str,
    *,
    options: tuple[str, ...] = (),
    signed: bool = True,
) -> str:
    """Write a plan as one commit on top of the snapshot, signed where the configuration says so."""
    from promoter.message import commit_message  # not before there is something to commit
    from promoter.plan import changes_of

    moved = [change for change in changes_of(plan, "promoted") if change.status == "promoted"]
    text = commit_message(plan.config.commit.message, plan.intent, moved, promoter_id, options)
    return write_files(
        repository, environ, forge, snapshot, plan.config, plan.files, text, plan.intent.origin, signed=signed
    )


def write_files(
    repository: Repository,
    environ: Mapping[str, str],
    forge: Callable[[Config], Forge],
    snapshot: Snapshot,
    config: Config,
    files: Mapping[Entry, bytes | None],
    text: str,
    origin: Origin,
    *,
    signed: bool = True,
) -> str:
    """Write files, None for one to be deleted, as one commit on top of the snapshot; signed as configured."""
    settings = config.commit
    app = repository.app_author() if repository.app_author is not None and not settings.author else None
    author = settings.author or app or origin.author or DEFAULT_AUTHOR
    commit = repository.commit(snapshot, files, text, author)
    if settings.sign is None or not signed:
        return commit
    if settings.sign == "forge":
        from promoter.publish.forge_sign import sign_on_forge

        contents = {entry.path: content for entry, content in files.items()}
        return sign_on_forge(repository, forge(config), snapshot, commit, contents)
    from promoter.git.sign import signer  # only where commits are signed

    with signer(settings.sign, repository, environ) as one:
        return one.sign(repository, snapshot, commit, author)
