"""`python -m tests.flatten COUNT [FIRST_SEED]` plays seeded flattenings; prints the counts, and each failure's seed."""

import sys
import time
import traceback
from collections import Counter

from tests.flatten.playing import play


def main(count: int, first: int = 0) -> int:
    """Play, print, and return 1 where anything is wrong."""
    started, failures = time.process_time(), 0
    counted: Counter[str] = Counter()
    for seed in range(first, first + count):
        try:
            outcome = play(seed)
        except Exception as error:  # noqa: BLE001  # a flattening that breaks the program is a finding as well
            failures += 1
            print(f"seed {seed}: {type(error).__name__}: {error}")
            traceback.print_exc(limit=-4)
            continue
        counted += outcome.counts
        if outcome.wrong:
            failures += 1
            print(outcome)
    seconds = time.process_time() - started
    print(", ".join(f"{number} {name}" for name, number in counted.items()))
    print(f"{failures} of {count} failed; {seconds:.0f} s, {1000 * seconds / count:.1f} ms each")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *map(int, sys.argv[2:3])))
