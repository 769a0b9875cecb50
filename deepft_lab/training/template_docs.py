"""docs/templates.md and docs/advanced.md, made from the files: `python -m deepft_lab.training.template_docs`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from deepft_lab.records import MODEL_TYPES, BrokenTemplate, Field, Template
from deepft_lab.spec import write_whole
from deepft_lab.training import recipes, template_file
from deepft_lab.training.recipes import advanced, builders, checking
from deepft_lab.training.recipes.common import BEST, FIELDS
from deepft_lab.training.recipes.common import of_type as of_common
from deepft_lab.training.recipes.parts import Weights

ROOT = Path(__file__).parents[2]
MADE = "<!-- Made by `python -m deepft_lab.training.template_docs`. Do not edit. -->"
TITLES = {
    "visual-classifier": "Visual classifiers",
    "visual-detector": "Visual detectors",
    "visual-embedder": "Visual embedders",
    "visual-segmenter": "Visual segmenters",
    "embedding-classifier": "Classifiers over frozen embeddings",
}


def pages() -> dict[Path, str]:
    """The pages and where they belong."""
    return {ROOT / "docs" / "templates.md": templates_page(), ROOT / "docs" / "advanced.md": advanced_page()}


def templates_page() -> str:
    found = sorted(_templates(), key=lambda t: (MODEL_TYPES.index(t.type), not t.recommended, t.id))
    lines = [
        "# Templates",
        "",
        MADE,
        "",
        "A template is a pre-configured recipe for one model type. Each is a YAML file in `templates/`; how to write",
        "one stands in [templates/README.md](../templates/README.md). The form and `model.params()` show the same.",
        "",
        "| template | type | good for | also known as |",
        "|---|---|---|---|",
    ]
    for template in found:
        star = " (recommended)" * template.recommended + " (recommended without a GPU)" * template.without_gpu
        names = ", ".join(f"`{alias}`" for alias in template.aliases)
        link = f"[`{template.id}`](#{template.id})"
        lines.append(f"| {link}{star} | {template.type} | {_cell(template.good_for)} | {names} |")
    lines += ["", "## Fields of every template", ""]
    lines += ["Folded away in the form until wanted. A template that states one of them itself says otherwise.", ""]
    lines += _fields(FIELDS)
    for model_type in MODEL_TYPES:
        of_type = [template for template in found if template.type == model_type]
        if of_type:
            best = textwrap.fill(
                f"The checkpoint that is kept is the best on what is held out, by {BEST[model_type]}.", 120
            )
            lines += ["", f"## {TITLES[model_type]}", "", best]
        own = {field.name: field for field in of_common(model_type)}
        for template in of_type:
            lines += ["", *_template(template, own)]
    return "\n".join(lines) + "\n"


def _template(template: Template, common: dict[str, Field]) -> Iterator[str]:
    yield f"### {template.id}"
    yield ""
    yield f"**{template.name}.** {template.summary}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    facts = {
        "Good for": template.good_for,
        "Images": template.images,
        "Hardware": template.hardware,
        "How long": template.duration,
        "Licence of the code": template.licence.code,
        "Licence of the weights": template.licence.weights,
        "Also known as": ", ".join(f"`{alias}`" for alias in template.aliases),
    }
    for name, words in facts.items():
        if words:
            yield f"| {name} | {_cell(words)} |"
    yield ""
    for paragraph in _notes(Path(template.origin)):
        yield paragraph
        yield ""
    own = [field for field in template.fields if field != common.get(field.name)]
    long = [field for field in own if "\n" in str(field.default)]
    yield from _fields(own)
    for field in long:
        yield ""
        yield f"The default of `{field.name}`:"
        yield ""
        yield f"```yaml\n{str(field.default).rstrip()}\n```"
    files = list(_files(template))
    if files:
        yield ""
        yield "Pretrained weights, looked for as `<file>.safetensors`, then in the caches of their libraries:"
        yield ""
        yield "| choice | file | torch hub | Hugging Face |"
        yield "|---|---|---|---|"
        yield from files
    if template.sources:
        yield ""
        yield "Sources: " + "; ".join(template.sources) + "."


def _files(template: Template) -> Iterator[str]:
    plan = recipes.read(template.recipe, template.type)
    choices: dict[str, dict[str, Weights]] = {"": plan.weights}
    choices |= {f"{name}, " if name else "": variant.weights for name, variant in plan.variants.items()}
    for before, weights in choices.items():
        for choice, given in weights.items():
            hub = ", ".join(f"`{name}`" for name in given.hub)
            page = f"`{given.huggingface}`" if given.huggingface else ""
            yield f"| {before}{choice} | `{given.file}` | {hub} | {page} |"


def _fields(fields: Any) -> list[str]:
    lines = ["| field | default | may be | what it is |", "|---|---|---|---|"]
    for field in fields:
        lines.append(f"| `{field.name}` | {_default(field)} | {_cell(_allowed(field))} | {_cell(field.help)} |")
    return lines


def _default(field: Field) -> str:
    if isinstance(field.default, str) and "\n" in field.default:
        return "see below"
    if field.default is None or field.default == "":
        return "(empty)"
    words = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    return f"{words} {field.unit}".strip() if field.type != "text" else f"`{words}`"


def _allowed(field: Field) -> str:
    if field.choices:
        return ", ".join(field.choices)
    words = {"boolean": "true, false", "text": field.unit or "text", "integers": "whole numbers", "numbers": "numbers"}
    kind = words.get(field.type, "whole number" if field.type == "integer" else "number")
    if field.min is not None and field.max is not None:
        kind += f" {_figure(field.min)} to {_figure(field.max)}"
    elif field.min is not None:
        kind += f" from {_figure(field.min)}"
    elif field.max is not None:
        kind += f" to {_figure(field.max)}"
    if field.step and not (field.step == 1 and field.type in ("integer", "integers")):
        kind += f" in steps of {field.step:g}"
    return kind + (", or empty" if field.nullable else "")


def _figure(value: float) -> str:
    return f"{value:.12g}"


def _notes(path: Path) -> list[str]:
    """What the file's opening comment says below its table of facts."""
    comment: list[str] = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").removeprefix(" "))
    parts = "\n".join(comment).split("\n\n")
    return [textwrap.fill(" ".join(part.split()), 130) for part in parts[2:] if part.strip()]


