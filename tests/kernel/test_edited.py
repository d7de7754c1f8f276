"""Edits that keep our comment, while a real applier process runs."""

import ctypes

import pytest
from edited import edit, output
from test_watch import applier

from tests.waiting import eventually

# From linux/sched.h.
CLONE_NEWNS = 0x00020000


def handle(chain, word):
    """The number by which nft knows a rule."""
    text = output("nft", "-a", "list", "chain", "ip", "filter", chain)
    line = next(each for each in text.splitlines() if word in each)
    mark = line.partition("flatnet:")[2][:16]
    return line.rpartition("# handle ")[2], mark


def replaced(chain, word, rule):
    """Replace a rule with nft, its mark kept."""
    number, mark = handle(chain, word)
    rule = rule.format(f'comment "flatnet:{mark}"')
    output("nft", f"replace rule ip filter {chain} handle {number} {rule}")


DAMAGE = (
    lambda: edit("flatnet-local", "filter", "-j DROP", "-j ACCEPT"),
    lambda: edit("FORWARD", "filter", "-m comment", "-i lo -m comment"),
    lambda: replaced("flatnet-local", "drop", "counter accept {}"),
    lambda: replaced(
        "FORWARD", "jump flatnet", "iifname lo counter jump flatnet-FORWARD {}"
    ),
)


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_edit_in_place_is_noticed_at_once(namespace, tmp_path, damage):
    log = tmp_path / "log"

    def shown():
        text = output("iptables-save")
        return [line for line in text.splitlines() if line.startswith("-A")]

    def damaged():
        with applier(tmp_path, log) as serving:
            before = shown()
            damage()
            eventually(lambda: "changed rules of flatnet" in log.read_text())
            eventually(lambda: shown() == before)
            assert serving.wait_for_event()

    namespace.call(damaged)
    assert "mended: firewall iptables filter " in log.read_text()


def in_own_mounts(directory):
    """Have /usr/local/sbin, which comes first, be this directory."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNS) == 0
    output("mount", "--make-rprivate", "/")
    output("mount", "--bind", str(directory), "/usr/local/sbin")


@pytest.mark.parametrize("backend", ["legacy"], indirect=True)
@pytest.mark.parametrize(
    "damage",
    [
        ("iptables", "-F"),
        ("ip6tables", "-I", "flatnet-local", "-j", "ACCEPT"),
        ("iptables", "-I", "FORWARD", "-j", "ACCEPT"),
    ],
)
def test_legacy_tables_are_looked_at_without_an_event(
    namespace, backend, tmp_path_factory, damage
):
    directory = tmp_path_factory.mktemp("state")
    log = directory / "log"

    def rules():
        text = output("iptables-save") + output("ip6tables-save")
        return [line for line in text.splitlines() if line[:2] == "-A"]

    def damaged():
        in_own_mounts(backend)
        with applier(directory, log) as serving:
            assert "flatnet" in output("iptables-legacy-save")
            before = rules()
            output(*damage)
            assert rules() != before
            # A rule of others stays, below our jump.
            eventually(lambda: set(before) <= set(rules()))
            eventually(lambda: "mended: firewall ip" in log.read_text())
            assert serving.wait_for_event()

    namespace.call(damaged)
    assert "somebody (by iptables-legacy)" in log.read_text()
