"""The admin's own file for dnsmasq: applied when edited, if it is sound."""

import os
import signal
from dataclasses import replace

import pytest
from dhcp_hosts import MAC_1, line, lives, serving_host

from tests.effects import RELOADED, STARTED, STOPPED
from tests.waiting import eventually


@pytest.fixture
def host(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        host.config_file = str(tmp_path / "dnsmasq.conf")
        yield host


def written(host, text):
    """Write the file, as an editor does."""
    with open(f"{host.config_file}.new", "w") as stream:
        stream.write(text)
    os.rename(stream.name, host.config_file)


def lease(host, namespaces, tmp_path):
    guest = host.guest(namespaces(), MAC_1, tmp_path / "vm_1")
    return guest.lease()


@pytest.mark.parametrize("option", ["dhcp-option-force", "dhcp-option"])
def test_what_it_says_wins(host, namespaces, tmp_path, option):
    written(host, f"{option}=26,1234\n{option}=3,10.0.0.9\n")
    host.apply(line(1))
    assert host.apply(line(1)) == ()
    found = lease(host, namespaces, tmp_path)
    assert (found["mtu"], found["router"]) == ("1234", "10.0.0.9")


def test_an_edit_is_applied_once(host, namespaces, tmp_path):
    written(host, "# nothing\n")
    host.apply(line(1))
    written(host, "dhcp-option=26,1234\n")
    made = host.apply(line(1))
    assert made[:2] == (
        replace(STOPPED, detail="one that differs"),
        STARTED,
    )
    assert host.apply(line(1)) == ()
    copies = [each for each in host.path.iterdir() if ".conf-" in each.name]
    assert [each.stat().st_mode & 0o777 for each in copies] == [0o600]
    assert lease(host, namespaces, tmp_path)["mtu"] == "1234"


UNSOUND = {
    "dhcp-optin=26,1234\n": "bad option at line 1",
    "expand-hosts\nport=x\n": "error at line 2",
    "user=nobody-at-all\n": "unknown user or group: nobody-at-all",
    "# keep\nkeep-in-foreground # or not\n": (
        "line 2: keep-in-foreground is flatnet's own to say"
    ),
    " pid-file = /tmp/x\n": "line 1: pid-file is flatnet's own to say",
    None: "No such file or directory",
}


@pytest.mark.parametrize("text", UNSOUND)
def test_a_slip_costs_a_line_and_nobody_his_server(
    host, namespaces, tmp_path, text
):
    written(host, "dhcp-option=26,1234\n")
    host.apply()
    if text is None:
        os.unlink(host.config_file)
    else:
        written(host, text)
    told = host.changes(host.server).warnings
    (only,) = told
    assert UNSOUND[text] in only
    assert f"dnsmasq_config_file {host.config_file} is not used" in only
    assert "stays in force" in only
    assert "\n" not in only
    # Told as long as it lasts, while the server goes on, also anew.
    pid = host.pid
    made = host.apply(line(1))
    assert RELOADED in made
    assert host.pid == pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not lives(pid))
    assert host.apply(line(1)) == (STARTED,)
    assert lease(host, namespaces, tmp_path)["mtu"] == "1234"
    written(host, "dhcp-option=26,1235\n")
    assert STARTED in host.apply(line(1))
    again = host.changes(host.server)
    assert again.warnings == ()


def test_a_first_file_that_is_unsound(host):
    written(host, "dhcp-optin=26,1234\n")
    told = host.failure(line(1))
    assert told == (
        f"dnsmasq_config_file {host.config_file} is not used: dnsmasq: bad "
        "option at line 1"
    )
    # Named for the first time while one runs without, that one goes on.
    config, host.config_file = host.config_file, ""
    host.apply()
    pid, host.config_file = host.pid, config
    assert RELOADED in host.apply(line(1))
    assert host.pid == pid


def test_no_file_any_more(host):
    written(host, "dhcp-option=26,1234\n")
    host.apply(line(1))
    host.config_file = ""
    assert STARTED in host.apply(line(1))
    assert not [each for each in host.path.iterdir() if ".conf" in each.name]
