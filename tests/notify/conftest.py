"""What the tests of the targets may ask for."""

from collections.abc import Iterator

import pytest
from tests.notify.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a service that takes messages over HTTP."""
    with receiving() as server:
        yield server
