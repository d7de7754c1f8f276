"""A run of the benchmark: one lab after the other, one figure at a time."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from flatnet.lab.bench import table
from flatnet.lab.bench.effort import QUICK, Effort
from flatnet.lab.bench.figure import (
    Figure,
    Row,
    failed_row,
    further_rows,
    measured_row,
)
from flatnet.lab.bench.site import Site
from flatnet.lab.bench.suite import SUITE, Setting
from flatnet.lab.namespaces import LabError
from flatnet.lab.spec import LabSpec

Say = Callable[[str], None]


@dataclass(frozen=True)
class Choice:
    """What of the suite is measured: at which effort, up to which size.

    `only` are texts of which a figure's name has one; none: all figures.
    """

    settings: tuple[tuple[Setting, tuple[int, ...]], ...]
    effort: Effort


def choice(*, quick: bool, only: tuple[str, ...], most: int) -> Choice:
    """What is to be measured.

    :param quick: a look at each figure in under three minutes
    :param only: texts of which a figure's name has one; none: all of them
    :param most: the largest size
    :raises LabError: nothing is left
    """
    found = []
    for setting in SUITE:
        figures = tuple(
            each
            for each in setting.figures
            if not only or any(text in each.name for text in only)
        )
        least = min((each.least for each in figures), default=0)
        sizes = setting.quick if quick else setting.sizes
        wanted = tuple(size for size in sizes if least <= size <= most)
        if wanted and figures:
            found.append((setting.with_figures(figures), wanted))
    if not found:
        raise LabError("no figure of the benchmark is meant")
    return Choice(tuple(found), QUICK if quick else Effort())


def rows(spec: LabSpec, chosen: Choice, *, say: Say) -> Iterator[Row]:
    """Measure, and yield each row as soon as it is known.

    :param spec: name and directory of the lab
    """
    for _, group in itertools.groupby(
        chosen.settings, key=lambda each: each[0].database
    ):
        yield from _rows(spec, list(group), chosen.effort, say)


def _rows(
    spec: LabSpec,
    settings: Sequence[tuple[Setting, tuple[int, ...]]],
    effort: Effort,
    say: Say,
) -> Iterator[Row]:
    """The rows of settings that one lab serves, with its nodes made anew."""
    (first, _), *_ = settings
    with Site(
        _lab(spec, first), layout=first.layout, effort=effort, say=say
    ) as site:
        for setting, sizes in settings:
            if setting is not first:
                site.renew(_lab(spec, setting), setting.layout)
            yield from _measured(site, setting.figures, sizes, say)


def _lab(spec: LabSpec, setting: Setting) -> LabSpec:
    """The lab as a setting wants it."""
    return LabSpec(
        name=spec.name,
        nodes=setting.nodes,
        directory=spec.directory,
        vif_plug=setting.plug,
        options=(*setting.layout.options, *spec.options),
        database=setting.database,
    )


def _measured(
    site: Site, figures: tuple[Figure, ...], sizes: tuple[int, ...], say: Say
) -> Iterator[Row]:
    before: dict[str, list[Row]] = {each.name: [] for each in figures}
    for size in sizes:
        site.grow(size)
        here: dict[str, Row] = {}
        for figure in figures:
            if size < figure.least:
                continue
            row, *further = _rows_of(site, figure, before[figure.name], here)
            before[figure.name].append(row)
            here[figure.name] = row
            for each in (row, *further):
                say(table.line(each))
                yield each


def _rows_of(
    site: Site, figure: Figure, before: list[Row], here: dict[str, Row]
) -> Iterator[Row]:
    """The row of a figure, then those that follow from it."""
    try:
        measured = figure.measure(site)
    except LabError as error:
        # What one figure cannot be measured by is no reason to lose others.
        yield failed_row(figure, site.size, str(error))
        return
    row = measured_row(figure, site.size, measured, before)
    yield row
    yield from further_rows(figure, row, measured, here)
