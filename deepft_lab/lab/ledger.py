"""The ledger of use. A row opens when an attempt of a job starts, and is closed, never deleted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, RowMapping, select, update

from deepft_lab.records import Caller, Usage
from deepft_lab.store import tables as t
from deepft_lab.store.database import upsert

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab

HOUR = 3600.0


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """What an hour costs; None: only hours are told."""

    per_gpu_hour: float | None = None
    per_cpu_hour: float | None = None
    currency: str = ""


def usage(lab: Lab, caller: Caller) -> list[Usage]:
    """Newest first: the caller's own rows, or everyone's for an administrator."""
    statement = select(t.usage).order_by(t.usage.c.key.desc())
    if not caller.administrator:
        statement = statement.where(t.usage.c.user == caller.user)
    with lab.database.reading() as connection:
        return [record(row, lab.jobs.cpu_seconds(row["job"])) for row in connection.execute(statement).mappings()]


def open_row(connection: Connection, job: Mapping[str, Any], *, started: float, gpus: int, prices: Prices) -> None:
    """`job` names user, owner, app, model, version, job and attempt. Opening the same attempt again changes nothing."""
    row = {
        **job,
        "started": started,
        "gpus": gpus,
        "cpu_seconds": 0.0,
        "price_per_gpu_hour": prices.per_gpu_hour,
        "price_per_cpu_hour": prices.per_cpu_hour,
        "currency": prices.currency,
    }
    exists = select(t.usage.c.key).where(t.usage.c.job == job["job"], t.usage.c.attempt == job["attempt"])
    if connection.execute(exists).first() is None:
        upsert(connection, t.usage, [row], ("job", "attempt"))


def close_row(connection: Connection, job: str, attempt: int, *, ended: float, cpu_seconds: float) -> None:
    mine = (t.usage.c.job == job) & (t.usage.c.attempt == attempt) & t.usage.c.ended.is_(None)
    connection.execute(update(t.usage).where(mine).values(ended=ended, cpu_seconds=cpu_seconds))


def record(row: RowMapping, cpu_seconds: float = 0.0) -> Usage:
    """`cpu_seconds` counts while the row is open."""
    seconds = max(0.0, (row["ended"] or time.time()) - row["started"])
    cpu_seconds = row["cpu_seconds"] if row["ended"] else cpu_seconds
    gpu_hours = seconds * row["gpus"] / HOUR
    prices = Prices(
        per_gpu_hour=row["price_per_gpu_hour"], per_cpu_hour=row["price_per_cpu_hour"], currency=row["currency"]
    )
    copied = ("user", "owner", "app", "model", "version", "job", "attempt", "started", "ended", "gpus")
    return Usage(
        **{name: row[name] for name in copied},
        seconds=seconds,
        gpu_hours=gpu_hours,
        cpu_seconds=cpu_seconds,
        price_per_gpu_hour=prices.per_gpu_hour,
        price_per_cpu_hour=prices.per_cpu_hour,
        currency=prices.currency,
        cost=cost(prices, gpu_hours, cpu_seconds / HOUR),
    )


def cost(prices: Prices, gpu_hours: float, cpu_hours: float) -> float | None:
    """In the prices' currency; None where no price is set."""
    if prices.per_gpu_hour is None and prices.per_cpu_hour is None:
        return None
    return gpu_hours * (prices.per_gpu_hour or 0.0) + cpu_hours * (prices.per_cpu_hour or 0.0)