def _templates() -> list[Template]:
    found = [template_file.load(path) for path in sorted((ROOT / "templates").rglob("*.yaml"))]
    broken = [item for item in found if isinstance(item, BrokenTemplate)]
    if broken:
        raise SystemExit(f"{broken[0].origin} has faults: {broken[0].faults}")
    return [item for item in found if isinstance(item, Template)]


def advanced_page() -> str:
    lines = ["# Advanced configurations", "", MADE, INTRODUCTION.rstrip()]
    shown: set[type] = set()
    for model_type, kind in advanced.CONFIGS.values():
        lines += ["", f"## {TITLES[model_type]}", "", "| key | what it is |", "|---|---|"]
        hints = get_type_hints(kind, include_extras=True)
        for key, hint in hints.items():
            lines.append(f"| `{key}` | {_cell(_kind(hint))} |")
        for key, hint in hints.items():
            for member in checking.members(hint):
                lines += _part(key, member, shown)
    lines += ["", "## Builders of your own", "", inspect.cleandoc(builders.__doc__ or "")]
    return "\n".join(lines) + "\n"


INTRODUCTION = """
The templates `classifier-advanced`, `detector-advanced` and `segmenter-advanced` take their recipe as YAML in the field
`config`. It is data: names of registered builders and typed arguments. The form and `create_model` check it before
anything is queued and tell each fault at its path, such as `config.backbone.name`. A key that is left out stays as the
template has it; a part that names another builder begins with that builder's own defaults. Aliases and doubled keys of
YAML are refused.

`backbone.name` is any network of timm or torchvision (`deepft_lab/training/recipes/backbones.txt` lists them), with
`timm/` or `torchvision/` before it where both have one. Detectors and segmenters need a network that gives maps at the
`strides` asked for: ResNets, MobileNets, EfficientNets, ConvNeXts and most others do; what does not is told before the
first step. `weights` names the file that `pretrained_weights` = `config` loads; it is looked for as in
[templates.md](templates.md).
"""


def _part(key: str, kind: type[msgspec.Struct], shown: set[type]) -> list[str]:
    if kind in shown:
        return []
    shown.add(kind)
    tag = kind.__struct_config__.tag
    title = f"`{key}`" + (f", name `{tag}`" if isinstance(tag, str) else "")
    lines = ["", f"### {title}", "", " ".join((inspect.getdoc(kind) or "").split()), ""]
    lines += ["| key | may be | default |", "|---|---|---|"]
    inner: list[str] = []
    for field in msgspec.structs.fields(kind):
        hint = get_type_hints(kind, include_extras=True)[field.name]
        default = "(needed)" if field.required else f"`{_plain(field)}`"
        lines.append(f"| `{field.name}` | {_cell(_kind(hint))} | {default} |")
        listed = [option for option in get_args(hint) if get_origin(hint) is tuple]
        for member in [member for option in (hint, *listed) for member in checking.members(option)]:
            inner += _part(f"{key}.{field.name}", member, shown)
    return lines + inner


def _plain(field: Any) -> str:
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if isinstance(value, msgspec.Struct):
        return "its defaults"
    return msgspec.json.encode(msgspec.to_builtins(value)).decode()


def _kind(hint: Any) -> str:
    """A type in words."""
    members = checking.members(hint)
    if members:
        names = [str(member.__struct_config__.tag) for member in members if member.__struct_config__.tag]
        return "a mapping, see below" + (f": {', '.join(names)}" if len(names) > 1 else "")
    metas = getattr(hint, "__metadata__", ())
    if metas:
        meta = metas[0]
        bounds = [("from", meta.ge), ("above", meta.gt), ("to", meta.le), ("below", meta.lt)]
        words = " ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        return f"{_kind(get_args(hint)[0])} {words}".strip()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(str(option) for option in arguments)
    if origin in (tuple, list):
        inner = [_kind(option) for option in arguments if option is not Ellipsis]
        return f"list of {inner[0]}" if origin is list or Ellipsis in arguments else f"{len(inner)} values: {inner[0]}"
    if origin is dict:
        return "a mapping"
    if arguments:
        return " or ".join("null" if option is type(None) else _kind(option) for option in arguments)
    return {float: "number", int: "whole number", bool: "true or false", str: "text"}.get(hint, str(hint))


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


def main() -> None:
    for path, text in pages().items():
        write_whole(path, text.encode())


if __name__ == "__main__":
    main()
