"""The errors that a caller may see, as a tree.

One class per decision that a caller can make.  Names are nova's where nova
has one: they travel over RPC by class and module name, so that a compute
service can catch `flatnet.exceptions.NoMoreFixedIps` as it always did.
"""


class FlatnetError(Exception):
    """Base of all; its text is one line that says what to do."""


class ConfigurationError(FlatnetError):
    """A value of the configuration cannot be used."""


class DatabaseUnavailable(FlatnetError):
    """The database does not answer, or refuses us.

    `may_be_written` where a COMMIT was sent and has no answer.
    """

    may_be_written = False


class SchemaMismatch(FlatnetError):
    """The database is not at the revision that this program needs."""


class BrokerUnavailable(FlatnetError):
    """The message broker or the daemon that was asked does not answer."""


class CallNotSupported(FlatnetError):
    """The daemon that was asked is an older one, which has no such call."""


class HostSetupError(FlatnetError):
    """This host could not be brought to its plan for what was asked."""


class HostOverloaded(FlatnetError):
    """Too many calls wait on this host; asking again later is safe."""


class HostNameTaken(FlatnetError):
    """Another daemon serves under the same `host`."""


class ApplierUnavailable(HostSetupError):
    """The privileged applier process does not answer."""


class Forbidden(FlatnetError):
    """The caller is neither an admin nor of the project that owns it."""


class InvalidInput(FlatnetError):
    """Base of the errors about an argument that no retry can cure."""


class InvalidCidr(InvalidInput):
    """A cidr that is malformed or too small for its purpose."""


class InvalidBridgeName(InvalidInput):
    """A device name that Linux would refuse."""


class InvalidMacAddress(InvalidInput):
    """A MAC address that is malformed, or no unicast address."""


class FixedIpInvalid(InvalidInput):
    """A requested address that is no address."""


class InvalidSecurityGroupRule(InvalidInput):
    """A security group rule that cannot be put into effect."""


class Conflict(FlatnetError):
    """Base of the errors about something that is taken or in use."""


class InstanceElsewhere(Conflict):
    """An instance whose row names another host than the one that is asked."""


class CidrConflict(Conflict):
    """A cidr that overlaps a network that exists."""


class FixedIpAlreadyInUse(Conflict):
    """A requested address that is reserved, a host's or taken."""


class MacAddressInUse(Conflict):
    """A requested MAC address that another interface has."""


class NetworkInUse(Conflict):
    """A network that cannot be deleted: it has allocated addresses."""


class SecurityGroupInUse(Conflict):
    """A security group that cannot be deleted: it has members or rules."""


class SecurityGroupExists(Conflict):
    """A project has a security group of that name already."""


class NoMoreFixedIps(Conflict):
    """The pool of a network is exhausted."""


class NoMoreFloatingIps(Conflict):
    """The pool of floating addresses is exhausted."""


class FloatingIpExists(Conflict):
    """A floating address that is in a pool already."""


class FloatingIpAssociated(Conflict):
    """A floating address that leads to an instance."""


class FloatingIpNotAssociated(Conflict):
    """A floating address that leads nowhere."""


class FloatingIpAssociateFailed(Conflict):
    """A floating address that cannot lead to what was asked for."""


class CannotDisassociateAutoAssignedFloatingIP(Conflict):
    """A floating address that came with its instance, and goes with it."""


class NotFound(FlatnetError):
    """Base of the errors about something that does not exist."""


class NetworkNotFound(NotFound):
    """No network has that uuid or label."""


class InstanceNotFound(NotFound):
    """No living instance has that uuid, id or hostname."""


class HostNotFound(NotFound):
    """No flatnet-manager has ever reported from that host."""


class SecurityGroupNotFound(NotFound):
    """No security group has that id or name."""


class FixedIpNotFoundForAddress(NotFound):
    """No row holds that address."""


class FixedIpNotFoundForNetwork(NotFound):
    """A requested address that lies outside the network."""


class FixedIpNotFoundForSpecificInstance(NotFound):
    """The instance does not hold that address."""


class FloatingIpNotFound(NotFound):
    """No floating address has that id."""


class FloatingIpNotFoundForAddress(NotFound):
    """It is no floating address."""


class FloatingIpPoolNotFound(NotFound):
    """No pool of floating addresses has that name."""
