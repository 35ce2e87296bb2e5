"""What runs where: the facts read from every environment, made into the status board."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from promoter.address import parse_address
from promoter.config import environment
from promoter.errors import InterruptedRunError, PromoterError
from promoter.gates import frozen
from promoter.hands import views
from promoter.holds import is_over, read_holds
from promoter.inventory import running
from promoter.outcome import Notice, Outcome
from promoter.overview.board import Board, Column, Look, Pending, rows_of, versions
from promoter.overview.looking_back import pasts
from promoter.publish.listing import open_promotions
from promoter.rules import config_of, rule_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from promoter.config import Config
    from promoter.decide import TagDigest
    from promoter.git.repository import Repository
    from promoter.hands import Hands, View
    from promoter.image import ImageReference
    from promoter.options import BumpOptions
    from promoter.overview.board import ImageKey
    from promoter.publish.listing import Promotion
    from promoter.version import Order


def status(template: BumpOptions, hands: Hands, names: Sequence[str], now: datetime) -> Outcome:
    """The board of the environments of these names, by default of all; ``now`` (aware) is when it is made.

    Raises PromoterError where the repository or an environment cannot be read. A forge that
    does not answer is a warning: what is open is not known then.
    """
    snapshot = hands.repository.open(hands.base)
    config = config_of(template, hands.repository, snapshot)
    shown = list(dict.fromkeys(environment(config, name).name for name in names)) or list(config.environments)
    wanted = [config.environments[name] for name in _with_before(shown, config)]
    seen = {one.environment.name: one for one in views(hands, config, snapshot, wanted)}
    looks = _looks(seen, now)
    pending, notices = _pending([seen[name] for name in shown])
    board = Board(
        repository=_name(hands.repository),
        base=snapshot.base,
        commit=snapshot.commit,
        made=now,
        environments=tuple(Column(name, looks[name].after, looks[name].frozen) for name in shown),
        rows=rows_of(list(looks.values()), shown, pending, lambda image: order_of(image, config)),
        pull_requests_known=not notices,
    )
    return Outcome(
        verb="status",
        status="unchanged",
        reason="shown",
        environment=shown[0] if len(shown) == 1 else None,
        base=snapshot.base,
        warnings=notices,
        board=board,
    )


def order_of(image: ImageReference, config: Config) -> Order:
    """How the configuration has the image's tags read."""
    rule = rule_of(image, config)
    return rule.order if rule is not None else "auto"


def _with_before(names: Iterable[str], config: Config) -> list[str]:
    """The environments with those that they come after, each once."""
    after = (config.environments[name].after for name in names)
    return list(dict.fromkeys((*names, *(name for name in after if name is not None))))


def _name(repository: Repository) -> str:
    """What people call the manifest repository; of a local one no more than its directory's name."""
    address = parse_address(repository.remote.url)
    return address.path or PurePosixPath(address.url).name.removesuffix(".git")


# --- the environments --------------------------------------------------------------------


def _looks(views: Mapping[str, View], now: datetime) -> dict[str, Look]:
    bare = {name: _bare(name, one, now) for name, one in views.items()}
    wanted = _wanted(bare)
    return {name: replace(look, past=pasts(views[name], wanted[name])) for name, look in bare.items()}


def _bare(name: str, one: View, now: datetime) -> Look:
    """An environment as it is, without its past."""
    found = running(one.repository, one.snapshot, one.config, one.environment)
    holds = read_holds(one.repository, one.snapshot, name)
    return Look(
        name,
        one.environment.after,
        tuple((each.app, each.image) for each in found),
        holds={hold.app: hold for hold in holds if not is_over(hold, now)},
        frozen=", ".join(gate.message for gate in frozen(one.environment, now)),
    )


def _wanted(looks: Mapping[str, Look]) -> dict[str, dict[ImageKey, set[TagDigest]]]:
    """By environment and image the versions whose arrival there is asked for.

    These are its own, and those of the environments that come after it.
    """
    wanted: dict[str, dict[ImageKey, set[TagDigest]]] = {name: defaultdict(set) for name in looks}
    for name, look in looks.items():
        for app, image in look.images:
            wanted[name][image.key].add((image.tag, image.digest))
            before = looks.get(look.after or "")
            if before is not None and versions(before, app, image):
                wanted[before.environment][image.key].add((image.tag, image.digest))
    return wanted


# --- what is open ------------------------------------------------------------------------


def _pending(views: Sequence[View]) -> tuple[list[Pending], tuple[Notice, ...]]:
    """The open promotions of every place that the environments live in."""
    places = {(id(one.hands), one.snapshot.base): one for one in views}
    found: list[Pending] = []
    try:
        for one in places.values():
            forge = one.hands.forge(one.config)
            listed = open_promotions(one.repository, one.snapshot, one.config, forge)
            found += [_told(promotion) for promotion in listed]
    except InterruptedRunError:
        raise
    except PromoterError as error:
        text = f"what is open is not known: {error.message}"
        return [], (Notice("promotions-unknown", text),)
    names = {one.environment.name for one in views}
    return [one for one in found if one.environment in names], ()


def _told(promotion: Promotion) -> Pending:
    requests = promotion.known.pull_requests if promotion.known is not None else ()
    number, url = (requests[0].number, requests[0].url) if requests else (None, "")
    return Pending(promotion.environment, promotion.images, number, url, promotion.name)
