"""`python -m benchmarks.chaos --minutes 60`: see docs/chaos.md."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.run import Options, run


def main() -> int:
    """0: nothing lost, nothing doubled. 1: something was found. 2: the run could not be made, so it proves nothing."""
    parser = argparse.ArgumentParser("python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long things break (5)")
    parser.add_argument("--seed", type=int, help="the same seed, the same faults; drawn where it is left out")
    parser.add_argument("--rate", type=float, default=20.0, help="submissions a second (20)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep journal, logs and data in DIR")
    parser.add_argument(
        "--only", action="append", metavar="FAULT", choices=sorted(FAULTS), help="these faults and no others"
    )
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    only = tuple(given.only or ())
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
        return run(Options(given.minutes, seed, given.rate, given.keep.resolve(), only))
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as directory:
        return run(Options(given.minutes, seed, given.rate, Path(directory), only))


if __name__ == "__main__":
    sys.exit(main())
