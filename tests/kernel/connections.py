"""Connections across a segment, and the rules that they live by."""

import contextlib
import socket
from functools import partial

import pytest
from segment import guest, segment

from flatnet.apply.filter.connections.conntrack import (
    cut_connections,
    forget_connections,
)
from flatnet.apply.filter.connections.released import parted
from flatnet.apply.filter.guard.guard import Guarding, apply_guard
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.link.sysctl import apply_sysctls
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.changes import joined
from flatnet.state.effects import Surface
from flatnet.state.plan import Uplink
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import settings, snapshot
from tests.planned import host_plan, in_groups
from tests.sockets import connection, inside, listener, passes

EVERYWHERE = "0.0.0.0/0"
SSH = SecurityRule(1, "tcp", 22, 22, EVERYWHERE)
WEB = SecurityRule(2, "tcp", 80, 81, "10.0.0.0/24")
FRIENDS = SecurityRule(3, "tcp", 22, 22, None, 7)
UDP = SecurityRule(4, "udp", 5000, 5000, EVERYWHERE)
# Long enough for a segment that was lost to be sent again.
PATIENCE = 1.0
SERVED, SAME_BRIDGE = 1, 2


@contextlib.contextmanager
def silent_segment():
    """A segment where no server has the ports that tests take."""
    with segment() as built:
        for host in (*built.guests.values(), built.other, built.outside):
            host.server.kill()
            host.server.wait()
        yield built


@pytest.fixture(scope="module")
def net():
    """Such a segment, for all tests of a module."""
    with silent_segment() as built:
        yield built


@pytest.fixture
def made(net):
    """What makes connections on it."""
    with contextlib.ExitStack() as stack:
        yield Connections(net, stack)


class Connections:
    """Connections to listeners of guests, closed at the end of a test."""

    def __init__(self, net, stack):
        self.net = net
        self._stack = stack
        self._servers = {}

    def space(self, host):
        return host.namespace.name

    def make(self, source, target, address, port):
        """Both ends of a connection from one host to another."""
        place = (address, port)
        if place not in self._servers:
            self._servers[place] = self._keep(
                listener(self.space(target), port)
            )
        ends = connection(self.space(source), place, self._servers[place])
        return tuple(map(self._keep, ends))

    def listens(self, target, port):
        """A TCP socket of a host that listens on IPv4."""
        return self._keep(listener(self.space(target), port))

    def connects(self, source, address, port, server):
        """Both ends of a connection to an address that leads to `server`."""
        ends = connection(self.space(source), (address, port), server)
        return tuple(map(self._keep, ends))

    def listens6(self, target, port):
        """The same on IPv6."""
        return self._keep(inside(self.space(target), _listener6, port))

    def connects6(self, source, address, server):
        """The same to a link-local address."""
        port = server.getsockname()[1]
        near = inside(self.space(source), _connected6, address, port)
        return self._keep(near), self._keep(server.accept()[0])

    def _keep(self, each):
        return self._stack.enter_context(contextlib.closing(each))


def _listener6(port):
    return socket.create_server(("::", port), family=socket.AF_INET6)


def _connected6(address, port):
    return socket.create_connection((address, port), timeout=10)


def apply(net, *rules, **options):
    """Bring rules and connections to what group 1 of all guests says."""
    (made,) = net.node.call(applied, [host(*rules, **options)])
    return made


def host(
    *rules, members=("10.0.0.9",), numbers=(1, 2, 3), addresses=(), **options
):
    """The plan of a host whose guests are in a group with these rules.

    :param addresses: of guests by their numbers, where they are others
    """
    others = {
        number: {"addresses": each} for number, each in dict(addresses).items()
    }
    rows = snapshot(
        interfaces=tuple(
            guest(number, security_group_ids=(1,), **others.get(number, {}))
            for number in numbers
        ),
        security_groups=(SecurityGroup(1, "web", rules),),
        members=in_groups({7: members}),
    )
    options = {"allow_same_net_traffic": False, **options}
    return host_plan(rows, settings(**options), {"up0": Uplink("up0", 1500)})


def applied(plans, between=lambda: None):
    """Have one process apply plans; return what was cut by each."""
    cuts = []
    with Session() as session:
        guarding = Guarding()
        for plan in plans:
            if cuts:
                between()
            apply_sysctls(plan)
            written = apply_firewall(plan.filter, WorkerCache(session.proven))
            forget = partial(forget_connections, plan, session=session)
            guarded = apply_guard(
                session,
                guarding,
                plan.guard,
                cut=forget,
                parted=parted(plan, session),
            )
            cut = cut_connections(plan, written.judged, session)
            done = joined(written, guarded, cut)
            assert done.failures == ()
            cuts.append(
                tuple(e for e in done.made if e.surface is Surface.CONNTRACK)
            )
    return cuts


def both_ways(ends):
    near, far = ends
    return passes(near, far) and passes(far, near)


def stalls(ends):
    """Whether neither the other side nor the guest gets through any more.

    The guest's own try must not open the way for the other side again.
    """
    near, far = ends
    try:
        guest_answers = passes(near, far, patience=PATIENCE)
        far.send(b"x")
        return not guest_answers and not passes(near, far, patience=PATIENCE)
    except ConnectionError:
        # The host told the guest.
        return True
