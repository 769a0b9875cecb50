"""A dataset version is a file: JSON Lines, a header and then one line an input, in the order of the ids.

    {"format": 1, "concepts": ["ant", "bee"]}
    {"input": "3fa9...", "sha256": "3fa9...", "width": 500, "height": 333, "labels": {"ant": 1, "bee": 0}}

The dataset version's id is the SHA-256 of these bytes, so freezing the same content twice gives the same id. A concept
that is missing from `labels` is unknown for that input: neither positive nor negative.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from deepft_lab.records import Region

FORMAT = 1


class Header(msgspec.Struct, frozen=True):
    format: int
    concepts: list[str]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input: `sha256` names its blob; sizes are of the oriented picture; `labels` are 1 (positive) or 0.

    `regions` bear no ids here: the same content gives the same dataset version.
    """

    input: str
    sha256: str
    width: int
    height: int
    labels: dict[str, int] = {}
    regions: list[Region] = []


class Manifest(msgspec.Struct, frozen=True):
    concepts: list[str]
    entries: list[Entry]


def dump(concepts: Sequence[str], entries: Iterable[Entry]) -> bytes:
    """Canonical bytes of a manifest: concepts sorted, entries by input, labels by concept."""
    encode = msgspec.json.Encoder(order="deterministic").encode
    lines = [encode(Header(FORMAT, sorted(concepts)))]
    lines += [encode(entry) for entry in sorted(entries, key=lambda entry: entry.input)]
    return b"\n".join(lines) + b"\n"


def load(path: str | Path) -> Manifest:
    """Reads a manifest. Raises ValueError for a format that this version does not know."""
    lines = Path(path).read_bytes().splitlines()
    header = msgspec.json.decode(lines[0], type=Header)
    if header.format != FORMAT:
        raise ValueError(f"The manifest {path} has format {header.format}; this version reads format {FORMAT}.")
    decode = msgspec.json.Decoder(Entry).decode
    return Manifest(header.concepts, [decode(line) for line in lines[1:]])


def identify(content: bytes) -> str:
    """The dataset version's id."""
    return hashlib.sha256(content).hexdigest()
