"""Pages of a real JupyterLab in headless Chromium."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import CHROMIUM, FLAGS, ROOT, TOKEN, JupyterServer

__all__ = ["CHROMIUM", "FLAGS", "Window"]  # scripts and benches drive the same pages

SCREENSHOTS = ROOT / "test-output" / "screenshots"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in Path(item.fspath).parts:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium here: `make test` installs it where it may"))


class Window:
    """A page of JupyterLab, and what was said in its console."""

    def __init__(
        self, browser: Any, server: JupyterServer, path: str = "lab", size: tuple[int, int] = (1400, 900)
    ) -> None:
        self.server = server
        self.errors: list[str] = []
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{server.url}{path}?token={TOKEN}")
        self.page.locator("#jp-main-dock-panel").wait_for(timeout=60_000)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def by(self, testid: str, **attributes: str) -> Any:
        """The element of a `data-testid`, with further `data-` attributes."""
        more = "".join(f'[data-{name}="{value}"]' for name, value in attributes.items())
        return self.page.locator(f'[data-testid="{testid}"]{more}')

    def open_sidebar(self) -> None:
        """Clicks once more where a layout that was being restored opened the sidebar just before the click."""
        sidebar = self.by("deepft-sidebar")
        for _ in range(3):
            if not sidebar.is_visible():
                self.page.get_by_role("tab", name="DeepFT Lab").click()
            with contextlib.suppress(Exception):
                sidebar.wait_for(timeout=3000)
                return
        sidebar.wait_for()

    def show_app(self, app: str) -> None:
        """Shows an app's contents in the sidebar, through the list of all."""
        self.open_sidebar()
        contents = self.by("app-contents", app=app)
        for _ in range(6):
            if contents.is_visible():
                return
            with contextlib.suppress(Exception):
                self.by("refresh").click(timeout=3000)
                if self.by("app-switcher").is_visible():
                    self.by("app-switcher").click(timeout=3000)
                    self.page.locator(".lm-Menu-item", has_text="All Apps").click(timeout=3000)
                self.by("app-item", app=app).click(timeout=3000)
                contents.wait_for(timeout=3000)
        contents.wait_for()

    def click_until(self, target: Any, seen: Any) -> None:
        """Clicks until the effect is seen: a page that still settles may lose a click."""
        for _ in range(6):
            with contextlib.suppress(Exception):
                if not seen.is_visible():
                    target.click(timeout=3000)
                seen.wait_for(timeout=5000)
                return
        seen.wait_for()

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Waits for what can be seen only outside the page."""
        for _ in range(int(seconds * 10)):
            if condition():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"did not happen within {seconds} s")

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def window(browser: Any, server: JupyterServer) -> Iterator[Window]:
    opened = Window(browser, server)
    yield opened
    opened.close()


@pytest.fixture
def open_window(browser: Any, server: JupyterServer) -> Iterator[Any]:
    """Opens further windows; they are closed at the end."""
    opened: list[Window] = []

    def open_one(**options: Any) -> Window:
        opened.append(Window(browser, server, **options))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
