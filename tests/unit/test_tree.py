"""The chains of groups, made of those before, are what they are made anew."""

import random

import pytest

from flatnet.apply.filter.iptables.profiles import profile_id
from flatnet.apply.filter.iptables.tree import Tree
from flatnet.state.filtering import Group, Opening

SSH = Opening(4, protocol=6, first=22, last=22)
WEB = Opening(4, protocol=6, first=80, last=80)


def groups(*ids, others=()):
    """Groups by id; those of `others` let in something else."""
    return {
        each: Group(each, (WEB if each in others else SSH,)) for each in ids
    }


def some_plans(seed):
    """Profiles and groups, each somewhat others than those before."""
    chance = random.Random(seed)
    known, profiles = groups(*range(1, 40)), frozenset()
    for _ in range(60):
        some = chance.sample(sorted(known), chance.randint(1, 3))
        profiles |= {tuple(sorted(some))}
        if not chance.randrange(4):
            profiles -= {chance.choice(sorted(profiles))}
        if not chance.randrange(3):
            known |= groups(
                chance.choice(sorted(known)), others=chance.choice(((), known))
            )
        if not chance.randrange(3):
            # One that comes may stand before others.
            known = dict(
                sorted((known | groups(chance.randrange(60))).items())
            )
        if not chance.randrange(3):
            used = {each for mine in profiles for each in mine}
            known = {n: g for n, g in known.items() if n in used or n % 2}
        yield profiles, known


@pytest.mark.parametrize("seed", range(20))
def test_chains_are_as_if_they_were_made_at_once(seed):
    tree = Tree(4)
    for profiles, known in some_plans(seed):
        assert tree.chains(profiles, known) == Tree(4).chains(profiles, known)


def test_what_is_as_it_was_is_the_same_object():
    tree, stood = Tree(4), groups(*range(1, 100))
    before = tree.chains(frozenset((each,) for each in stood), stood)
    known = stood | groups(5, others=(5,)) | groups(100)
    profiles = frozenset((each,) for each in known)
    after = tree.chains(profiles, known)
    same = set(map(id, before))
    names = {each.name for each in after if id(each) not in same}
    # The group that is another, and the way to the new one.
    digits = profile_id((100,))
    assert names == {
        "flatnet-g-5",
        "flatnet-g-100",
        f"flatnet-p-{digits}",
        f"flatnet-p-{digits[:2]}",
    }
    assert tree.chains(profiles, known) == after


def test_a_group_that_leaves_and_is_back_lets_in_what_it_does_then():
    tree, both = Tree(4), frozenset({(1,), (2,)})
    tree.chains(both, groups(1, 2))
    gone = tree.chains(frozenset({(1,)}), groups(1))
    assert "flatnet-g-2" not in {each.name for each in gone}
    back = tree.chains(both, groups(1, 2, others=(2,)))
    assert back == Tree(4).chains(both, groups(1, 2, others=(2,)))
