"""What ARCHITECTURE.rst names is there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import flatnet

TEXT = (Path(__file__).parents[2] / "ARCHITECTURE.rst").read_text()
ROOMS = {
    each.stem
    for each in Path(flatnet.__file__).parent.iterdir()
    if each.is_dir() or each.suffix == ".py"
}
NAMES = sorted(
    name
    for name in set(re.findall(r"``([a-z_]+(?:\.[a-z_]+)+)``", TEXT))
    if name.partition(".")[0] in ROOMS | {"filter", "guard"}
)


def found(name):
    """A module of that name, or what a module has by it."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(import_module(module), attribute)


def test_there_are_names():
    assert len(NAMES) > 30


@pytest.mark.parametrize("name", NAMES)
def test_a_name_leads_somewhere(name):
    first = name.partition(".")[0]
    if first == "filter":
        name = f"apply.{name}"
    assert found(f"flatnet.{name}") is not None
