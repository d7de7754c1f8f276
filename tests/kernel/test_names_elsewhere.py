"""Names of guests of other hosts, asked of a real dnsmasq by a guest."""

import json
from dataclasses import replace

import pytest
from dhcp_hosts import MAC_1, serving_host
from name_servers import asked, name_server

from flatnet.state.plan import NamesSlice
from tests.builders import dhcp_host
from tests.waiting import eventually

UPSTREAM = "127.0.0.2"
GATEWAY = "10.0.0.1"
HERE = dhcp_host(MAC_1, "10.0.0.2", "vm_1")


@pytest.fixture
def host(namespaces, tmp_path):
    with serving_host(namespaces, tmp_path) as host:
        host.server = replace(
            host.server,
            cidr="10.0.0.0/22",
            servers=(UPSTREAM,),
            hosts=(HERE,),
        )
        yield host


@pytest.fixture
def guest(host, namespaces, tmp_path):
    guest = host.guest(namespaces(), MAC_1, tmp_path / "guest")
    host.apply_all(host.server)
    assert guest.lease()["ip"] == "10.0.0.2"
    return guest


def far(*names, number=3):
    """A slice of names, at 10.0.3.7 and on."""
    return NamesSlice(
        1,
        number,
        tuple((f"10.0.3.{n}", name) for n, name in enumerate(names, 7)),
    )


def tell(host, *slices):
    """Have its server know these names too; return what was done."""
    return host.apply_all(replace(host.server, elsewhere=slices))


def test_names_of_all_hosts_and_never_of_the_range_from_upstream(host, guest):
    log = host.path / "asked"
    with name_server(host.namespace, UPSTREAM, log):
        tell(host, far("far", "later"))
        for name in ("far", "far.novalocal", "FAR"):
            eventually(
                lambda name=name: (
                    asked(guest, GATEWAY, name) == ("NOERROR", ["10.0.3.7"])
                )
            )
        for address, name in (("10.0.3.7", "far"), ("10.0.0.2", "vm_1")):
            assert asked(guest, GATEWAY, address) == (
                "NOERROR",
                [f"{name}.novalocal"],
            )
        for name in ("nobody", "nobody.novalocal", "10.0.1.9", "10.0.3.200"):
            assert asked(guest, GATEWAY, name) == ("NXDOMAIN", [])
        # What is not of the network is asked elsewhere, as it was.
        assert asked(guest, GATEWAY, "10.0.4.9")[0] == "NOERROR"
        assert asked(guest, GATEWAY, "else.where")[0] == "NOERROR"
    assert sorted(map(json.loads, log.read_text().splitlines())) == [
        "9.4.0.10.in-addr.arpa",
        "else.where",
    ]


def test_a_name_follows_its_guest(host, guest):
    tell(host, far("far", "later"), far("old", number=2))
    assert tell(host, far("far", "later"), far("old", number=2)) == ()
    tell(host, far("moved", "later"))
    eventually(lambda: asked(guest, GATEWAY, "far")[0] == "NXDOMAIN")
    assert asked(guest, GATEWAY, "10.0.3.7")[1] == ["moved.novalocal"]
    assert asked(guest, GATEWAY, "later")[1] == ["10.0.3.8"]
    assert asked(guest, GATEWAY, "old")[0] == "NXDOMAIN"
    assert not (host.path / "flatnet-br100.renamed").exists()
    # It comes here: the same name, of another file.
    mine = replace(HERE, mac="fa:16:3e:00:00:07", address="10.0.3.7")
    host.server = replace(
        host.server, hosts=(HERE, replace(mine, name="moved"))
    )
    tell(host, NamesSlice(1, 3, (("10.0.3.8", "later"),)))
    assert asked(guest, GATEWAY, "moved") == ("NOERROR", ["10.0.3.7"])


def test_many_names_wait_and_one_of_the_hosts_own_takes_them_along(
    host, guest
):
    mark = host.path / "flatnet-br100.renamed"
    server = replace(host.server, elsewhere=(far("a", "b", number=2),))
    other = replace(server, elsewhere=(*server.elsewhere, far("far")))
    own = replace(HERE, name="renamed")
    first, waiting, urgent = host.in_turn(
        (server,), (other,), (replace(other, hosts=(own,)),), rest=1000
    )
    assert [e.verb.name for e in first.made] == ["WRITTEN", "RELOADED"]
    assert [e.verb.name for e in waiting.made] == ["WRITTEN"]
    assert "RELOADED" in [e.verb.name for e in urgent.made]
    assert not mark.exists()
    assert asked(guest, GATEWAY, "far")[1] == ["10.0.3.7"]
    # A crash before the server was told loses nothing.
    mark.touch()
    made = host.apply_all(replace(other, hosts=(own,)))
    assert [e.verb.name for e in made] == ["RELOADED"]


def test_what_others_do_to_its_files_is_put_right(host, guest):
    tell(host, far("far"))
    directory = host.path / "flatnet-br100.elsewhere"
    (directory / "3").write_text("192.0.2.66 far\n")
    (directory / "77").write_text("192.0.2.66 bank\n")
    tell(host, far("far"))
    assert (directory / "3").read_text() == "10.0.3.7 far\n"
    assert [each.name for each in directory.iterdir()] == ["3"]
    host.apply_all()
    assert not directory.exists()
