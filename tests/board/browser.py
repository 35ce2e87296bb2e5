"""Headless Chromium, driven by chromedriver over plain HTTP (W3C WebDriver)."""

import base64
import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.support.programs import need

# WebDriver, "Keyboard actions": normalised key values.
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": " ", "Shift": "\ue008", "Down": "\ue015"}
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver, "Elements": the web element identifier
_UP = re.compile(r"started successfully on port (\d+)")


@dataclass
class Page:
    """One browser window. Methods wait for the browser's answer, nothing else."""

    address: str

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        answer = requests.request(
            method, f"{self.address}{path}", json=body or {} if method == "POST" else None, timeout=60
        )
        value = answer.json()["value"]
        assert answer.ok, value
        return value

    def open(self, url: str) -> None:
        self._ask("POST", "/url", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function returns in the page."""
        return self._ask("POST", "/execute/sync", script=script, args=list(arguments))

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def log(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("POST", "/se/log", type=kind)
        return found

    def press(self, *keys: str) -> None:
        """Press keys by name, or type the characters of a text."""
        typed = [key for name in keys for key in ([KEYS[name]] if name in KEYS else list(name))]
        actions = [{"type": kind, "value": key} for key in typed for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def click(self, selector: str) -> None:
        element = self._ask("POST", "/element", using="css selector", value=selector)[_ELEMENT]
        self._ask("POST", f"/element/{element}/click")

    def look(self, file: Path, *, width: int, height: int = 800, scheme: str | None = None) -> bytes:
        """A picture of the window, in a colour scheme, also written to a file."""
        self.size(width, height)
        if scheme is not None:
            self.scheme(scheme)
        picture = base64.b64decode(self._ask("GET", "/screenshot"))
        file.write_bytes(picture)
        return picture

    def size(self, width: int, height: int = 800) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def scheme(self, name: str) -> None:
        self.media(("prefers-color-scheme", name))

    def media(self, *features: tuple[str, str], kind: str = "") -> None:
        listed = [{"name": name, "value": value} for name, value in features]
        self.devtools("Emulation.setEmulatedMedia", media=kind, features=listed)


@contextlib.contextmanager
def chromedriver() -> Iterator[str]:
    """Its address. It takes a free port and says which."""
    need("chromium chromium-driver", "chromium", "chromedriver")
    process = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        port = next((found[1] for line in process.stdout if (found := _UP.search(line))), None)
        assert port is not None, "chromedriver did not start"
        # It goes on to log; a full pipe would stop it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def page(driver: str, profile: Path, preferences: Mapping[str, object] | None = None) -> Iterator[Page]:
    """A fresh browser with Chromium preferences. Its profile is thrown away with the test's directory."""
    options = {
        # Containers and root have no user namespaces for the sandbox; what it loads is ours.
        "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 f"--user-data-dir={profile}", "--force-color-profile=srgb"],
        "prefs": dict(preferences or {}),
    }  # fmt: skip
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }
    answer = requests.post(f"{driver}/session", json={"capabilities": {"alwaysMatch": wanted}}, timeout=120)
    assert answer.ok, answer.text
    session = f"{driver}/session/{answer.json()['value']['sessionId']}"
    try:
        yield Page(session)
    finally:
        requests.delete(session, timeout=60)
