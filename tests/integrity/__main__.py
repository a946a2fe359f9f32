"""Play seeded ledgers through the report: `python -m tests.integrity [COUNT] [FIRST_SEED] [postgres]`.

Prints for each kind what was planted and what was found; 1 where anything was missed, or said that is not so.
"""

import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.integrity.playing import Played, a_place, play
from tests.postgres import running_postgres

from trueup.core.integrity.kinds import Kind


def main(count: int, first: int, database: str) -> int:
    """Play and print."""
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trueup-integrity-")))
        url = f"sqlite:///{folder / 'ledger.db'}"
        if database == "postgres":
            url = stack.enter_context(stack.enter_context(running_postgres(folder / "turns")).fresh_database())
        place = stack.enter_context(a_place(folder, url))
        games = [play(seed, place) for seed in range(first, first + count)]
    tell(games)
    bad = [game for game in games if not game.well]
    for game in bad[:10]:
        missed, wrong = sorted(game.should - game.said, key=str), sorted(game.said - game.should, key=str)
        print(f"seed {game.seed}: missed {missed}, wrongly said {wrong}, unknown {game.unknown}")
    print(f"{len(bad)} of {count} ledgers were not told rightly; {time.monotonic() - began:.0f} s on {database}")
    return int(bool(bad))


def tell(games: list[Played]) -> None:
    """Print the counts by kind, and of the ledgers that were clean, of one kind, and mixtures."""
    should = Counter(key[0] for game in games for key in game.should)
    right = Counter(key[0] for game in games for key in game.should & game.said)
    wrong = Counter(key[0] for game in games for key in game.said - game.should)
    print(f"{'kind':26}{'planted':>9}{'found':>9}{'missed':>9}{'wrongly':>9}")
    for kind in Kind:
        name = kind.value
        print(f"{name:26}{should[name]:>9}{right[name]:>9}{should[name] - right[name]:>9}{wrong[name]:>9}")
    sizes = Counter(min(len(game.planted), 2) for game in games)
    clean = sum(not game.said for game in games if not game.planted)
    print(f"{sizes[0]} clean ledgers, {clean} of them told clean; {sizes[1]} with one kind; {sizes[2]} mixtures")


if __name__ == "__main__":
    words = sys.argv[1:]
    base = "postgres" if "postgres" in words else "sqlite"
    numbers = [int(word) for word in words if word.isdigit()]
    sys.exit(main(*(numbers + [1000, 0][len(numbers) :]), base))
