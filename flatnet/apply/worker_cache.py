"""What a worker remembers of what it did, to do less."""

from dataclasses import dataclass, field

from flatnet.apply.dhcp.daemons import Running
from flatnet.apply.dhcp.elsewhere import Elsewhere
from flatnet.apply.dhcp.leases import Leases
from flatnet.apply.dhcp.texts import Texts
from flatnet.apply.filter.connections.gateway_roles import GatewayRoles
from flatnet.apply.filter.guard.guard import Guarding
from flatnet.apply.filter.iptables.compared_tables import ComparedTables
from flatnet.apply.filter.iptables.ipset_cache import Sets
from flatnet.apply.filter.iptables.legacy import Legacy
from flatnet.apply.filter.iptables.optional_tables import OptionalTables
from flatnet.apply.filter.iptables.rendering import Rendering
from flatnet.apply.filter.iptables.restorers import Restorers
from flatnet.apply.filter.iptables.rule_comparison import RuleComparison
from flatnet.apply.filter.nft_proof import Proven
from flatnet.apply.floating import FloatingAddresses
from flatnet.apply.grammar.instances import Passed
from flatnet.apply.link.found_ports import Finder
from flatnet.apply.link.own_ports import OwnPorts
from flatnet.apply.link.rates import Rates
from flatnet.apply.link.unchanged_ports import UnchangedPorts
from flatnet.apply.rule_writers import OwnPrograms
from flatnet.apply.skipped_steps import SkippedSteps


@dataclass(frozen=True)
class WorkerCache:
    """Of one process and one network namespace.

    `proven` are tables that nobody wrote since, `settled` those of iptables
    that are as planned, `sets` the sets as we left them, `passed` parts that
    are of the grammar, `restorers` programs that write for us, `rendering` and
    `guarding` what was rendered last, `daemons` the DHCP servers that run,
    `texts` and `elsewhere` the files that they were given, `leases` what they
    gave out, `optional` the tables that the kernel
    refused,
    `unread` the families whose tables we wrote and have not read since,
    `presumed` those that count until then as what we wrote, `ports` those that
    bore our mark, `unchanged` those that need nothing, `finder` those that
    were found up, `rates` what keeps the rates of ports, `skipped_steps` the
    steps that have nothing to do, `floating` where floating addresses lead,
    `gateway_roles` the networks that it served for all.
    """

    proven: Proven = field(default_factory=Proven)
    settled: ComparedTables = field(default_factory=ComparedTables)
    sets: Sets = field(default_factory=Sets)
    passed: Passed = field(default_factory=Passed)
    restorers: Restorers = field(default_factory=Restorers)
    legacy: Legacy = field(default_factory=Legacy)
    optional: OptionalTables = field(default_factory=OptionalTables)
    words: RuleComparison = field(default_factory=RuleComparison)
    rendering: Rendering = field(default_factory=Rendering)
    guarding: Guarding = field(default_factory=Guarding)
    daemons: Running = field(default_factory=Running)
    texts: Texts = field(default_factory=Texts)
    leases: Leases = field(default_factory=Leases)
    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    unchanged: UnchangedPorts = field(default_factory=UnchangedPorts)
    finder: Finder = field(default_factory=Finder)
    unread: set[int] = field(default_factory=set)
    presumed: set[int] = field(default_factory=set)
    ports: OwnPorts = field(default_factory=OwnPorts)
    rates: Rates = field(default_factory=Rates)
    skipped_steps: SkippedSteps = field(default_factory=SkippedSteps)
    floating: FloatingAddresses = field(default_factory=FloatingAddresses)
    gateway_roles: GatewayRoles = field(default_factory=GatewayRoles)

    @property
    def own(self) -> OwnPrograms:
        """The programs that wrote for us."""
        return self.restorers.own
