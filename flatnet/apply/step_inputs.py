"""What steps of a pass rest on, beside the plan: read before they are taken.

What is here costs little to ask for.  Devices and addresses are known by
events, tables of nftables by the count of transactions, sets and what has no
event by probes; of files there are stamps, and routes are read.
"""

import contextlib

from flatnet.apply.dhcp.stamps import stamps
from flatnet.apply.filter.guard.guard_inputs import guard_inputs
from flatnet.apply.filter.iptables.firewall_inputs import firewall_inputs
from flatnet.apply.filter.nft_proof import generation
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.routes import routes
from flatnet.apply.skipped_steps import StepInputs
from flatnet.apply.worker_cache import WorkerCache
from flatnet.exceptions import HostSetupError
from flatnet.state.effects import Surface
from flatnet.state.plan import Plan


def step_inputs(
    plan: Plan,
    known: WorkerCache,
    devices: Reads,
    *,
    networks_path: str,
    config_file: str,
) -> StepInputs:
    """Return what steps rest on, by surface; nothing of what nobody knows.

    :param networks_path: where the files of DHCP are, with that of the admin
        in `config_file`
    """
    found: dict[Surface, object] = {}
    with contextlib.suppress(HostSetupError, OSError):
        device_index = devices.device_index()
        links = device_index, device_index.turn
        # Each bridge that is made has settings of its own.
        found[Surface.SYSCTL] = plan.sysctls, plan.bridges, links
        around = *links, devices.addresses(), routes()
        # One that is closed is told of by an event (see the mender).
        found[Surface.FORWARDING] = plan.forwarding, around
        found[Surface.FLOATING] = plan.filter, plan.in_use, around
        found[Surface.BRIDGE] = (
            *(plan.bridges, plan.in_use, plan.has_metadata),
            around,
        )
        count = generation(known.proven.asking)
        if (tables := firewall_inputs(known)) is not None:
            led = (plan.in_use, around) if plan.filter.floating else ()
            found[Surface.FIREWALL] = plan.filter, count, tables, led
        if plan.guard is not None:
            tables = guard_inputs(known.proven)
            guard = plan.guard, plan.in_use
            found[Surface.GUARD] = *guard, around, count, tables
        files = stamps(
            plan.dhcp_servers, known.daemons, networks_path, config_file
        )
        found[Surface.DHCP] = plan.dhcp_servers, links, files
    return found
