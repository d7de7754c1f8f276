"""Where root opens files, and who else may have put something there."""

import os
import pwd

import pytest

from flatnet.apply import files, safe_directory
from flatnet.apply.dhcp import dnsmasq
from flatnet.apply.dhcp.daemons import Running
from flatnet.apply.dhcp.dhcp import apply_dhcp
from flatnet.apply.dhcp.elsewhere import Elsewhere
from flatnet.apply.dhcp.leases import Leases
from flatnet.apply.dhcp.texts import Texts
from flatnet.exceptions import HostSetupError
from tests.builders import dhcp_host, dhcp_server

NOBODY = pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def tree(tmp_path):
    """state/networks, as they should be."""
    (tmp_path / "state" / "networks").mkdir(parents=True)
    return tmp_path


def refused(path):
    with pytest.raises(HostSetupError) as error:
        safe_directory.make_safe_directory(str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("owner", "mode"), [(NOBODY, 0o755), (0, 0o777), (0, 0o1777), (0, 0o775)]
)
def test_a_directory_of_others_is_refused(tree, owner, mode):
    path = tree / "state" / "networks"
    os.chown(path, owner, -1)
    path.chmod(mode)
    assert f"chown root {path}" in refused(path)


@pytest.mark.parametrize(
    ("owner", "mode"),
    [(NOBODY, 0o755), (NOBODY, 0o1777), (0, 0o777), (0, 0o775)],
)
def test_a_directory_that_others_may_replace_is_refused(tree, owner, mode):
    state = tree / "state"
    os.chown(state, owner, -1)
    state.chmod(mode)
    assert f"may replace what is in {state}" in refused(state / "networks")


def test_a_sticky_directory_above_is_as_good(tree):
    state = tree / "state"
    state.chmod(0o1777)
    safe_directory.make_safe_directory(str(state / "networks"))


def test_a_link_there_is_refused_by_where_it_lies(tree):
    theirs = tree / "theirs"
    theirs.mkdir()
    (theirs / "link").symlink_to(tree / "state" / "networks")
    os.chown(theirs, NOBODY, -1)
    assert str(theirs) in refused(theirs / "link")


def test_a_link_of_others_in_a_sticky_directory_is_refused(tree):
    """It is theirs to change, though the directory is as it should be."""
    state = tree / "state"
    state.chmod(0o1775)
    link = state / "link"
    link.symlink_to(state / "networks")
    os.chown(link, NOBODY, -1, follow_symlinks=False)
    assert f"may replace the link {link}" in refused(link)
    os.chown(link, 0, -1, follow_symlinks=False)
    safe_directory.make_safe_directory(str(link))


def test_every_link_of_a_chain_is_looked_at(tree):
    theirs = tree / "theirs"
    theirs.mkdir()
    (theirs / "second").symlink_to("../state/networks")
    (tree / "first").symlink_to("theirs/second")
    safe_directory.make_safe_directory(str(tree / "first"))
    os.chown(theirs, NOBODY, -1)
    assert str(theirs) in refused(tree / "first")


def test_links_that_lead_nowhere_end(tree):
    (tree / "one").symlink_to("two")
    (tree / "two").symlink_to("one")
    assert "too many links" in refused(tree / "one")


def test_nothing_is_made_where_others_lead(tree):
    theirs = tree / "theirs"
    theirs.mkdir()
    (theirs / "link").symlink_to(tree / "state")
    os.chown(theirs, NOBODY, -1)
    assert str(theirs) in refused(theirs / "link" / "made")
    assert str(theirs) in refused(theirs / "made")
    assert sorted(path.name for path in tree.rglob("made")) == []


def test_what_is_missing_is_made_for_dnsmasq_to_enter(tree):
    before = os.umask(0o077)
    try:
        safe_directory.make_safe_directory(
            str(tree / "state" / "a" / ".." / "b")
        )
    finally:
        os.umask(before)
    assert oct((tree / "state" / "b").stat().st_mode) == "0o40755"


SERVER = dhcp_server(
    lease_time=3600,
    hosts=(dhcp_host("fa:16:3e:00:00:01", "10.0.0.2", "vm_1"),),
)


@pytest.mark.parametrize(
    "kind", ["hosts", "opts", "names", "elsewhere", "leases", "pid"]
)
def test_links_are_replaced_or_refused_and_never_followed(
    namespace, tmp_path, kind
):
    for each in (tmp_path, *tmp_path.parents):
        if str(each).startswith("/tmp/"):
            each.chmod(each.stat().st_mode | 0o055)
    victim = tmp_path / "victim"
    victim.write_text("dear")
    networks = tmp_path / "networks"
    networks.mkdir()
    link = networks / f"flatnet-br100.{kind}"
    link.symlink_to(victim)
    namespace.run("ip link add br100 up type bridge")
    namespace.run("ip addr add 10.0.0.1/24 dev br100")

    def apply(*servers):
        return namespace.call(
            apply_dhcp,
            servers,
            Running(),
            Texts(),
            Leases(),
            Elsewhere(),
            networks_path=str(networks),
            config_file="",
            skip=frozenset(),
        )

    apply(SERVER)
    assert victim.read_text() == "dear"
    if not link.is_dir():
        link.unlink(missing_ok=True)
    apply()


def test_reading_follows_no_link(tmp_path):
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic links"):
        files.read(str(tmp_path / "link"))
    assert dnsmasq.leases("") == []
