"""Where a guest is now: what its hypervisor says to the segment's switches.

QEMU does it once a guest runs here that ran elsewhere: five broadcasts of
RARP, of one form, in which nothing but the guest's MAC can be chosen.
Switches and other hosts' bridges learn from it by which port the guest is
reached.  They are for the uplink alone: no guest gets one (see `to_guest`),
nor does the host.
"""

from flatnet.apply.filter.guard.nft import NftChain

RARP = "ether type 0x8035"
# A hypervisor says it five times, and ten at most.
_LIMIT = "limit rate over 2/second burst 20 packets"

FROM_RARP = NftChain(
    "from_rarp",
    (
        # As short as a frame can be, and of that nothing is left to fill in.
        "ether daddr != ff:ff:ff:ff:ff:ff drop",
        "meta length != 46 drop",
        "iifname . ether saddr != @macs drop",
        # Ethernet, IPv4, and who asks for his own address.
        "@nh,0,64 != 0x0001080006040003 drop",
        "iifname . @nh,64,48 != @hardware drop",
        "@nh,112,32 != 0 drop",
        "iifname . @nh,144,48 != @hardware drop",
        "@nh,192,32 != 0 drop",
        "@nh,224,128 != 0 drop",
        "@nh,352,16 != 0 drop",
        f"update @rarp_rate {{ iifname {_LIMIT} }} drop",
        "accept",
    ),
)
