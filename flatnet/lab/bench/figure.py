"""What is measured, as values: figures, their bounds, rows of the answer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flatnet.lab.bench.site import Site

# What a goal is a multiple of: the figure's floor, its value at the smallest
# size, or one of its unit.
FLOOR, FIRST, UNIT = "floor", "the first size", ""
# Of rows that follow from others.
LIBRARIES_TITLE = "over its libraries"
CPU_TITLE, CPU_UNIT, RATIO_UNIT = "CPU of a call", "ms of CPU", "times"


@dataclass(frozen=True)
class Measured:
    """A value with its floor, none where nothing is below it but zero.

    `cpu_ms` is what a call cost, by process, in milliseconds.  `libraries` is
    a second floor: what the same libraries take without any logic.  `parts`
    are the values that `value` is the worst of, by name.
    """

    value: float
    floor: float | None = None
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    libraries: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """A bound: `factor` times what `of` says, plus `more` of the unit.

    It is the most that the value may be, or with `sign` >= the least.
    """

    factor: float
    of: str = UNIT
    more: float = 0
    sign: str = "<="

    @property
    def text(self) -> str:
        """The bound, for people."""
        bound = f"{self.factor:g}"
        if self.of:
            bound = self.of if self.factor == 1 else f"{bound} x {self.of}"
        more = f" + {self.more:g}" if self.more else ""
        return f"{self.sign} {bound}{more}"

    def met(self, measured: Measured, first: float) -> bool | None:
        """Whether a value keeps to it; none if there is nothing to compare.

        :param first: the figure's value at the smallest size
        """
        base = {FLOOR: measured.floor, FIRST: first, UNIT: 1.0}[self.of]
        if base is None:
            return None
        bound = self.factor * base + self.more
        if self.sign == ">=":
            return measured.value >= bound
        return measured.value <= bound


# Of a figure beside its second floor.
OVER_LIBRARIES = Goal(1.5, FLOOR)


@dataclass(frozen=True)
class Figure:
    """One thing that is measured on a site, at each of its sizes.

    The first goal is that of the smallest size, the last one of the others.
    `least` is the smallest size that it has a meaning at.  `cpu` bounds what a
    call costs all processes together, `beside` the ratio to other figures of
    the same size, by their names: each is a row of its own.
    """

    name: str
    unit: str
    measure: Callable[[Site], Measured]
    goals: tuple[Goal, ...] = ()
    least: int = 1
    cpu: Goal | None = None
    beside: Mapping[str, Goal] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of the answer; without a value where `error` says why.

    `size` is the number of instances on a host, `parts` what the value is the
    worst of.
    """

    figure: str
    size: int
    value: float | None
    unit: str
    floor: float | None
    ratio: float | None
    goal: str
    met: bool | None
    cpu_ms: Mapping[str, float]
    error: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)

    def primitives(self) -> dict[str, Any]:
        """The row as JSON has it; numbers with four digits that count."""
        values = {
            key: dict(each) if isinstance(each, Mapping) else each
            for key, each in vars(self).items()
        }
        for key in ("error", "parts"):
            if not values[key]:
                del values[key]
        return {key: _rounded(value) for key, value in values.items()}


def measured_row(
    figure: Figure, size: int, measured: Measured, before: list[Row]
) -> Row:
    """The row of a value; `before` are those of the smaller sizes."""
    earlier = [each.value for each in before if each.value is not None]
    goal = figure.goals[0] if not before else figure.goals[-1]
    floor = measured.floor
    return Row(
        figure=figure.name,
        size=size,
        value=measured.value,
        unit=figure.unit,
        floor=floor,
        ratio=measured.value / floor if floor else None,
        goal=goal.text,
        met=goal.met(measured, (*earlier, measured.value)[0]),
        cpu_ms=measured.cpu_ms,
        parts=measured.parts,
    )


def further_rows(
    figure: Figure, row: Row, measured: Measured, others: Mapping[str, Row]
) -> Iterator[Row]:
    """The rows that follow from a figure's own.

    :param others: those of the same size that were measured before, by figure
    """
    if figure.cpu and row.cpu_ms:
        name = f"{figure.name}: {CPU_TITLE}"
        yield _following(
            row, name, CPU_UNIT, sum(row.cpu_ms.values()), figure.cpu
        )
    if measured.libraries:
        over = Measured(measured.value, measured.libraries)
        name = f"{figure.name}: {LIBRARIES_TITLE}"
        yield measured_row(
            Figure(name, figure.unit, figure.measure, (OVER_LIBRARIES,)),
            *(row.size, over, []),
        )
    for other, goal in figure.beside.items():
        base = others[other].value if other in others else None
        if row.value and base:
            name = f"{figure.name}: beside {other}"
            yield _following(row, name, RATIO_UNIT, row.value / base, goal)


def _following(
    row: Row, name: str, unit: str, value: float, goal: Goal
) -> Row:
    return Row(
        figure=name,
        size=row.size,
        value=value,
        unit=unit,
        floor=None,
        ratio=None,
        goal=goal.text,
        met=goal.met(Measured(value), value),
        cpu_ms={},
    )


def failed_row(figure: Figure, size: int, error: str) -> Row:
    """The row of a figure that could not be measured."""
    return Row(
        figure=figure.name,
        size=size,
        value=None,
        unit=figure.unit,
        floor=None,
        ratio=None,
        goal=figure.goals[0].text,
        met=False,
        cpu_ms={},
        error=error,
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
