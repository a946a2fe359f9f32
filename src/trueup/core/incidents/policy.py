"""The rules of incidents, as they are set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IncidentPolicy:
    """How incidents are contained, confirmed and restored; times in milliseconds.

    `enforce` False only observes: an incident is opened and led, and no mode is changed by it. `four_eyes` demands
    another person's sign-off on what somebody proposed. Repair is over after `confirm_runs` runs in a row without a
    break, over at least `observation_ms`; a stage of a canary after `canary_runs` such runs and its own time.
    A mismatch that comes back `persisting` times after a repair, or grows in `growing` runs in a row, is untrusted; one
    that is seen in `repeated_runs` runs reaches far.
    """

    enforce: bool = True
    four_eyes: bool = True
    observation_ms: int = 300_000
    confirm_runs: int = 3
    canary_runs: int = 3
    persisting: int = 2
    growing: int = 3
    repeated_runs: int = 5
