"""What the tests of drawn parts share: how a part is mounted on a bare page of the server's origin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness import CHROMIUM, ROOT

ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: `make test` installs it where it may"),
    pytest.mark.skipif(not ESBUILD.exists(), reason="the front end's packages are not installed: make setup"),
]

MOUNT = """([name, target]) => {
    window.client = new dft.Client();
    window.told = [];
    const context = {
        client, stream: dft.sharedStream(client),
        open: (what) => told.push(what),
    };
    window.mounted?.dispose();
    window.mounted = dft[name](document.getElementById('host'), context, target);
}"""

# Opens a page with one part: `mount("gallery", target_of(app), width=1000)`.
Open = Callable[..., Any]


def target_of(app: Any, **more: str) -> dict[str, str]:
    return {"owner": app.owner, "app": app.id, **more}
