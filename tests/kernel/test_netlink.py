"""A socket that stays open for what is asked of the kernel."""

import os

import pytest

from flatnet.apply import netlink
from flatnet.apply.filter.guard import nft_dump
from flatnet.apply.filter.nft_proof import generation


def test_a_forked_process_asks_by_itself(namespace):
    def asked():
        kept = netlink.KeptSocket(netlink.NETFILTER, 5)

        def answered():
            count = generation(kept)
            with kept.lent() as kernel:
                return count, kernel.getsockname()[0]

        first = answered()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            there = answered()
            same = [a == b for a, b in zip(first, there, strict=True)]
            os.write(writer, bytes(same))
            os._exit(0)
        os.waitpid(child, 0)
        return list(os.read(reader, 2)), answered() == first

    assert namespace.call(asked) == ([True, False], True)


def test_answers_that_were_not_received_are_nobodys(namespace):
    namespace.run("nft add table ip theirs")

    def asked():
        kept = netlink.KeptSocket(netlink.NETFILTER, 5)
        before = generation(kept)

        def broken_off(table):
            for _ in table.mine(nft_dump.GET_TABLE, {}):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            nft_dump.read(kept, ("ip", "theirs"), broken_off)
        again = generation(kept)
        kept.close()
        return before == again == generation(kept)

    assert namespace.call(asked)
