"""What changes without an event of netlink, looked at once a second.

Goals, and how each is met:

* What opens is seen and put back at once: the settings that make bridged
  packets pass iptables, the sets whose members are kept out, and the size
  of tables of iptables-legacy.
* A DHCP server that has ended, or that somebody has stopped, is noticed, and
  so is who writes or removes its files; where it could not start because
  somebody had its port, that this is free again.
* Who writes a file, a setting, or ends a server is seen before that, as far
  as the kernel tells (`file_events`, pidfds), and so is what somebody did by
  the commands for sets and for iptables-legacy, once these have ended: what
  is looked at once a second is what it may not tell.
* It costs next to nothing, however many guests there are: of what there is
  one of each, a few are looked at, in turn.

Given up: where the kernel does not tell, a guest's own device may have IPv6
for as many seconds as there are ports, divided by sixteen; whole passes
look at all, where that is due (`cpu_budget`).
"""

import os
from collections.abc import Collection, Iterable, Iterator

from flatnet.apply.command import resolved
from flatnet.apply.file_events import FileEvents
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.own_routes import OwnRoutes
from flatnet.apply.link.sysctl import apply_sysctls, setting_paths
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.changes import Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import Plan, Port
from flatnet.state.sliced_collections import SlicedMap

# Ports that are looked at by one probe.
_AT_ONCE = 16
_DEVICES, _IPV6 = "/proc/sys/net/ipv6/conf/", "/disable_ipv6"
_PORT = Surface.PORT
# Programs that change what has no events, by any of their names.
_OF_SETS, _OF_RULES = "ipset", "iptables-legacy"
# What had to be mended, and what only a pass can mend.
Met = Effect | Failure


