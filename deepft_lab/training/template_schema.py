"""The JSON schema of template files, for completion in editors: `python -m deepft_lab.training.template_schema`.

It is made from the records, so it cannot say anything else than what the catalog accepts; the catalog checks more (each
default against its own field, for one).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from deepft_lab.records import Field, Template
from deepft_lab.spec import write_whole
from deepft_lab.training.recipes import RECIPES, agreement

PATH = Path(__file__).parents[2] / "templates" / "template.schema.json"
_GIVEN_BY_US = ("origin", "hash")


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a template file."""
    _, parts = msgspec.json.schema_components([Template, Field, *RECIPES.values()], ref_template="#/$defs/{name}")
    template = parts.pop("Template")
    for name in _GIVEN_BY_US:
        del template["properties"][name]
    template["properties"]["type"] = {"enum": sorted(RECIPES)}
    template["properties"]["recipe"] = {"type": "object"}
    template["additionalProperties"] = parts["Field"]["additionalProperties"] = False
    parts["Field"]["properties"]["name"]["enum"] = sorted({*agreement.KNOWN, "image_size"})
    by_type = [
        {
            "if": {"properties": {"type": {"const": model_type}}, "required": ["type"]},
            "then": {"properties": {"recipe": {"$ref": f"#/$defs/{kind.__name__}"}}},
        }
        for model_type, kind in sorted(RECIPES.items())
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A template of DeepFT Lab",
        **{key: value for key, value in template.items() if key != "title"},
        "allOf": by_type,
        "$defs": parts,
    }


def text() -> str:
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


def main() -> None:
    write_whole(PATH, text().encode())


if __name__ == "__main__":
    main()
