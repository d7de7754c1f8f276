"""What a pass found, as rows are to have it: only what they do not say yet."""

from flatnet.plan.kept_rows import Kept
from flatnet.plan.port import port_name, with_ports
from flatnet.state.changes import FoundPort
from flatnet.state.rows import (
    ARRIVING,
    GONE,
    LONGEST_REASON,
    SERVING,
    Binding,
    Finding,
)


def findings(
    rows: Kept, host: str, ports: tuple[FoundPort, ...]
) -> tuple[Finding, ...]:
    """Return what is new of the ports of a host, by interface.

    `rows` are those that the pass was planned from.
    """
    found = {each.name: each for each in ports}
    new = []
    for uuid in with_ports({**rows.bindings, **rows.interfaces}, found):
        port = found[port_name(uuid)]
        interface = rows.interfaces.get(uuid)
        binding = rows.bindings.get(uuid) or Binding(
            uuid, interface.instance_uuid if interface else "", SERVING
        )
        is_here = interface is not None and interface.host == host
        if _is_news(binding, port, is_here=is_here):
            new.append(_finding(binding, port))
    return tuple(sorted(new, key=lambda each: each.interface_uuid))


def _is_news(binding: Binding, port: FoundPort, *, is_here: bool) -> bool:
    if binding.wanted == GONE:
        return port.found == "missing" != binding.found
    if binding.wanted == ARRIVING and is_here:
        return True
    return (
        (binding.found, binding.carrier, binding.reason)
        != (port.found, port.carrier, _reason(port))
        # A port that stands is the proof of its kind.
        or bool(port.kind and not binding.plug)
    )


def _finding(binding: Binding, port: FoundPort) -> Finding:
    return Finding(
        interface_uuid=binding.interface_uuid,
        instance_uuid=binding.instance_uuid,
        found=port.found,
        carrier=port.carrier,
        reason=_reason(port),
        plug=port.kind,
    )


def _reason(port: FoundPort) -> str | None:
    return port.reason[:LONGEST_REASON] if port.reason else None
