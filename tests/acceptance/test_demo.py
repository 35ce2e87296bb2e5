"""`promoter demo`: the story runs as it is told, and says so where it does not."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from promoter import demo, demo_story
from promoter.errors import PromoterError
from tests.support.cli import run_promoter


def test_the_whole_story(tmp_path: Path) -> None:
    result = run_promoter("demo", env={"TMPDIR": str(tmp_path), "CI": "true"}, timeout=150)
    assert (result.code, result.stderr) == (0, "")
    numbers = re.findall(r"^(\d+)\. ", result.stdout, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(demo_story.SCENES) + 2)]
    pull_request = r"created +branch .*updated +branch .*unchanged +branch .*merge it with: .*nothing-open"
    assert re.search(pull_request, result.stdout, re.DOTALL)
    assert "error: qa takes no change of api now: frozen until" in result.stdout
    assert f"{len(set(re.findall(r'promote (app-[0-9]) ', result.stdout)))} of 8 landed" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"expected": 6}, {"shows": "something else"}])
def test_a_scene_that_ends_otherwise(monkeypatch: pytest.MonkeyPatch, change: dict[str, object]) -> None:
    scene = replace(demo_story.SCENES[-1], **change)  # type: ignore[arg-type]  # of the field's own type
    monkeypatch.setattr(demo, "SCENES", (scene,))
    with pytest.raises(PromoterError, match="the demo expected"):
        demo.run_demo(lambda _: None)
