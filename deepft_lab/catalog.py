"""Templates and pretrained weights, found along the Jupyter data path. No torch.

Templates: the trait's folders, the checkout's `templates/` when running from one, then
`jupyter_path("deepft-lab", "templates")`. The first id wins, and another file of that id is told. A broken file is
listed with all its faults and hides nothing else. Files that change are read again.
"""

from __future__ import annotations

import builtins
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_path

from deepft_lab import params
from deepft_lab.errors import InvalidParams, NotFound, TemplateError, WeightsNotFound
from deepft_lab.records import BrokenTemplate, Fault, Template, TemplateList
from deepft_lab.training import recipes, template_file
from deepft_lab.training.recipes.parts import Weights

NO_WEIGHTS = "None"
_CHECKOUT = Path(__file__).parent.parent
_Stamp = tuple[int, int]  # modification time (ns) and size


class Catalog:
    """Lists and finds templates; finds weights. Safe to call from several threads."""

    def __init__(
        self, paths: Iterable[str | Path] | None = None, weights_paths: Iterable[str | Path] | None = None
    ) -> None:
        self.paths = [Path(path).expanduser() for path in paths or ()]
        self.weights_paths = [Path(path).expanduser() for path in weights_paths or ()]
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[_Stamp, Template | BrokenTemplate]] = {}

    def template_folders(self) -> list[Path]:
        """Where templates are looked for, in order."""
        here = [_CHECKOUT / "templates"] if (_CHECKOUT / "pyproject.toml").is_file() else []
        return _without_doubles([*self.paths, *here, *map(Path, jupyter_path("deepft-lab", "templates"))])

    def weights_folders(self) -> list[Path]:
        """Where a person's own weight files (safetensors) are looked for, in order."""
        return _without_doubles([*self.weights_paths, *map(Path, jupyter_path("deepft-lab", "weights"))])

    def list(self) -> TemplateList:
        """Every template, recommended ones first within their type, and the files that could not be used."""
        templates: dict[str, Template] = {}
        broken: list[BrokenTemplate] = []
        with self._lock:
            for path in self._files():
                found = self._parse(path)
                if isinstance(found, BrokenTemplate):
                    broken.append(found)
                    continue
                first = templates.setdefault(found.id, found)
                if first.hash != found.hash and not _is_ours(path):  # ours may be replaced on purpose
                    reason = f"It is taken by {first.origin}, which is found first: give this one an id of its own."
                    broken.append(BrokenTemplate(origin=found.origin, faults=[Fault("id", found.id, reason)]))
        return TemplateList(templates=sorted(templates.values(), key=order), broken=broken)

    def get(self, name: str, type: str | None = None) -> Template:
        """The template of an id or an alias. Raises NotFound, or TemplateError where its file is broken.

        Templates of different types may share an alias: one of `type` comes first.
        """
        listed = self.list()
        for template in listed.templates:
            if template.id == name:
                return template
        named = [template for template in listed.templates if name in template.aliases]
        if named:
            return next((template for template in named if template.type == type), named[0])
        for broken in listed.broken:
            if Path(broken.origin).stem == name:
                raise TemplateError(f"The template file {broken.origin} cannot be used.", broken.faults)
        known = ", ".join(template.id for template in listed.templates) or "none"
        unusable = ", ".join(file.origin for file in listed.broken)
        raise NotFound(
            f"There is no template {name!r}. Known are: {known}."
            + (f" These files cannot be used, `jupyter deepft doctor` says why: {unusable}." if unusable else "")
        )

    def find_weights(self, template: Template, values: Mapping[str, Any]) -> Path | None:
        """The file of the pretrained weights that `values` choose; None where they choose none.

        Raises WeightsNotFound with the file's name, the places and the ways out, so that no job is queued in vain.
        """
        choice = values.get("pretrained_weights", NO_WEIGHTS)
        if choice in (None, NO_WEIGHTS):
            return None
        weights = recipes.plan(template.recipe, template.type, values).weights.get(choice)
        if weights is None:
            reason = f"The template {template.id} has no weights called {choice!r}."
            raise InvalidParams(reason, [Fault("pretrained_weights", choice, reason)])
        file = f"{weights.file}.safetensors"
        own = [folder / file for folder in self.weights_folders()]
        cached = [_torch_hub() / name for name in weights.hub]
        if weights.huggingface:
            cached += _snapshots(weights.huggingface)
        found = next((path for path in own + cached if path.is_file()), None)
        if found is not None:
            return found.absolute()
        raise WeightsNotFound(
            _not_found(template, choice, file, own, cached), [Fault("pretrained_weights", choice, file)]
        )

    def published(self, name: str) -> builtins.list[str]:
        """What `jupyter deepft weights fetch` may download for a template, an alias, an architecture or a file's name:
        repositories and files, the first ones first. A name that nothing here bears stands for itself."""
        templates = self.list().templates
        chosen = [template for template in templates if name == template.id or name in template.aliases]
        found: builtins.list[Weights] = []
        for template in chosen:
            plan = recipes.plan(template.recipe, template.type, params.defaults(template.fields))
            found += plan.weights.values()
        if not chosen:
            for template in templates:
                plan = recipes.read(template.recipe, template.type)
                every = [plan.weights, *(variant.weights for variant in plan.variants.values())]
                found += [weights for choices in every for weights in choices.values() if weights.file == name]
        sources = [source for weights in found for source in (*weights.hub, weights.huggingface) if source]
        return [*dict.fromkeys(sources)] or [name]

    def _files(self) -> Iterable[Path]:
        """Hidden ones are left out: Jupyter keeps older copies of what it edits in `.ipynb_checkpoints`."""
        for folder in self.template_folders():
            found = (path for kind in ("*.yaml", "*.yml") for path in folder.rglob(kind) if path.is_file())
            yield from sorted(p for p in found if not any(part[0] == "." for part in p.relative_to(folder).parts))

    def _parse(self, path: Path) -> Template | BrokenTemplate:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._read.get(path)
            if known is None or known[0] != stamp:
                known = self._read[path] = (stamp, template_file.load(path))
            return known[1]
        except OSError as error:
            return BrokenTemplate(
                origin=template_file.origin(path), faults=[Fault("", None, f"It cannot be read: {error.strerror}.")]
            )


