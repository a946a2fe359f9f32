"""Two names of one person: nobody signs off their own by another door or another spelling."""

import pytest

from trueup.core.people import same_person


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ann", "ann", True), ("ann", "Ann", True), ("ann", " ann ", True), ("ann", "api:ann", True),
        ("api:Ann", "api:ann", True), ("ann", "\uff41nn", True), ("ann", "ben", False), ("api:ann", "api:ben", False),
        ("ann", "ann2", False), ("api:", "ann", False),
    ],
)  # fmt: skip
def test_whom_a_name_means(one: str, other: str, same: bool) -> None:
    assert same_person(one, other) is same_person(other, one) is same
