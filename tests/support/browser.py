"""A real headless Chromium for tests: what a page looks like on a screen, and what it asks for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in _NAMES if (path := shutil.which(name))), None)
CHROMEDRIVER = shutil.which("chromedriver")
NEEDS_CHROMIUM = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="needs Chromium and its driver: apt-get install chromium chromium-driver",
)
_SWITCHES = (
    "--headless", "--hide-scrollbars", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-sandbox",  # it can't be had as root in a container, and the pages are ours
)  # fmt: skip


@dataclass(frozen=True)
class Screen:
    """Describe what a page is looked at on."""

    width: int
    height: int
    scheme: str

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}"


DESKTOP, PHONE = (1200, 900), (390, 844)
SCREENS = [Screen(*size, scheme) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")]


class Browser:
    """A running Chromium."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def show(self, page: Path, screen: Screen) -> None:
        """Open a file on a screen; what was logged before is forgotten."""
        self._driver.get("about:blank")  # where it came from asks for nothing any more
        for log in ("browser", "performance"):
            self._told(log)
        mobile = screen.width < 600
        size = {"width": screen.width, "height": screen.height, "mobile": mobile}
        media = [{"name": "prefers-color-scheme", "value": screen.scheme}]
        self._do("Emulation.setDeviceMetricsOverride", deviceScaleFactor=1, **size)
        self._do("Emulation.setEmulatedMedia", features=media)
        self._driver.get(page.as_uri())

    def ask(self, expression: str) -> Any:
        """Run a piece of JavaScript and return its value; the page's own policy does not bind it."""
        return self._driver.execute_script(expression)

    def console(self) -> list[str]:
        """Return the browser's complaints about the page."""
        return [entry["message"] for entry in self._told("browser")]

    def requests(self) -> list[str]:
        """Return the addresses that the page requested, its own among them.

        Those of the browser's own pages (its first tab) are not the page's.
        """
        events = [json.loads(entry["message"])["message"] for entry in self._told("performance")]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("chrome:", "chrome-untrusted:"))]

    def picture(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        import base64

        shot = self._do("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def _told(self, log: str) -> list[dict[str, Any]]:
        return self._driver.get_log(log)

    def _do(self, command: str, **given: Any) -> Any:
        return self._driver.execute_cdp_cmd(command, given)


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Provide a Chromium with a profile of its own, ended afterwards."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Given its path, selenium looks for no driver on the internet.
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
