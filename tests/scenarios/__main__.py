"""`make scenarios`: many seeded scenarios of faults on the wire; prints the counts, and each failure with its seed.

`python -m tests.scenarios COUNT [FIRST_SEED] [KIND]` plays COUNT scenarios over the kinds of venues.
"""

import sys
import time
from collections import Counter

from tests.scenarios.worlds import KINDS, play, stages


def main(count: int, first: int = 0, only: str = "") -> int:
    """Play, print, and return 1 where anything was refuted."""
    started, failures = time.monotonic(), 0
    for kind in KINDS:
        if only not in ("", kind):
            continue
        counted: Counter[str] = Counter()
        share = count if only else count // len(KINDS)
        with stages(kind) as made:
            for seed in range(first, first + share):
                outcome = play(made[seed % len(made)], seed)
                counted["scenarios"] += 1
                counted["faults that struck"] += len(outcome.faults.log)
                counted["unreadable"] += outcome.unreadable
                counted["complete"] += outcome.complete
                counted["rows proposed"] += outcome.proposed
                counted["rows refuted"] += len(outcome.refuted)
                counted["claims refuted"] += len(outcome.overclaimed)
                counted["false by a lie that no client can notice"] += outcome.lies
                if outcome.refuted or outcome.overclaimed:
                    failures += 1
                    print(outcome)
        print(f"{kind}: " + ", ".join(f"{number} {name}" for name, number in counted.items()))
    print(f"{time.monotonic() - started:.0f} s")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *map(int, sys.argv[2:3]), *sys.argv[3:4]))
