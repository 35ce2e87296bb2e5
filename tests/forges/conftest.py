"""The stage that a test is played on: every forge in turn, with a fresh repository for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forges import stages
from tests.forges.stage import Stage
from tests.forges.stages import DIFFERENCES, Differences


@pytest.fixture(params=stages.PLACES)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    folder = tmp_path / "stage"
    folder.mkdir()
    with stages.factory(request.param)(folder) as made:
        yield made


@pytest.fixture
def differences(stage: Stage) -> Differences:
    return DIFFERENCES[stage.forge]
