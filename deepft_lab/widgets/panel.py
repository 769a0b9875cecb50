"""The base of the panels: a view that talks to the server, and a display bundle that outlives the kernel.

Beside the widget itself a cell's output holds which panel it is, so that the labextension can draw it without a kernel,
and a picture of the last state that the kernel saw, for pages where nothing runs.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from deepft_lab.errors import DeepFTError

MIME = "application/vnd.deepft.panel+json"
STATIC = Path(__file__).parent / "static"

_NOT_BUILT = """
export default { render({ el }) {
  el.textContent = "This panel is not built: run `make setup` in the checkout, then restart the kernel.";
} }
"""


def bundle(name: str) -> Path | str:
    """A panel's module, or a short one that says what is missing."""
    path = STATIC / f"{name}.js"
    return path if path.is_file() else _NOT_BUILT


def styles() -> Path | str:
    path = STATIC / "style.css"
    return path if path.is_file() else ""


class Bundled:
    """What every panel adds to its display bundle. `kind`, `target()` and `picture()` are the panel's own."""

    kind = ""
    _handle: Any = None  # of the cell's output, once it is shown

    def target(self) -> dict[str, str | None]:
        """Which thing the panel shows: owner, app, model, version."""
        raise NotImplementedError

    def picture(self) -> str:
        """The last state that the kernel knows, as SVG."""
        raise NotImplementedError

    def summary(self) -> str:
        """The last state in a line of text."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **keywords: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        given = super()._repr_mimebundle_(**keywords)  # type: ignore[misc]
        data, metadata = given if isinstance(given, tuple) else (given or {}, {})
        added = {MIME: {"kind": self.kind, **self.target()}, "text/plain": self.summary()}
        # The picture is for later; a server that is away now must not keep the panel from being shown.
        with contextlib.suppress(DeepFTError):
            added["image/svg+xml"] = self.picture()
        return {**data, **added}, metadata

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        self._handle = display(data, metadata=metadata, raw=True, display_id=True)

    def renew_picture(self) -> None:
        """Puts the state of now into the cell that shows the panel, for when the notebook is read later."""
        if self._handle is not None:
            data, metadata = self._repr_mimebundle_()
            self._handle.update(data, metadata=metadata, raw=True)


class Panel(Bundled, anywidget.AnyWidget):
    """A panel that the browser draws. `_target` tells it what to show."""

    _target = traitlets.Dict().tag(sync=True)

    def __init__(self, target: dict[str, str | None], **options: Any) -> None:
        unknown = [name for name in options if not self.has_trait(name) or name.startswith("_")]
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no option {unknown[0]!r}; it takes the options of ipywidgets: layout."
            )
        super().__init__(_target={"kind": self.kind, **target}, **options)

    def target(self) -> dict[str, str | None]:
        return {name: self._target[name] for name in ("owner", "app", "model", "version")}

    def __repr__(self) -> str:
        return self.summary()
