"""Sets and mappings in slices are as any others, whatever became of them."""

import random
import tracemalloc

import pytest

from flatnet.state.shared_members import Held
from flatnet.state.sliced_collections import SlicedMap, SlicedSet, sliced

SIZES = (0, 3, 511, 512, 5000)


def keys(luck, count):
    return {f"key {luck.randint(0, 20000)}" for _ in range(count)}


@pytest.mark.parametrize("size", SIZES)
def test_a_set_that_changes_is_as_one_that_is_made(size):
    luck = random.Random(size)
    plain = keys(luck, size)
    found = SlicedSet(plain)
    for _ in range(60):
        before, old = found, set(plain)
        new = keys(luck, luck.randint(0, 5))
        gone = set(luck.sample(sorted(plain), min(len(plain), 3)))
        gone |= keys(luck, 2)
        plain = plain - gone | new
        found = found.changed(new, gone)
        assert found == SlicedSet(plain)
        assert found == frozenset(plain)
        assert len(found) == len(plain)
        assert set(found) == plain
        assert (found - before, before - found) == (plain - old, old - plain)
        assert plain - before == plain - old
        assert all(each in found for each in plain)
        assert not any(each in found for each in gone - new)


@pytest.mark.parametrize("size", SIZES)
def test_a_mapping_that_changes_is_as_one_that_is_made(size):
    luck = random.Random(size)
    plain = {key: luck.randint(0, 9) for key in keys(luck, size)}
    found = SlicedMap(plain)
    for _ in range(60):
        before, old = found, dict(plain)
        put = {key: luck.randint(0, 9) for key in keys(luck, 3)}
        put |= dict.fromkeys(luck.sample(sorted(plain), min(len(plain), 2)), 7)
        gone = keys(luck, 2) | set(sorted(plain)[:1])
        plain = {k: v for k, v in plain.items() if k not in gone} | put
        found = found.changed(put, gone)
        assert found == plain
        assert len(found) == len(plain)
        other, left = found.differing(before)
        assert other == {k: v for k, v in plain.items() if old.get(k) != v}
        assert set(left) == old.keys() - plain.keys()
        assert before.changed(other, left) == found


def test_what_does_not_change_is_the_same_object():
    plain = {f"{number}": (number,) for number in range(1000)}
    found, elements = sliced(plain), SlicedSet(plain)
    assert sliced(found) is found
    assert found.changed({"7": (7,)}, ["none"]) is found
    assert elements.changed({"7"}, {"none"}) is elements
    other = found.changed({"7": (8,)})
    pairs = zip(found.slices, other.slices, strict=True)
    shared = sum(one is another for one, another in pairs)
    assert shared == len(found.slices) - 1


def test_what_is_made_of_a_slice_is_made_once():
    made = []

    def make(part):
        made.append(part)
        return len(part)

    found = SlicedSet(map(str, range(1000)))
    assert sum(count for _, count in found.of_slices(make)) == 1000
    other = found.changed({"another"}, set())
    assert sum(count for _, count in other.of_slices(make)) == 1001
    filled = sum(map(bool, found.slices))
    assert len(made) == filled + 1


def test_one_thing_is_held_as_long_as_somebody_holds_it():
    held = Held()
    held.join("set", "element", "one")
    before = held.sliced("set")
    held.join("set", "element", "other")
    held.leave("set", "element", "one")
    assert held.sliced("set") is before
    assert held.holders("set", "element") == {"other"}
    held.leave("set", "element", "other")
    assert held.sliced("set") == held.elements("set") == frozenset()
    assert not held.holds("set")
    held.join("set", "another", "one")
    assert held.sliced("set") == {"another"}
    assert before == {"element"}


def test_what_holds_nothing_any_more_is_forgotten():
    """Groups come and go for as long as a worker lives."""
    held = Held()
    tracemalloc.start()
    for number in range(60):
        for element in range(1000):
            held.join(number, element, "one")
        assert held.sliced(number) == held.elements(number)
        for element in range(1000):
            held.leave(number, element, "one")
        if number == 20:
            before, _ = tracemalloc.get_traced_memory()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 100_000
