"""A picture of cost against size, one line for each figure.

It is drawn by Pillow, which is one package without further ones; matplotlib
would bring ten for some lines between points.  It is in the extra `bench`:
nobody who runs flatnet needs it.
"""

import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from flatnet.lab.bench.figure import LIBRARIES_TITLE, Row
from flatnet.lab.namespaces import LabError

_WIDTH, _HEIGHT = 1200, 800
_LEFT, _TOP, _RIGHT, _BOTTOM = 90, 60, 430, 70
_COLOURS = (
    *("#1f4e8c", "#c0392b", "#2e7d32", "#8e44ad", "#d35400", "#00838f"),
    *("#6d4c41", "#ad1457", "#558b2f", "#283593", "#f9a825", "#455a64"),
)
_INK, _GRID = "#222222", "#dddddd"
_LINE_HEIGHT, _TEXT, _HEADING = 24, 15, 20


class Axis:
    """A logarithmic axis: where on the picture a value is."""

    def __init__(self, values: Sequence[float], start: int, end: int) -> None:
        self.first = math.floor(math.log10(min(values)))
        self.last = max(math.ceil(math.log10(max(values))), self.first + 1)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """The place of a value, in points of the picture."""
        part = (math.log10(value) - self.first) / (self.last - self.first)
        return self._start + part * (self._end - self._start)

    @property
    def decades(self) -> tuple[float, ...]:
        return tuple(10.0**power for power in range(self.first, self.last + 1))


def check_possible() -> None:
    """Say at once what would be missing in the end.

    :raises LabError: Pillow is not installed
    """
    _library("Image")


def write(path: Path, rows: Sequence[Row]) -> None:
    """Draw what takes milliseconds, with its floors, as a PNG.

    :raises LabError: Pillow is missing, or there is nothing to draw
    :raises OSError: the file cannot be written
    """
    lines = _lines(rows)
    if not lines:
        raise LabError("no figure in milliseconds: there is nothing to draw")
    image = _library("Image").new("RGB", (_WIDTH, _HEIGHT), "white")
    drawing = _library("ImageDraw").Draw(image)
    drawn = [each for line in lines.values() for each in line]
    across = Axis([row.size for row in drawn], _LEFT, _WIDTH - _RIGHT)
    up = Axis(
        [value for row in drawn for value in (row.value, row.floor) if value],
        _HEIGHT - _BOTTOM,
        _TOP,
    )
    _draw_axes(drawing, across, up)
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        _draw_line(drawing, line, across, up, colour)
        place = (_WIDTH - _RIGHT + 30, _TOP + number * _LINE_HEIGHT)
        drawing.text(place, name, fill=colour, font=_font(_TEXT))
    image.save(path, "PNG")


def _lines(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        # An empty host has no place on an axis of powers; what is held
        # against another floor is drawn once.
        is_again = row.figure.endswith(LIBRARIES_TITLE)
        if row.unit == "ms" and row.value and row.size and not is_again:
            found.setdefault(row.figure, []).append(row)
    grown = {name: line for name, line in found.items() if len(line) > 1}
    return grown or found


def _draw_axes(drawing: Any, across: Axis, up: Axis) -> None:
    left, right = across.at(across.decades[0]), across.at(across.decades[-1])
    low, high = up.at(up.decades[0]), up.at(up.decades[-1])
    for value in across.decades:
        at = across.at(value)
        drawing.line([(at, low), (at, high)], fill=_GRID)
        drawing.text(
            (at, low + 8),
            f"{value:g}",
            fill=_INK,
            font=_font(_TEXT),
            anchor="ma",
        )
    for value in up.decades:
        at = up.at(value)
        drawing.line([(left, at), (right, at)], fill=_GRID)
        drawing.text(
            (left - 8, at),
            f"{value:g}",
            fill=_INK,
            font=_font(_TEXT),
            anchor="rm",
        )
    drawing.text(
        (left, _TOP - 40),
        "milliseconds by instances on the host; hollow: the floor",
        fill=_INK,
        font=_font(_HEADING),
    )


def _draw_line(
    drawing: Any, line: list[Row], across: Axis, up: Axis, colour: str
) -> None:
    points = [
        (across.at(row.size), up.at(row.value)) for row in line if row.value
    ]
    if len(points) > 1:
        drawing.line(points, fill=colour, width=3)
    for x, y in points:
        drawing.ellipse([(x - 4, y - 4), (x + 4, y + 4)], fill=colour)
    for row in line:
        if row.floor:
            x, y = across.at(row.size), up.at(row.floor)
            drawing.ellipse([(x - 4, y - 4), (x + 4, y + 4)], outline=colour)


def _font(size: int) -> Any:
    return _library("ImageFont").load_default(size)


def _library(name: str) -> Any:
    try:
        return import_module(f"PIL.{name}")
    except ImportError as error:
        raise LabError(
            "--plot needs Pillow: pip install 'flatnet[bench]'"
        ) from error
