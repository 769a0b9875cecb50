"""YAML of people, as plain data: templates, configurations, parameter files. No aliases, no doubled keys, no tags.

No torch.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml

from deepft_lab.records import Fault

MAX_LENGTH = 100_000


class _Plain(yaml.SafeLoader):
    """YAML without aliases (a few lines of them unfold to gigabytes) and without doubled keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1
            raise yaml.YAMLError(f"aliases (*name) are not allowed here, as in line {line}: write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.YAMLError(
                    f"the key {key.value!r} stands twice, again in line {key.start_mark.line + 1}: keep one"
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


# PyYAML takes 1e-4 for a text, since YAML 1.1 wants 1.0e-4; to people, and to YAML 1.2, it is a number.
_Plain.add_implicit_resolver(  # type: ignore[no-untyped-call]
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+|\d*\.\d+|\d+\.)[eE][-+]?\d+$"), list("-+.0123456789")
)


def plain(text: str | bytes) -> Any:
    """What a YAML text holds: data that JSON can hold too. Raises ValueError with the reason."""
    try:
        document = yaml.load(text, _Plain)  # a SafeLoader
        msgspec.json.encode(document)  # neither half characters nor keys that are no text: they could not be shown
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character (\\ud800 to \\udfff)") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:  # PyYAML, on `!!bool maybe`
        raise ValueError(f"a date, a key or a tag (!!...) is none that there is: {error}") from None
    return document


def parse(text: str, field: str) -> dict[Any, Any] | Fault:
    """The mapping that the text holds (empty for none), or why it cannot be used."""
    shown = text if len(text) <= 200 else text[:200] + " ..."
    if len(text) > MAX_LENGTH:
        return Fault(field, shown, f"It is longer than {MAX_LENGTH:,} characters.")
    try:
        document = plain(text)
    except ValueError as error:
        return Fault(field, shown, f"It is no YAML that can be used here: {error}")
    if document is None:
        return {}
    return document if isinstance(document, dict) else Fault(field, shown, "It is a mapping of keys to values.")
