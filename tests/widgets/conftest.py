"""Apps with real pictures on a real server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, TOKEN, JupyterServer
from pages import ESBUILD, MOUNT, Open


@pytest.fixture
def app(lab: Any, digits: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An app of its own for each test, with ten unlabelled inputs and the concepts 0, 1, 2."""
    import re

    created = lab.create_app(re.sub(r"\W", "-", request.node.name)[:64])
    created.upload(sorted((digits / "train" / "0").iterdir())[:10])
    created.create_concepts(["0", "1", "2"])
    yield created
    created.delete()


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All parts as one script."""
    file = tmp_path_factory.mktemp("bundle") / "dft.js"
    options = ["--bundle", "--format=iife", "--global-name=dft", f"--outfile={file}", "--log-level=error"]
    subprocess.run([ESBUILD, ROOT / "widgets" / "src" / "index.ts", *options], check=True, timeout=60)
    return file.read_text()


@pytest.fixture(scope="session")
def styles(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("bundle") / "style.css"
    source = ROOT / "widgets" / "src" / "style.css"
    subprocess.run([ESBUILD, source, "--bundle", f"--outfile={file}", "--log-level=error"], check=True, timeout=60)
    return file.read_text()


@pytest.fixture
def mount(browser: Any, server: JupyterServer, script: str, styles: str) -> Iterator[Open]:
    """Opens a page with one part. `cookies=False`: the page has a token alone, as behind some proxies.

    `answers`: what the server would say to some addresses, such as the events of a run that would take an hour.
    """
    contexts = []

    def open_page(
        part: str,
        target: dict[str, Any],
        width: int = 1000,
        cookies: bool = True,
        answers: dict[str, Any] | None = None,
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("dialog", lambda dialog: page.errors.append(f"dialog: {dialog.message}"))
        if cookies:
            page.goto(f"{server.url}lab?token={TOKEN}")
        config = json.dumps({"baseUrl": "/", "token": "" if cookies else TOKEN})
        body = (
            f"<!doctype html><meta charset=utf-8><style>{styles} html,body,#host{{height:100%;margin:0}}</style>"
            f'<script id="jupyter-config-data" type="application/json">{config}</script>'
            '<body><div id="host"></div><script src="/parts.js"></script>'
        )
        page.route("**/parts", lambda route: route.fulfill(content_type="text/html", body=body))
        page.route("**/parts.js", lambda route: route.fulfill(content_type="text/javascript", body=script))
        for pattern, answer in (answers or {}).items():
            page.route(pattern, partial(_fulfil, answer))
        page.goto(f"{server.url}parts")
        page.evaluate(MOUNT, [part, target])
        return page

    yield open_page
    for context in contexts:
        assert all(not page.errors for page in context.pages), [page.errors for page in context.pages]
        context.close()


def _fulfil(answer: Any, route: Any) -> None:
    route.fulfill(json=answer)
