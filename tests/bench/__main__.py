"""``python -m tests.bench [--json] [--rounds N] [names]``; see the package."""

import argparse
import sys

from tests.bench.frame import ROUNDS, Pair, found, run_side, shown


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--side", choices=("candidate", "yardstick"), help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help="beginnings of names; all by default")
    options = parser.parse_args(arguments)
    beginnings = tuple(options.names) or ("",)
    chosen = [each for each in found() if each.name.startswith(beginnings)]
    if options.side:
        exact = next(each for each in chosen if each.name == options.names[0])
        assert isinstance(exact, Pair)
        run_side(exact, options.side)
        return 0
    missed = 0
    for each in chosen:
        for row in each.rows(options.rounds):
            print(shown(row, is_json=options.json), flush=True)  # noqa: T201 - a command
            missed += not row.ok
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
