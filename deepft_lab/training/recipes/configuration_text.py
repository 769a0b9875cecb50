"""The text of a configuration: YAML that is plain data. No aliases, no doubled keys, no tags. No torch."""

from __future__ import annotations

from typing import Any

import yaml

from deepft_lab.records import Fault

MAX_LENGTH = 100_000


class _Plain(yaml.SafeLoader):
    """YAML without aliases (a few lines of them unfold to gigabytes) and without doubled keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.YAMLError(f"the key {key.value!r} stands twice")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def parse(text: str, field: str) -> dict[Any, Any] | Fault:
    """The mapping that the text holds (empty for none), or why it cannot be used."""
    shown = text if len(text) <= 200 else text[:200] + " ..."
    if len(text) > MAX_LENGTH:
        return Fault(field, shown, f"It is longer than {MAX_LENGTH:,} characters.")
    try:
        document = yaml.load(text, _Plain)  # a SafeLoader: plain data only
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return Fault(field, shown, f"It is no YAML that can be used here: {error}")
    if document is None:
        return {}
    return document if isinstance(document, dict) else Fault(field, shown, "It is a mapping of keys to values.")
