"""Fixtures for tests on a real kernel: fresh hosts, shown on failure."""

import contextlib

import pytest
from namespaces import fresh_namespace

from flatnet.apply import command

_CALL = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Remember how the test itself went, for the fixtures' end."""
    report = yield
    if report.when == "call":
        item.stash[_CALL] = report
    return report


@pytest.fixture
def namespaces(request):
    """A function that gives a fresh `Namespace` at each call."""
    hosts = []
    with contextlib.ExitStack() as stack:

        def fresh():
            hosts.append(stack.enter_context(fresh_namespace()))
            return hosts[-1]

        yield fresh
        report = request.node.stash.get(_CALL, None)
        if report is not None and report.failed:
            print(*(host.describe() for host in hosts), sep="\n")


@pytest.fixture
def namespace(namespaces):
    """One fresh host as a network namespace."""
    return namespaces()


@pytest.fixture(params=["nft", "legacy"])
def backend(request, monkeypatch, tmp_path):
    """What iptables is here: a directory of its programs, first in PATH."""
    for name in ("iptables", "ip6tables"):
        for part in ("", "-save", "-restore"):
            link = tmp_path / f"{name}{part}"
            link.symlink_to(f"/usr/sbin/xtables-{request.param}-multi")
    path = f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"
    monkeypatch.setattr(command, "_PATH", path)
    monkeypatch.setenv("PATH", path)
    return tmp_path
