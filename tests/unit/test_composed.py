"""Members of source groups, gathered as their parts come and go."""

import random

from flatnet.state.composed import Sources
from flatnet.state.filtering import Group, Opening
from flatnet.state.parts import HostPart, Member, Parts

HOST = HostPart("node1")
SOURCES = (7, 8, 9)


def group(number, *sources):
    return Group(number, tuple(Opening(4, group=each) for each in sources))


def parts(groups, members):
    return Parts(HOST, groups=dict(groups), members=dict(members))


def drawn(luck, groups, members):
    """Other parts, in new mappings where somebody came, went or changed."""
    groups, members = dict(groups), dict(members)
    number = luck.randint(1, 3)
    if luck.random() < 0.3:
        groups.pop(number, None)
    else:
        groups[number] = group(number, *luck.sample(SOURCES, 2))
    for _ in range(luck.randint(0, 4)):
        key = f"instance-{luck.randint(1, 6)}"
        if luck.random() < 0.4:
            members.pop(key, None)
        else:
            # Some have it twice, and some have what others have.
            found = (f"10.0.0.{luck.randint(1, 9)}" for _ in range(2))
            members[key] = Member(luck.choice(SOURCES), tuple(found))
    return groups, members


def test_members_that_come_and_go_are_those_of_a_fresh_look():
    luck, sources = random.Random(1), Sources()
    groups, members = {}, {}
    for _ in range(300):
        groups, members = drawn(luck, groups, members)
        found = parts(groups, members)
        assert sources.members(found) == Sources().members(found)
        assert sources.groups(found) == Sources().groups(found)


def test_a_group_whose_members_stay_is_the_same_object():
    groups = {1: group(1, 7, 8)}
    one, other = Member(7, ("10.0.0.1",)), Member(8, ("10.0.0.2",))
    sources = Sources()
    before = sources.members(parts(groups, {"a": one, "b": other}))
    joined = Member(8, ("10.0.0.3",))
    after = sources.members(parts(groups, {"a": one, "b": joined}))
    assert after[0] is before[0]
    assert [set(each.addresses) for each in after] == [
        {"10.0.0.1"},
        {"10.0.0.3"},
    ]
