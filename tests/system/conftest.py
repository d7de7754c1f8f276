"""Labs for system tests; a test that fails shows every node of its lab."""

import contextlib
import secrets

import pytest

from flatnet.lab.lab import Lab
from flatnet.lab.spec import STATE_DIRECTORY, LabSpec


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Add what the nodes look like to the report of a failure."""
    report = yield
    if report.when == "call" and report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Lab):
                report.sections.append((name, value.describe()))
    return report


def fresh_spec(**fields):
    """The spec of a lab that nobody else has; `fields` are LabSpec's."""
    name = f"t{secrets.token_hex(4)}"
    return LabSpec(name=name, directory=STATE_DIRECTORY / name, **fields)


@pytest.fixture(scope="module")
def lab():
    """Two nodes with veth ports, shared by the tests of a module."""
    with Lab(fresh_spec(), say=print) as lab:
        yield lab


@pytest.fixture
def labs():
    """A function that brings up a lab of its own for a test."""
    with contextlib.ExitStack() as stack:

        def up(**fields):
            return stack.enter_context(Lab(fresh_spec(**fields), say=print))

        yield up