class Probes:
    """Looks at a plan, some of it at a time."""

    def __init__(self, known: WorkerCache, devices: Reads) -> None:
        self._known = known
        self._devices = devices
        self._turn: list[str] = []
        # What lasts is told once, until it was found well: each with what
        # tells it from the same that was done before, and mended.
        self._told: frozenset[tuple[Failure, object]] = frozenset()
        self._having_ipv6: frozenset[str] = frozenset()
        self._files: dict[str, object] = {}
        self._events = FileEvents()
        self._written: frozenset[str] = frozenset()
        self._programs: frozenset[str] = frozenset()
        self._is_rule_look_due = False
        self._routes = OwnRoutes()
        # Those whose settings are watched.
        self._ports = SlicedMap[str, Port]()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when there is something to look at."""
        return *self._events.descriptors, self._known.daemons.descriptor

    def note(self, plan: Plan, made: Iterable[Effect] = ()) -> None:
        """Note what a pass has left, and `made`: a device may be another.

        It has seen to files: who removes one again does so to another.
        """
        before, self._ports = self._ports, plan.ports
        new, gone = self._ports.differing(before)
        for name in gone:
            self._events.forget(_setting(name))
        of_ports = {
            str(e.subject.key) for e in made if e.subject.surface is _PORT
        }
        for name in {*new, *(of_ports & self._ports.keys())}:
            if _is_ours(self._ports[name]):
                self._events.watch(_setting(name))
        for path in setting_paths(plan):
            self._events.watch(path)
        self._watch_programs()
        # What was written until now was the pass's work, or seen by it; for
        # each port that is not sure.
        written = self._heard()
        self._written = frozenset(filter(_is_setting, written))
        self._files = self._known.daemons.files()
        for directory in {os.path.dirname(path) for path in self._files}:
            self._events.watch(directory)
        self._told = frozenset(
            (failure, what)
            for failure, what in self._told
            if failure.subject.surface is not Surface.FILE
        )

    def _watch_programs(self) -> None:
        """Have those watched that are installed now."""
        found = frozenset(filter(None, map(resolved, (_OF_SETS, _OF_RULES))))
        for path in self._programs - found:
            self._events.forget(path)
        for path in found:
            self._events.watch_runs(path)
        self._programs = found

    def _heard(self) -> frozenset[str]:
        """What was written; who ran a program may have done something else."""
        written = self._events.written()
        if ran := written & self._programs:
            self._is_rule_look_due = True
            if resolved(_OF_SETS) in ran:
                self._known.sets.doubt()
        return written - ran

    def changed_rules(self) -> tuple[str, ...]:
        """Return who changed rules, as far as these have no events."""
        found = []
        if not self._known.sets.are_as_left():
            self._known.sets.forget()
            found.append("somebody (by ipset)")
        if not self._known.legacy.are_as_left():
            found.append("somebody (by iptables-legacy)")
        return tuple(found)

    def heard_of_rules(self) -> tuple[str, ...]:
        """The same, where the kernel has told of somebody's command."""
        if not self._is_rule_look_due:
            return ()
        self._is_rule_look_due = False
        return self.changed_rules()

    def mended(self, plan: Plan) -> tuple[Met, ...]:
        """Mend what keeps packets from being filtered, and servers.

        :returns: what was not as the last pass left it; what lasts, for it
            cannot be mended here, just once
        """
        if not self._turn:
            ports = plan.ports.items()
            self._turn = [name for name, port in ports if _is_ours(port)]
        turn, self._turn = self._turn[:_AT_ONCE], self._turn[_AT_ONCE:]
        for name in turn:
            self._events.watch(_setting(name))
        routes = self._routes.mended(plan, self._devices)
        return *self._met(plan, turn), *routes

    def noticed(self, plan: Plan) -> tuple[Met, ...]:
        """The same of what the kernel has told of, if it has."""
        written = self._written | self._heard()
        self._written = frozenset()
        if not self._known.daemons.have_news() and not written:
            return ()
        return self._met(plan, tuple(map(_port, filter(_is_setting, written))))

    def _met(self, plan: Plan, ports: Collection[str]) -> tuple[Met, ...]:
        """What is found, where these ports are looked at."""
        settings = apply_sysctls(plan)
        lasting = frozenset((each, None) for each in settings.failures).union(
            self._of_servers(), self._of_ports(ports)
        )
        new, self._told = lasting - self._told, lasting
        return (
            *settings.made,
            *(
                Effect(Surface.DHCP, Verb.RESUMED, each, "a stopped dnsmasq")
                for each in self._known.daemons.resumed()
            ),
            *sorted((failure for failure, _ in new), key=str),
        )

    def _of_servers(self) -> Iterator[tuple[Failure, object]]:
        daemons = self._known.daemons
        for bridge, daemon in daemons.lost():
            text = f"dnsmasq with pid {daemon.pid} has ended"
            yield Failure(Subject(Surface.DHCP, bridge), text), daemon
        for bridge in daemons.taken.freed():
            text = "the ports that dnsmasq waits for are free again"
            yield Failure(Subject(Surface.DHCP, bridge), text), None
        now = daemons.files()
        for path in sorted(self._files.keys() & now.keys()):
            if now[path] != self._files[path]:
                subject = Subject(Surface.FILE, path)
                yield Failure(subject, "written or removed"), now[path]

    def _of_ports(
        self, looked_at: Collection[str]
    ) -> Iterator[tuple[Failure, object]]:
        """Those that were found to have IPv6, when they were looked at."""
        found = frozenset(filter(_has_ipv6, looked_at))
        self._having_ipv6 = self._having_ipv6.difference(looked_at) | found
        for name in self._having_ipv6:
            yield Failure(Subject(_PORT, name), "it has IPv6"), None


def _setting(port: str) -> str:
    return f"{_DEVICES}{port}{_IPV6}"


def _port(setting: str) -> str:
    return setting.removeprefix(_DEVICES).removesuffix(_IPV6)


def _is_setting(path: str) -> bool:
    """Whether it is that of a port, of all that is watched."""
    return path.startswith(_DEVICES)


def _is_ours(port: Port) -> bool:
    return port.kind != "external"


def _has_ipv6(name: str) -> bool:
    """Whether a device has it; asked as seldom as the kernel can be."""
    try:
        setting = os.open(_setting(name), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.read(setting, 1) == b"0"
    except OSError:
        return False
    finally:
        os.close(setting)
