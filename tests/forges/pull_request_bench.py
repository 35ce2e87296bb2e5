"""A stage behind a proxy, runs of promoter against it, and what a converged pull request is."""

import os
import queue
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from promoter.proposal import marker
from tests.forges.stage import Seen, Stage
from tests.forges.test_scenarios import Play
from tests.support import cli, repos
from tests.support.killproxy import Chosen, KillProxy, nothing

SECONDS = 240  # for one run, on a busy machine


@dataclass
class Bench:
    """`play` is for what people do. Runs go through the proxy."""

    play: Play
    proxy: KillProxy
    env: Mapping[str, str]

    @property
    def stage(self) -> Stage:
        return self.play.stage

    # --- runs

    def bump(self, app: str, tag: str, *more: str) -> list[str]:
        return ["bump", "--env", "production", "--image", f"ghcr.io/acme/{app}:{tag}", *more]

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        address = self.proxy.url_of(self.stage.url)
        return cli.start_promoter(*command, "--manifest-repo", address, "--output", "json", env=self.env)

    def finish(self, process: subprocess.Popen[str]) -> cli.Result:
        """A run's end, with one document and without the token."""
        result = cli.finish(process, SECONDS)
        assert self.stage.token not in result.stdout + result.stderr
        assert result.document is not None, result
        return result

    def run(self, command: Sequence[str], chosen: Chosen = nothing) -> cli.Result:
        """A run that loses the chosen answers and ends well."""
        self.proxy.lose(chosen)
        result = self.finish(self.start(command))
        assert result.code == 0, (result.document, self.proxy.lost)
        return result

    def together(self, commands: Sequence[Sequence[str]]) -> list[cli.Result]:
        """All at once, each a process of its own; each ends well."""
        processes = [self.start(command) for command in commands]
        try:
            results = [self.finish(process) for process in processes]
        finally:
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
        assert [result.document for result in results if result.code] == []
        return results

    def killed(self, command: Sequence[str], number: int) -> bool:
        """A run that is killed when this request of it was processed; whether it came so far."""
        pid: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.proxy.lose(
            lambda count, _: count == number, lambda: os.killpg(pid.get(timeout=SECONDS), signal.SIGKILL)
        )
        process = self.start(command)
        pid.put(process.pid)
        result = cli.finish(process, SECONDS)
        assert result.code == (-signal.SIGKILL if self.proxy.lost else 0), (number, result)
        return bool(self.proxy.lost)

    # --- what is seen

    def state(self) -> tuple[str, list[Seen]]:
        """All that a run can change."""
        return repos.git(self.stage.git, "for-each-ref", "refs/heads"), self.stage.pull_requests()

    def pull_requests(self, app: str) -> list[Seen]:
        return [one for one in self.stage.pull_requests() if one.branch == branch_of(app)]

    def assert_converged(self, app: str, tag: str) -> Seen:
        """One open pull request, which says just what its head holds: one commit with this image."""
        found = [one for one in self.pull_requests(app) if one.state == "open"]
        assert len(found) == 1, found
        one = found[0]
        assert one.head == repos.resolve(self.stage.git, f"refs/heads/{branch_of(app)}")
        before = self.play.read(f"{one.head}~1", file_of(app))
        assert self.play.read(one.head, file_of(app)) == with_tag(before, tag)
        assert len(repos.log(self.stage.git, f"main..{one.head}")) == 1
        state = marker.read(one.body)
        assert state is not None, one.body
        assert state.head == one.head
        assert [str(wanted.image) for wanted in state.wanted] == [f"ghcr.io/acme/{app}:{tag}"]
        assert app in one.title
        assert tag in one.title
        assert f"{tag}`" in one.body
        return one

    # --- people

    def give_base(self, app: str, tag: str) -> None:
        """A person's commit brings the image to the base."""
        text = self.play.read("main", file_of(app))
        self.play.commit("main", {file_of(app): with_tag(text, tag)}, f"By hand: {tag}")


def with_tag(text: str, tag: str) -> str:
    return re.sub(r"(image: .*):\S+", rf"\g<1>:{tag}", text)


def branch_of(app: str) -> str:
    return f"promoter/production/{app}"


def file_of(app: str) -> str:
    return f"envs/production/{app}.yaml"


@contextmanager
def behind_proxy(
    stage: Stage, scratch: Path, apps: Sequence[str], settings: str = "", environment: str = ""
) -> Iterator[Bench]:
    """A bench whose apps all run 1.0.0. `scratch` is for what killed runs leave behind."""
    play = Play(stage, settings, environment, dict.fromkeys(apps, "1.0.0"))
    play.start()
    scratch.mkdir()
    with KillProxy(stage.url) as proxy:
        env = {name: proxy.url_of(value) for name, value in stage.environ.items()}
        yield Bench(play, proxy, {**env, "TMPDIR": str(scratch)})
    repos.fsck(stage.git)
