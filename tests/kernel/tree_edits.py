"""What somebody does to a chain of the tree, or of a group.

Each is a function of an iptables command and of a chain's name.
"""

import re
import subprocess
from dataclasses import replace

from flatnet.apply.filter.iptables import marks
from flatnet.apply.filter.iptables.tables import Chain

# Chains that lead on to profiles.
NODE = re.compile("flatnet-(tree|p-[0-9a-f]{1,2})")


def did(words):
    subprocess.run(words.split(), check=True, timeout=60)


def lines(command, name):
    """The rules of a chain, without quotation marks."""
    return [each.replace('"', "") for each in shown(command, name)]


def shown(command, name):
    """The rules of a chain as they are printed."""
    prefix = f"-A {name} "
    saved = subprocess.run(
        [f"{command}-save", "-t", "filter"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    found = [each for each in saved if each.startswith(prefix)]
    return [each.removeprefix(prefix) for each in found]


def deleted(place):
    """Somebody deletes a rule of a chain."""

    def meddle(command, name):
        number = range(1, len(lines(command, name)) + 1)[place]
        did(f"{command} -D {name} {number}")

    return meddle


def emptied(command, name):
    did(f"{command} -F {name}")


def moved(command, name):
    """The first rule goes to the end, with its comment."""
    first = lines(command, name)[0]
    did(f"{command} -D {name} 1")
    did(f"{command} -A {name} {first}")


def repeated(command, name):
    did(f"{command} -A {name} {lines(command, name)[-1]}")


def opened(place):
    """Somebody lets all in at a place of a chain, from its end on if < 0."""

    def meddle(command, name):
        number = range(1, len(lines(command, name)) + 2)[place]
        did(f"{command} -I {name} {number} -j ACCEPT")

    return meddle


def edited(pattern, other):
    """Somebody edits the last rule of a chain, and keeps its comment."""

    def meddle(command, name):
        rules = lines(command, name)
        rule = re.sub(pattern, other, rules[-1])
        assert rule != rules[-1]
        did(f"{command} -R {name} {len(rules)} {rule}")

    return meddle


def unmarked(command, name):
    """The last rule loses its comment, and all that it says stays."""
    rules = lines(command, name)
    words = rules[-1].split()
    at = words.index("--comment")
    rule = " ".join((*words[: at - 2], *words[at + 2 :]))
    did(f"{command} -R {name} {len(rules)} {rule}")


def rewritten(change):
    """Somebody writes a chain with the marks that we would write it with."""

    def meddle(command, name):
        chain = Chain(name, any_order=bool(NODE.fullmatch(name)))
        stood = marks.written(chain, shown(command, name)).rules
        did(f"{command} -F {name}")
        for line in marks.lines(replace(chain, rules=change(stood))):
            did(f"{command} -A {name} {line}".replace('"', ""))

    return meddle


MEDDLING = {
    "forged at the end": rewritten(lambda rules: (*rules, "-j ACCEPT")),
    "forged at the start": rewritten(lambda rules: ("-j ACCEPT", *rules)),
    "forged order": rewritten(lambda rules: rules[::-1]),
    "forged twice": rewritten(lambda rules: (*rules, rules[-1])),
    "first deleted": deleted(0),
    "one deleted": deleted(1),
    "last deleted": deleted(-1),
    "emptied": emptied,
    "moved": moved,
    "repeated": repeated,
    "opened first": opened(0),
    "opened second": opened(1),
    "opened last": opened(-1),
    "unmarked": unmarked,
    "let in": edited("-j .*", "-j ACCEPT"),
    "led elsewhere": edited("-j .*", "-j flatnet-g-1"),
    "wider": edited("-m set --match-set [^ ]* dst ", ""),
    "turned round": edited("--match-set", "! --match-set"),
}
# Of a chain whose last rule names ports.
OF_PORTS = {"of more ports": edited("--dport [^ ]*", "--dport 1:9999")}
