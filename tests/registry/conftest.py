"""One registry of each kind for the whole session; tests keep apart by repositories of their own."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from promoter.deadline import Deadline
from promoter.image import parse_reference
from promoter.registry import look_up
from promoter.registry.manifest import RegistryImage
from tests.support import registry
from tests.support.registry import Registry, TokenServer, Web

_NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine's proxy has no part in these tests, but where one names its own."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def repository() -> str:
    return f"acme/api-{next(_NUMBERS)}"


@pytest.fixture(scope="session")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry.running(tmp_path_factory.mktemp("open")) as running:
        yield running


@pytest.fixture(scope="session")
def basic_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry.running(tmp_path_factory.mktemp("basic"), access="basic") as running:
        yield running


@dataclass(frozen=True)
class WithTokens:
    registry: Registry
    tokens: TokenServer
    web: Web  # where the tokens come from


@pytest.fixture(scope="session")
def token_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithTokens]:
    tokens = TokenServer()
    with (
        registry.serving(tokens) as web,
        registry.running(
            tmp_path_factory.mktemp("token"), access="token", tokens=tokens, realm=f"{web.url}/token"
        ) as running,
    ):
        yield WithTokens(running, tokens, web)


@dataclass
class Asker:
    """Looks images up in this process; `environ` is the caller's, `said` what -v shows."""

    environ: dict[str, str] = field(default_factory=dict)
    seconds: float = 20.0
    said: list[str] = field(default_factory=list)

    def __call__(self, reference: str, platforms: Sequence[str] = ()) -> RegistryImage:
        image = parse_reference(reference)
        return look_up(
            [image],
            platforms=lambda _: tuple(platforms),
            environ=self.environ,
            deadline=Deadline(self.seconds),
            verbose=self.said.append,
        )[image]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RegistryImage]:
    monkeypatch.setenv("HOME", "/nowhere")  # no ~/.netrc, no ~/.docker of this machine
    return Asker()
