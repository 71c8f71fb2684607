"""A real Chromium at real nodes: one page of one browser, what it complains of, and what axe-core has against it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.live.operators import Operator
from tests.unit.web.visiting import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parent / "npm" / "node_modules" / "axe-core" / "axe.min.js"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PATIENCE_MS = 30_000
SHOTS = Path(os.environ.get("SHOTS", "/nonexistent"))
"""Where pictures are kept, for whoever wants to look at them: with SHOTS=/tmp/shots in the environment."""

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
HARMLESS = re.compile("net::ERR_|htmx:(sendError|afterRequest)|Failed to load resource: the server responded")
"""What Chromium itself says of a line that is down, and of an answer that is a refusal: tests bring both about."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, ended for certain."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """Somebody's browser: signed in to a room of an operator. `complaints` are the browser's own."""

    def __init__(self, browser: Browser, operator: Operator, room: str, name: str, **how: Any) -> None:
        self.base, self.room, self.name = f"http://127.0.0.1:{operator.port}", room, name
        wanted = {"viewport": PHONE if room == "drive" else DESKTOP, "locale": "en-GB", "timezone_id": "Europe/Dublin"}
        self.context: BrowserContext = browser.new_context(**{**wanted, **how})
        self.complaints: list[str] = []
        self.page = self.another()
        self.sign_in()

    def another(self) -> Page:
        """One more tab."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error.stack}"))
        return page

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not HARMLESS.search(message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def sign_in(self) -> None:
        self.go("")
        self.page.fill("input[name=name]", self.name)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("button.main")
        self.page.wait_for_selector(".who")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}/{self.room}{path}")

    def picture(self, name: str) -> None:
        """Kept where somebody wants to see it."""
        if SHOTS.is_dir():
            self.page.screenshot(path=SHOTS / f"{self.room}-{name}.png", full_page=True)

    def barriers(self) -> list[str]:
        """What keeps people out, of serious and critical impact (axe-core); nothing where that is not installed."""
        if not AXE.is_file():
            return []
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{self.page.url}: {each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
