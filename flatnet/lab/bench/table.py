"""The answer as people and as programs read it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from flatnet.apply import files
from flatnet.lab.bench.figure import Row

COLUMNS = (
    *("figure", "size", "value", "unit", "floor", "ratio", "goal", "met"),
    "cpu_ms",
)


def json_text(rows: Iterable[Row]) -> str:
    """A list of objects with the keys COLUMNS; `error`, `parts` if any."""
    return json.dumps([row.primitives() for row in rows], indent=1) + "\n"


def write_json(path: Path, rows: Iterable[Row]) -> None:
    """Write them to a file, whole or not at all.

    :raises OSError: it cannot be written
    """
    files.replace(str(path), json_text(rows))


def line(row: Row) -> str:
    """What a row says, while the others are still measured."""
    said = row.error or f"{short(row.value)} {row.unit}"
    if row.parts:
        said = f"{said} ({max(row.parts, key=row.parts.__getitem__)})"
    floor = f", floor {short(row.floor)}" if row.floor else ""
    return f"{row.figure} at {row.size}: {said}{floor}"


def short(value: float | None) -> str:
    """A number with three digits that count; a dash for none."""
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def by_process(cpu_ms: Mapping[str, float]) -> str:
    """The sum, and what it is made of, the greatest first."""
    parts = sorted(cpu_ms.items(), key=lambda each: -each[1])
    said = " ".join(f"{role} {ms:.1f}" for role, ms in parts if ms >= 0.1)
    return f"{sum(cpu_ms.values()):.1f}: {said}" if said else ""
