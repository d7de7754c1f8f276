"""What says of a packet that rules have judged it: one bit of its mark.

iptables can be flushed by anybody who is root; tables of the guard are owned
and stay.  So the rules of iptables leave a bit, and the guard, which comes
after them, lets nothing begin with a filtered guest without it.  What the
guard has seen gets the bit too, for the bridge itself to hold against: where
bridge-nf-call-* is off, nothing of a frame was seen by anybody.

It stands from the rules to the guard, or from there to the bridge, for what is
bound for a guest, and is taken away again.
"""

# None of those of kube-proxy, Tailscale or wg-quick; whoever marks packets to
# our guests with it (Calico may) loses it there.
BIT = 0x10000000
# As iptables-save prints it.
MARKED = f"-j MARK --set-xmark {BIT:#x}/{BIT:#x}"
UNMARKED = f"-j MARK --set-xmark 0x0/{BIT:#x}"
IS_MISSING = f"meta mark & {BIT:#010x} == 0x00000000"
SET = f"meta mark set meta mark | {BIT:#010x}"
IS_THERE = f"meta mark & {BIT:#010x} != 0x00000000"
CLEARED = f"meta mark set meta mark & {0xFFFFFFFF ^ BIT:#010x}"
