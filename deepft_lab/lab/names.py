"""What ids, concept names and file names may be. Names from outside are text only, never paths."""

from __future__ import annotations

import re
import unicodedata

from deepft_lab.errors import InvalidRequest

MAX_CONCEPT = 128
MAX_NAME = 255

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_id(what: str, value: str) -> str:
    """The id itself. Raises InvalidRequest."""
    if not _ID.fullmatch(value):
        raise InvalidRequest(
            f"{value[:80]!r} cannot be the id of {what}: an id has 1 to 64 letters (a-z, A-Z), digits, - and _."
        )
    return value


def clean_concept(name: str) -> str:
    """The name in Unicode's composed form, without spaces around it. Raises InvalidRequest."""
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(cleaned) <= MAX_CONCEPT:
        raise InvalidRequest(
            f"A concept's name has 1 to {MAX_CONCEPT} characters; {cleaned[:40]!r} has {len(cleaned)}."
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in cleaned):
        raise InvalidRequest(f"The concept name {cleaned!r} holds control characters, such as a line break.")
    return cleaned


def clean_concepts(names: list[str]) -> list[str]:
    """Cleaned names without doubles, in their order."""
    return list(dict.fromkeys(clean_concept(name) for name in names))


def base_name(path: str) -> str:
    """The last part of a path from outside, as text that can be stored and shown."""
    return _parts(path)[-1][:MAX_NAME] or "unnamed"


def last_folder(path: str) -> str | None:
    """The folder that a file lies in, or None."""
    folders = [part for part in _parts(path)[:-1] if part not in ("", ".", "..")]
    return folders[-1] if folders else None


def _parts(path: str) -> list[str]:
    text = path.encode("utf-8", "replace").decode("utf-8")
    text = "".join(c if unicodedata.category(c) != "Cc" else " " for c in text)
    return text.replace("\\", "/").split("/")
