"""Play seeded incidents and print the confusion matrix: python -m tests.incidents [COUNT] [FIRST SEED]."""

import sys
import time
from collections import Counter

from tests.incidents.playing import Played, play

from trueup.core.incidents.classes import Pattern, Radius

CLASSES = [*(pattern.value for pattern in Pattern), "unclear", "none"]


def taken_for(played: Played) -> str:
    """What an incident was taken for."""
    if played.verdict is None:
        return "none"
    return "unclear" if played.verdict.unclear else played.verdict.primary.value


def milder(played: Played) -> bool:
    """Say whether an incident was taken for a milder class than it was."""
    found = played.verdict
    return found is None or (not found.unclear and found.primary.rank < played.truth.primary.rank)


def main(count: int, first: int) -> int:
    """Play and print; 1 where less than 95% are right."""
    began = time.monotonic()
    games = [play(seed) for seed in range(first, first + count)]
    seconds = time.monotonic() - began
    cells = Counter((game.truth.primary.value, taken_for(game)) for game in games)
    print(f"{'was':14}" + "".join(f"{name:>14}" for name in CLASSES))
    for pattern in Pattern:
        print(f"{pattern.value:14}" + "".join(f"{cells[pattern.value, name]:>14}" for name in CLASSES))
    right = sum(game.truth.primary.value == taken_for(game) for game in games)
    radii = Counter(
        (game.truth.radius.value, game.verdict.radius.value if game.verdict is not None else "none") for game in games
    )
    print()
    print(f"{'radius':14}" + "".join(f"{radius.value:>14}" for radius in Radius))
    for radius in Radius:
        print(f"{radius.value:14}" + "".join(f"{radii[radius.value, other.value]:>14}" for other in Radius))
    taken = [game for game in games if milder(game)]
    print(f"\nprimary class right in {right} of {count} ({100 * right / count:.1f}%); {seconds:.0f} s")
    print(f"taken for a milder class: {len(taken)} {[game.seed for game in taken[:10]]}")
    return 0 if right >= 0.95 * count else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
