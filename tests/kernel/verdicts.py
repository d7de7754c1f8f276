"""What the rules that the kernel has let through, by reading them.

A packet that begins a connection goes down FORWARD rule by rule.  What is
not understood is an error, so that nothing is taken for a match that is none.
"""

import ipaddress
import shlex
from dataclasses import dataclass
from functools import lru_cache

_PROTOCOLS = {"icmp": "icmp", "ipv6-icmp": "icmpv6", "icmpv6": "icmpv6"}


@dataclass(frozen=True)
class Packet:
    """One that begins a connection; `bridged` is by one bridge alone."""

    source: str
    target: str
    protocol: str
    port: int
    came: str
    leaves: str
    bridged: bool


@lru_cache(1 << 14)
def address(text):
    return ipaddress.ip_address(text)


@lru_cache(1 << 10)
def network(text):
    return ipaddress.ip_network(text, strict=False)


class Sets:
    """The members of sets, by what `ipset save` prints."""

    def __init__(self, saved):
        self.single, self.ranges = {}, {}
        for line in saved.splitlines():
            verb, name, member, *_ = line.split()
            if verb == "create":
                self.single[name], self.ranges[name] = set(), []
            elif "/" in member:
                self.ranges[name].append(network(member))
            else:
                self.single[name].add(member)

    def has(self, name, text):
        """Whether an address is in a set."""
        return text in self.single[name] or any(
            address(text) in each for each in self.ranges[name]
        )


class Rules:
    """The filter table of one family, by what iptables-save prints."""

    def __init__(self, saved, sets):
        self._chains = {}
        self._policies = {}
        for line in _filter_lines(saved):
            if line.startswith(":"):
                name, policy, *_ = line[1:].split()
                self._policies[name] = policy
                self._chains.setdefault(name, [])
            elif line.startswith("-A"):
                _, name, *words = shlex.split(line)
                self._chains[name].append(_rule(words, sets))

    def passes(self, packet):
        """Whether it is let through."""
        verdict = self._walk("FORWARD", packet)
        return (verdict or self._policies["FORWARD"]) == "ACCEPT"

    def _walk(self, chain, packet):
        for tests, target in self._chains[chain]:
            if not all(test(packet) for test in tests):
                continue
            if target in ("ACCEPT", "DROP"):
                return target
            if target == "RETURN":
                return None
            if target is not None:
                verdict = self._walk(target, packet)
                if verdict:
                    return verdict
        return None


def _filter_lines(saved):
    inside = False
    for line in saved.splitlines():
        if line.startswith("*"):
            inside = line == "*filter"
        elif inside:
            yield line


def _rule(words, sets):
    """The tests of a rule, and where it leads."""
    tests, target = [], None
    words = list(words)
    while words:
        word = words.pop(0)
        negated = word == "!"
        if negated:
            word = words.pop(0)
        if word == "-j":
            target = words.pop(0)
            if target == "MARK":
                # It decides nothing.
                target, words = None, words[2:]
            continue
        test = _test(word, words, sets)
        if test is not None:
            tests.append(_not(test) if negated else test)
    return tests, target


def _not(test):
    return lambda packet: not test(packet)


def _test(word, words, sets):
    """What a match asks of a packet, none where it asks nothing."""
    if word in ("-m", "--comment"):
        words.pop(0)
        return None
    if word == "--physdev-is-bridged":
        return lambda packet: packet.bridged
    value = words.pop(0)
    if word == "--match-set":
        return _in_set(value, words.pop(0), sets)
    return _MATCHES[word](value) if word in _MATCHES else _unknown(word)


def _unknown(word):
    """What no packet of ours should meet, for other chains have it."""

    def test(packet):
        raise AssertionError(f"{word} is asked of {packet}")

    return test


def _in_set(name, side, sets):
    if side == "dst":
        return lambda packet: sets.has(name, packet.target)
    return lambda packet: sets.has(name, packet.source)


def _protocol(value):
    wanted = _PROTOCOLS.get(value, value)
    return lambda packet: packet.protocol == wanted


def _ports(value):
    first, _, last = value.partition(":")
    ports = range(int(first), int(last or first) + 1)
    return lambda packet: packet.port in ports


_MATCHES = {
    "-s": lambda v: lambda p: address(p.source) in network(v),
    "-d": lambda v: lambda p: address(p.target) in network(v),
    "-i": lambda v: lambda p: p.came == v,
    "-o": lambda v: lambda p: p.leaves == v,
    "-p": _protocol,
    "--dport": _ports,
    "--ctstate": lambda v: lambda p: "NEW" in v.split(","),
    # No packet here is of such a kind.
    "--icmpv6-type": lambda v: lambda p: False,
}
