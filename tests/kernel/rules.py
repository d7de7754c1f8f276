"""Plans of the firewall for tests, and what the kernel then shows."""

from segment import guest

from flatnet.apply.filter.iptables.firewall import apply_firewall
from flatnet.apply.worker_cache import WorkerCache
from flatnet.state.filtering import Filter
from flatnet.state.rows import SecurityGroup, SecurityRule
from tests.builders import settings, snapshot
from tests.planned import filter_plan, in_groups

EMPTY = Filter()

RULES = (
    SecurityRule(1, "tcp", 22, 22, "0.0.0.0/0"),
    SecurityRule(2, "icmp", 8, 0, "0.0.0.0/0"),
    SecurityRule(3, "udp", 53, 60, None, 7),
    SecurityRule(4, "tcp", 80, 80, "2001:db8::/32"),
)


def planned(*numbers, rules=RULES, members=("10.0.0.9",), **options):
    """The filter of a host with these guests, all in group 1."""
    rows = snapshot(
        interfaces=tuple(
            guest(
                number, security_group_ids=(1,), addresses=(address(number),)
            )
            for number in numbers
        ),
        security_groups=(SecurityGroup(1, "web", rules),),
        members=in_groups({7: members}),
    )
    options = {
        "allow_same_net_traffic": False,
        "routing_source_ip": "192.0.2.1",
        "public_interface": "ext0",
        **options,
    }
    return filter_plan(rows, settings(**options))[0]


def address(number):
    return f"10.0.{number // 250}.{number % 250 + 1}"


def applied(namespace, plan, **options):
    """Apply a plan, which must succeed; return what was done."""
    changes = namespace.call(apply_firewall, plan, WorkerCache(), **options)
    assert changes.failures == ()
    return changes.made


def saved(namespace, family="ip", counters=()):
    text = namespace.run(f"{family}tables-save", *counters)
    return [line for line in text.splitlines() if not line.startswith("#")]
