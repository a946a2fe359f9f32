"""The sorted collection behaves as a sorted list, over many blocks."""

from bisect import insort
from decimal import Decimal
from random import Random

from trueup.core.sorted_index import Entry, SortedIndex


def named(qty: object, name: object = "t") -> Entry:
    return (Decimal(str(qty)), ("p", str(name)))


def whole(index: SortedIndex) -> list[Entry]:
    return list(index.between(Decimal(-1), Decimal("Infinity")))


def test_an_empty_index_has_nothing() -> None:
    index = SortedIndex()
    index.remove(named(1))
    assert whole(index) == []


def test_between_includes_both_ends() -> None:
    index = SortedIndex()
    for qty in (3, 1, 2, 5, 4):
        index.add(named(qty))
    assert list(index.between(Decimal(2), Decimal(4))) == [named(2), named(3), named(4)]
    assert list(index.between(Decimal("2.1"), Decimal("2.9"))) == []
    assert list(index.between(Decimal(6), Decimal(9))) == []


def test_what_is_not_there_is_not_removed() -> None:
    index = SortedIndex()
    index.add(named(1, "a"))
    for other in (named(1, "b"), named(1, "A"), named(2), named(0)):
        index.remove(other)
    assert whole(index) == [named(1, "a")]
    index.remove(named(1, "a"))
    assert whole(index) == []
    index.add(named(7))
    assert whole(index) == [named(7)]


def test_it_behaves_as_a_sorted_list_while_it_grows_and_shrinks() -> None:
    random, index, model = Random(7), SortedIndex(), list[Entry]()
    for step in range(6000):
        if model and random.random() < (0.2 if step < 3500 else 0.8):
            gone = model.pop(random.randrange(len(model)))
            index.remove(gone)
        else:
            new = named(random.randrange(400), step)
            insort(model, new)
            index.add(new)
        if step % 97 == 0:
            low = Decimal(random.randrange(400))
            high = low + random.randrange(60)
            assert list(index.between(low, high)) == [entry for entry in model if low <= entry[0] <= high]
    assert whole(index) == model


def test_blocks_stay_short_and_equal_quantities_are_found_across_them() -> None:
    index = SortedIndex()
    entries = [named(1, f"{n:05}") for n in range(2000)]
    for entry in entries:
        index.add(entry)
    assert list(index.between(Decimal(1), Decimal(1))) == entries
    assert max(len(block) for block in index._blocks) <= 512
    assert [block[-1] for block in index._blocks] == index._highest
    for entry in entries[::2]:
        index.remove(entry)
    assert list(index.between(Decimal(1), Decimal(1))) == entries[1::2]
    for entry in entries[1::2]:
        index.remove(entry)
    assert index._blocks == index._highest == []
