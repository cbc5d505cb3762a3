#!/usr/bin/python3
"""Times of the test suites.

    suite-times.py add SUITE SECONDS    notes one suite of this run in build/suite-times.tsv
    suite-times.py write                puts the noted times into the table of docs/testing.md
"""

import os
import pathlib
import re
import sys

REPO = pathlib.Path(__file__).resolve().parent.parent
NOTES = REPO / "build" / "suite-times.tsv"
PAGE = REPO / "docs" / "testing.md"
TABLE = re.compile(r"(<!-- suite times: written by scripts/suite-times.py -->\n).*?(<!-- end -->)", re.S)


def add(suite, seconds):
    NOTES.parent.mkdir(exist_ok=True)
    noted = dict(line.split("\t") for line in NOTES.read_text().splitlines()) if NOTES.exists() else {}
    noted[suite] = str(int(seconds))
    NOTES.write_text("".join(f"{name}\t{time}\n" for name, time in noted.items()))


def table():
    noted = [line.split("\t") for line in NOTES.read_text().splitlines()]
    noted.sort(key=lambda entry: entry[0].startswith("make "))   # all together, and some run beside others: no sum
    rows = [f"| `{suite}` | {int(seconds) // 60}:{int(seconds) % 60:02} |" for suite, seconds in noted]
    return "\n".join([f"| suite | min:s, {os.cpu_count()} cores |", "|---|---|", *rows]) + "\n"


def main():
    if sys.argv[1:2] == ["add"] and len(sys.argv) == 4:
        add(sys.argv[2], sys.argv[3])
    elif sys.argv[1:] == ["write"]:
        PAGE.write_text(TABLE.sub(lambda found: found[1] + table() + found[2], PAGE.read_text()))
    else:
        sys.exit(__doc__)


main()
