"""A real JupyterLab in headless Chromium, on ants and bees where the photographs are, else on handwritten digits."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import CHROMIUM, FLAGS, ROOT, TOKEN, JupyterServer, jupyter, shared_folder

SCREENSHOTS = ROOT / "test-output" / "screenshots"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in Path(item.fspath).parts:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium here: `make test` installs it where it may"))


@dataclasses.dataclass(frozen=True)
class Photos:
    """Folders `train` and `val` of one folder a concept; what the template's form needs; what it must reach."""

    folder: Path
    concepts: list[str]
    values: dict[str, Any]
    accuracy: float

    def files(self, dataset: str, concept: str, limit: int | None = None) -> list[Path]:
        return sorted((self.folder / dataset / concept).iterdir())[:limit]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    shared = shared_folder()
    if shared:
        values = {"image_size": 128, "num_epochs": 3}
        return Photos(shared / "data" / "classify-antsbees", ["ants", "bees"], values, 0.75)
    from deepft_lab import demo

    folder = tmp_path_factory.mktemp("digits")
    demo.write_digits(folder, seed=1)
    return Photos(folder, ["0", "1"], demo.VALUES, 0.75)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with jupyter(tmp_path_factory.mktemp("lab"), "lab") as running:
        yield running


@pytest.fixture(scope="module")
def lab(server: JupyterServer) -> Iterator[Any]:
    import deepft_lab

    with deepft_lab.connect(server.url, TOKEN) as connected:
        yield connected


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. It ends with the module: while it lives, its event loop runs in the tests' thread."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


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
