"""What an iptables rule of ours may say: each option with its own values."""

import re
from collections.abc import Callable
from functools import lru_cache

from flatnet.apply import grammar_values as values

CHAIN = re.compile(r"flatnet-[A-Za-z0-9-]{1,20}")
SET_NAME = re.compile(r"flatnet-g[46]-[0-9]{1,18}")
_STATES = frozenset(
    {"NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT"}
)
_MODULES = frozenset(
    {
        *("tcp", "udp", "icmp", "icmp6", "multiport"),
        *("conntrack", "set", "physdev", "owner"),
    }
)
_TARGETS = frozenset(
    {"ACCEPT", "DROP", "SNAT", "DNAT", "REDIRECT", "CHECKSUM"}
)
_PROTOCOLS = frozenset({"tcp", "udp", "icmp", "icmpv6"})
_LONGEST = 1000


@lru_cache(1 << 16)
def check_rule(rule: str) -> None:
    """Check a rule without its leading `-A chain`.

    :raises ValueError: what in it is not of the grammar
    """
    if len(rule) > _LONGEST:
        raise ValueError("a rule is too long")
    words = rule.split(" ")
    if "-j" not in words:
        raise ValueError("a rule leads nowhere")
    while words:
        option, *words = words
        if option == "!":
            continue
        checks = _OPTIONS.get(option)
        if checks is None or len(words) < len(checks):
            raise ValueError(f"{option!r} is no option of a rule of ours")
        for check, word in zip(checks, words, strict=False):
            check(word)
        words = words[len(checks) :]


def _one_of(known: frozenset[str]) -> Callable[[str], None]:
    def check(word: str) -> None:
        if word not in known:
            raise ValueError(f"{word!r} is not known in a rule")

    return check


def _states(word: str) -> None:
    if not _STATES.issuperset(word.split(",")):
        raise ValueError(f"{word!r} are no states")


def _target(word: str) -> None:
    if word not in _TARGETS and not CHAIN.fullmatch(word):
        raise ValueError(f"{word!r} is no target of ours")


def _protocol(word: str) -> None:
    if word not in _PROTOCOLS:
        values.number(word, range(1, 256))


def _ports(word: str) -> None:
    for each in word.split(":", 1):
        values.number(each, range(65536))


def _icmp(word: str) -> None:
    for each in word.split("/", 1):
        values.number(each, range(256))


def _set(word: str) -> None:
    if not SET_NAME.fullmatch(word):
        raise ValueError(f"{word!r} is no set of ours")


def _user(word: str) -> None:
    values.number(word, range(1, 1 << 32))


def _service(word: str) -> None:
    address, _, port = word.partition(":")
    values.ipv4(address)
    values.number(port, range(1, 65536))


_OPTIONS: dict[str, tuple[Callable[[str], None], ...]] = {
    "-s": (values.network,),
    "-d": (values.network,),
    "-i": (values.device,),
    "-o": (values.device,),
    "-p": (_protocol,),
    "-m": (_one_of(_MODULES),),
    "-j": (_target,),
    "--sport": (_ports,),
    "--dport": (_ports,),
    "--dports": (_ports,),
    "--ctstate": (_states,),
    "--match-set": (_set, _one_of(frozenset({"src"}))),
    "--icmp-type": (_icmp,),
    "--icmpv6-type": (_icmp,),
    "--physdev-is-bridged": (),
    "--uid-owner": (_user,),
    "--to-source": (values.ipv4,),
    "--to-destination": (_service,),
    "--to-ports": (_ports,),
    "--checksum-fill": (),
}