def order(template: Template) -> tuple[str, bool, str]:
    """By type, recommended ones first."""
    return template.type, not template.recommended, template.id


def _is_ours(path: Path) -> bool:
    """Whether a template came with this package: from the checkout, or from where packages put their data."""
    return path.is_relative_to(_CHECKOUT / "templates") or path.is_relative_to(sys.prefix)


def _torch_hub() -> Path:
    """torch hub's folder of downloaded files, as torch itself finds it."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def _snapshots(repository: str) -> list[Path]:
    """A repository's weights in Hugging Face's cache, those of its main branch first."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    hub = os.environ.get("HF_HUB_CACHE") or f"{home}/hub"
    folder = Path(hub).expanduser() / f"models--{repository.replace('/', '--')}"
    main = folder / "refs" / "main"
    newest = main.read_text().strip() if main.is_file() else ""
    found = folder.glob("snapshots/*/model.safetensors")
    return sorted(found, key=lambda path: (path.parent.name != newest, path.parent.name))


def _not_found(template: Template, choice: str, file: str, own: list[Path], cached: list[Path]) -> str:
    places = "".join(f"\n  {path}" for path in own + cached)
    return (
        f"The {choice} weights of {template.id} are not on this machine. Looked for:{places}\n"
        f"Either put {file} into one of the first {len(own)} folders "
        f"(`jupyter deepft weights convert` makes one of a .pth file; with a network, "
        f"`jupyter deepft weights fetch {file.removesuffix('.safetensors')}` downloads what is published), "
        f"or train from a random start with pretrained_weights = {NO_WEIGHTS}."
    )


def _without_doubles(folders: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(folders))
