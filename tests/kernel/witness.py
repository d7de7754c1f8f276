"""Who sees a host after each pass, and holds it against its laws."""

from allowances import Beliefs, facts
from flows import is_of, tracked
from host_state import differences, seen
from verdicts import Packet, Rules, Sets

SERVICES = (("tcp", 22), ("tcp", 80), ("udp", 53), ("icmp", 0))
OUTSIDE = ("198.51.100.7", "203.0.113.9", "2001:db8:ffff::9")


class Witness:
    """What may be believed of the rows of a cloud, and what is on the host.

    `files` is the directory of its DHCP servers.  `meddled`: what others did
    need not be put right yet, so that nobody knows what passes.  `now` is
    what rows said when one looked last.
    """

    def __init__(self, cloud, files, *, same):
        self.files = files
        self.meddled = False
        self.state = seen(files)
        self.passed = frozenset()
        self._missed = ()
        self._cloud = cloud
        self._beliefs = Beliefs({same})
        self._theirs = self.state.theirs
        self.note_rows()

    def note_rows(self):
        """See what rows say, whoever wrote them."""
        self.now = facts(self._cloud)
        self._beliefs.observe(self.now)

    def note_missed(self, before):
        """See that the pass that runs may know rows as they were before.

        Who asks for all of them while it reads is served by the next.
        """
        self._missed = (before,)

    def note_others(self):
        """See what others made of the host."""
        self._theirs = seen(self.files).theirs
        self.meddled = True

    def note_option(self, *, same):
        """See what allow_same_net_traffic is from the next pass on."""
        self._beliefs.same = {same}

    def note_pass(self, outcome, scope):
        """See what a pass read, and what it wrote into rows."""
        before, self.now = self.now, facts(self._cloud)
        times, self._missed = (*self._missed, before, self.now), ()
        if outcome.error is None:
            self._beliefs.cover(scope, *times)
            if scope.everything:
                self.meddled = False
        self._beliefs.observe(self.now)

    def check(self, outcome):
        """Hold the host against what a pass may have made of it."""
        self.state = seen(self.files)
        text = differences(self._theirs, self.state.theirs)
        assert not text, f"what is others' is another: {text}"
        if self.meddled:
            return
        packets = frozenset(self._packets())
        self.passed = self._passing(packets)
        shut = {p for p in packets if not self._beliefs.lets_in(p)}
        _none(self.passed & shut, "open")
        _none(self.state.senders - self._beliefs.senders(), "may send")
        if outcome.error is None:
            flows = tracked(self.state.flows)
            _none({p for p in shut if is_of(p, flows)}, "still connected")

    def check_open(self):
        """Hold it against what passes where rows are known."""
        wanted = {p for p in self._packets() if self._beliefs.lets_in(p)}
        _none(wanted - self.passed, "closed")

    def _passing(self, packets):
        """Those that the kernel's rules let through."""
        sets = Sets(self.state.sets)
        four = Rules(self.state.four, sets)
        six = Rules(self.state.six, sets)
        return frozenset(
            packet
            for packet in packets
            if (six if ":" in packet.target else four).passes(packet)
        )

    def _packets(self):
        """Those that it is asked of whether they pass."""
        found = sorted(self._beliefs.addresses())
        for target in found:
            for source in (*found, *OUTSIDE):
                if (":" in source) == (":" in target) and source != target:
                    yield from self._ways(source, target)

    def _ways(self, source, target):
        """What one may send to another, by the way that it comes."""
        for bridge in self._beliefs.bridges_of(target):
            came = bridge
            # IPv6 is routed for nobody.
            if ":" not in target:
                (came,) = self._beliefs.bridges_of(source) or ("out0",)
            for protocol, port in SERVICES:
                if ":" in target and protocol == "icmp":
                    continue
                yield Packet(
                    *(source, target, protocol, port),
                    came=came,
                    leaves=bridge,
                    bridged=came == bridge,
                )


def _none(found, what):
    shown = "\n".join(sorted(map(repr, found))[:5])
    assert not found, f"{what}, {len(found)} in all:\n{shown}"
