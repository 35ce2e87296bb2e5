"""Boards to look at: one that shows everything, and one that is large."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from promoter.decide import TagDigest
from promoter.holds import Hold
from promoter.image import ImageReference
from promoter.overview.board import Board, Column, Look, Past, Pending, rows_of

MADE = datetime(2026, 3, 13, 17, 5, tzinfo=UTC)
DIGEST = "sha256:" + "9f86d081884c7d65" * 4

# Environment -> app -> the versions that run there: what came there, with how many days before the board
# was made, newest first. `edge` is where history ends.
STORY: Mapping[str, Mapping[str, str]] = {
    "dev": {
        "checkout": "2.8.0: 2.8.0 .04, 2.7.1 1, 2.7.0 3, 2.6.4 8",
        "catalog": "1.19.0: 1.19.0 2, 1.18.3 20",
        "search": "main-4f2c1d9: main-4f2c1d9 .3, main-b81e220 1",
        "payments": f"5.3.1@{DIGEST}: 5.3.1@{DIGEST} 12",
        "gateway": "0.41.2: 0.41.2 30",
        "notifications": "3.3.0-rc.2: 3.3.0-rc.2 .009, 3.3.0-rc.1 2, 3.2.9 15",
        "reports": "20260311-0412: 20260311-0412 2.5",
    },
    "staging": {
        "checkout": "2.7.1: 2.7.1 .8, 2.7.0 2.5, 2.6.4 7",
        "catalog": "1.19.0: 1.19.0 1, 1.18.3 18",
        "search": "main-4f2c1d9 main-b81e220: main-4f2c1d9 .1, main-b81e220 .9",
        "payments": f"5.3.1@{DIGEST}: 5.3.1@{DIGEST} 10",
        "gateway": "0.41.2: 0.41.2 29",
        "notifications": "3.2.9: 3.2.9 14",
    },
    "production": {
        "checkout": "2.6.4: 2.6.4 6.2",
        "catalog": "1.19.0: 1.19.0 .5",
        "search": "main-77aa001: edge 140",
        "payments": f"5.3.1@{DIGEST}: 5.3.1@{DIGEST} 9",
        "gateway": "0.41.3: 0.41.3 .02",
        "legacy-billing": "release-12:",
    },
}
_FORGE = "https://forge.example/acme/deploy/pull"


def days(number: float) -> datetime:
    """A moment that many days before the board was made."""
    return MADE - timedelta(days=number)


def version(text: str) -> TagDigest:
    tag, _, digest = text.partition("@")
    return tag or None, digest or None


def reference(app: str, text: str = "") -> ImageReference:
    return ImageReference(f"ghcr.io/acme/{app}", *version(text))


def look(
    name: str, after: str | None, told: Mapping[str, str], *holds: Hold, frozen: str = "", owner: str = ""
) -> Look:
    """An environment as a line of STORY tells it; `owner` is the app of all, else each image is its own."""
    images, past = [], {}
    for app, line in told.items():
        runs, _, came = line.partition(": " if ": " in line else ":")
        images += [(owner or app, reference(app, one)) for one in runs.split()]
        past[reference(app).key] = _past(came)
    return Look(name, after, tuple(images), past, {hold.app: hold for hold in holds}, frozen)


def _past(told: str) -> Past:
    pairs = [one.split() for one in told.split(",") if one.strip()]
    taken = tuple((version(text), days(float(ago))) for text, ago in pairs if text != "edge")
    return Past(taken, next((days(float(ago)) for text, ago in pairs if text == "edge"), None))


def board(looks: list[Look], *pending: Pending) -> Board:
    """The board of environments, each with the one before it."""
    rows = rows_of(looks, [one.environment for one in looks], pending, lambda _: "auto")
    columns = tuple(Column(one.environment, one.after, one.frozen) for one in looks)
    return Board("acme/deploy", "main", "4f2c1d9e0b7a6c5d8e3f" * 2, MADE, columns, rows)


def story() -> Board:
    """Three environments with everything that a cell can say."""
    hold = Hold("production", "checkout", "2.7.0 doubled the basket", "release team", days(1.2), days(-3))
    return board(
        [
            look("dev", None, STORY["dev"]),
            look("staging", "dev", STORY["staging"]),
            look(
                "production",
                "staging",
                STORY["production"],
                hold,
                frozen="frozen until Mon 2026-03-16 08:00 Europe/London",
            ),
        ],
        Pending(
            "staging", (reference("checkout", "2.8.0"),), 412, f"{_FORGE}/412", "promoter/staging/checkout"
        ),
        Pending(
            "production",
            (reference("search", "main-b81e220"),),
            409,
            f"{_FORGE}/409",
            "promoter/production/search",
        ),
    )


def large(apps: int = 300, environments: int = 5) -> Board:
    """Many apps, each a version behind the environment before from the second one on, some held."""
    names = [f"env-{number}" for number in range(environments)]
    looks = []
    for number, name in enumerate(names):
        newest = environments - number
        told = {
            app: f"{_tag(app, newest)}: {', '.join(_came(app, newest))}" for app in map(_service, range(apps))
        }
        holds = [Hold(name, _service(app), "as it is") for app in range(number, apps, 50)]
        looks.append(look(name, names[number - 1] if number else None, told, *holds))
    return board(looks)


def _service(number: int) -> str:
    return f"service-{number:03}"


def _tag(app: str, patch: int) -> str:
    return f"1.{int(app[-3:]) % 40}.{patch}"


def _came(app: str, newest: int) -> Iterator[str]:
    for back in range(newest):
        yield f"{_tag(app, newest - back)} {1 + int(app[-3:]) * 37 % 300 / 7 + back:.3f}"
