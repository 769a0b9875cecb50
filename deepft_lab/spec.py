"""spec.json: all that a worker needs to know, complete. The job folder is the whole contract.

spec.json           in: this file
train.jsonl         in: the manifest to train on
validation.jsonl    in: the manifest to validate on
accelerate.yaml     in: the launcher's settings, always written
base/ resume/       in: models of other versions that the job begins from, where it does
events.jsonl        out, by the worker: see events.py
result.json         out, by the worker: Result
checkpoints/ model/ out, by the worker; checkpoints/memory.json: InParts, how much of a batch it computes at a time
sample/             out, by the worker of a quote: the job in small
log.txt             out: what launcher and ranks print
exit.json           out, by the runner: Exit
engine.jsonl        by the server: queued, started, cancelled
stop                by the server: an empty file asks to stop and keep the best
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from deepft_lab.records import Template

CHECKPOINT = "checkpoints/last.pt"  # where it is there, a new attempt goes on from it
MEMORY = "checkpoints/memory.json"


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A training job. Paths are absolute and must be reachable from where the worker runs."""

    job: str
    attempt: int = 1
    owner: str
    app: str
    model: str
    version: str
    user: str
    type: str
    template: Template  # resolved, with its hash
    values: dict[str, Any]  # complete
    concepts: list[str]
    exclusive: bool  # concepts exclude each other: softmax at prediction, accuracy is defined
    train_version: str
    validation_version: str | None
    blobs: str  # folder of the content-addressed files: <blobs>/<first two hex digits>/<sha256>
    cache: str | None = None  # folder of decoded pictures that jobs share; None: decoded into the job folder
    stored_side: int | None = None  # pixels of the shorter side at which pictures are kept there; None: whole ones
    cache_bytes: int = 0  # what the folder may take; 0: half of the free disk, at most 50 GB
    weights: str | None  # file of pretrained weights (found before the job was queued)
    base: str | None = None  # model folder of the version whose embeddings are classified
    resume_model: str | None = None  # model folder of the version that training goes on from
    seed: int
    ranks: int = 1
    threads: int = 1  # CPU threads of each rank
    gpus: list[int] = []  # indexes the engine gave to this job; empty: CPU
    micro_batch: int = 0  # images that a process may compute at a time, after memory was full; 0: what fits
    quote: bool = False  # only measure what the job would take, with a sample of its inputs (training/quoting.py)
    code_version: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """result.json: the outcome that the server collects. `outcome` is trained or failed."""

    outcome: str
    metrics: dict[str, float | None] = {}
    metrics_by_concept: dict[str, dict[str, float | None]] = {}
    best_epoch: int | None = None
    reason: str = ""
    full_memory: bool = False  # another attempt with smaller parts of a batch may end it
    warnings: list[str] = []


class InParts(msgspec.Struct, frozen=True):
    """checkpoints/memory.json: images that each process computes at a time."""

    micro_batch: int


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """exit.json: how the launcher ended, as the runner saw it."""

    code: int | None
    signal: int | None = None
    out_of_memory: bool = False
    started: float = 0.0
    ended: float = 0.0
    cpu_seconds: float = 0.0
    message: str = ""


def read(path: str | Path, kind: type[Any]) -> Any:
    """Decodes a JSON file into `kind`."""
    return msgspec.json.decode(Path(path).read_bytes(), type=kind)


def write(path: str | Path, value: Any) -> None:
    """Writes a record as JSON, whole or not at all."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(value), indent=2))


def write_whole(path: str | Path, content: bytes) -> None:
    """Writes a file whole: a temporary neighbour, fsync, replace."""
    path = Path(path)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with neighbour.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        neighbour.replace(path)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise
