"""How a demonstration tells what it does: numbered steps, the command a person would type, and what was seen."""

from collections.abc import Callable
from dataclasses import dataclass, field

from trueup.service.app import App


class Unexpected(Exception):
    """What was seen is not what the demonstration's story says."""


@dataclass(slots=True)
class Tour:
    """The demonstration on its way."""

    app: App
    say: Callable[[str], None]
    steps: int = field(default=0, kw_only=True)

    def step(self, title: str, command: str) -> None:
        """Begin a step: what is done, and which command a person would type for it."""
        self.steps += 1
        self.say("")
        self.say(f"{self.steps}. {title}")
        self.say(f"   $ {command}")
        self.say("")

    def tell(self, *lines: str) -> None:
        """Say what was seen."""
        for line in lines:
            self.say(f"   {line}".rstrip())


def must(holds: bool, what: str) -> None:
    """Go on only if what was seen is what must be seen."""
    if not holds:
        raise Unexpected(what)
