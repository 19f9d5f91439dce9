"""`python -m benchmarks.mangled`: exit code 0 where nothing was wrong, 1 where something was, 2 for wrong usage."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import structlog
from tests.servers import RealServer

from benchmarks.mangled.run import mangle
from speed_to_lead.forms import PROVIDERS


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mangled")
    parser.add_argument("providers", nargs="*", metavar="PROVIDER", help="all where none is named")
    parser.add_argument("--each", type=int, default=2_000, help="bodies at each provider (2000)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    unknown = sorted(set(given.providers) - set(PROVIDERS))
    if unknown:
        parser.error(f"no such provider: {', '.join(unknown)}; there are {', '.join(sorted(PROVIDERS))}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    wrong = 0
    for provider in given.providers or sorted(PROVIDERS):
        with tempfile.TemporaryDirectory() as scratch:
            server = RealServer(Path(scratch))
            server.start("--appendfsync", "no")
            try:
                begun = time.monotonic()
                outcome = mangle(server.url, provider, given.each, given.seed, Path(scratch))
            finally:
                server.stop()
        wrong += len(outcome.wrong)
        answers = ", ".join(f"{count} of {status}" for status, count in sorted(outcome.answers.items()))
        books = ", ".join(f"{count} {name}" for name, count in outcome.books.items())
        print(
            f"{provider}: {outcome.bodies} bodies in {time.monotonic() - begun:.0f} s; {answers}; {books}",
            flush=True,
        )
        for line in outcome.wrong[:20]:
            print(f"  WRONG {line}"[:1000], flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
