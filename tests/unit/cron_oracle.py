#!/usr/bin/env python3
"""Writes cron_oracle.tsv: random schedules and when they run, by another implementation (croniter, from PyPI).

    python3 -m venv ~/.cache/cron-oracle && ~/.cache/cron-oracle/bin/pip install croniter==7.0.0
    ~/.cache/cron-oracle/bin/python tests/unit/cron_oracle.py

The table is committed, so that the tests need neither Python nor a network. croniter answers on the calendar alone, without zones.
What daylight saving does to that is worked out here with Python's zoneinfo, by the rules in operator/core/cron.h. All times lie in the
past, because the rules of zones still change for the future.
"""
import datetime as dt
import pathlib
import random
import sys
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterBadDateError

UTC = dt.timezone.utc
ROWS = 2000
RUNS = 3  # a row
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
FIELDS = [  # first, last, names
    (0, 59, []), (0, 23, []), (1, 31, []),
    (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec".split()),
    (0, 6, "sun mon tue wed thu fri sat".split())]


def name(rng, value, first, names):
    text = names[value - first] if names and rng.random() < 0.3 else str(value)
    return rng.choice([text, text.upper()])


def entry(rng, first, last, names):
    # Two values: croniter takes 9-9/6 for the whole day, where robfig and crond take it for nine o'clock.
    low, high = sorted(rng.sample(range(first, last + 1), 2))
    step = rng.randint(1, max(2, (last - first) // 2))
    kind = rng.random()
    if kind < 0.15:
        return f"*/{step}"
    if kind < 0.55:
        return name(rng, low, first, names)
    if kind < 0.75:
        return f"{name(rng, low, first, names)}-{name(rng, high, first, names)}"
    if kind < 0.9:
        return f"{low}-{high}/{step}"
    # croniter takes 7 for another day of the week than 0 here.
    return f"{low}/{step}" if names[:1] != ["sun"] else str(low)


def field(rng, first, last, names):
    if rng.random() < 0.35:
        return "*"
    while True:
        text = ",".join(entry(rng, first, last, names) for _ in range(rng.choice([1, 1, 1, 2, 3])))
        # A list that leaves nothing out is a star for croniter and a restriction for robfig, and so here.
        covered = croniter.expand(" ".join(text if f == (first, last, names) else "*" for f in FIELDS))[0]
        at = FIELDS.index((first, last, names))
        if text.startswith("*/1,") or covered[at] == ["*"] or len(covered[at]) > last - first:
            continue
        return text


def instants(local, zone, any_hour):
    """The moments at which clocks in `zone` show `local` and the schedule runs."""
    found = []
    for fold in (0, 1):
        moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        exists = moment.astimezone(zone).replace(tzinfo=None, fold=0) == local
        if exists and moment not in found and (fold == 0 or any_hour):
            found.append(moment)
    return found


def runs(expression, zone, after):
    any_hour = expression.split()[1] == "*"
    local = croniter(expression, (after.astimezone(zone) - dt.timedelta(days=1)).replace(tzinfo=None))
    found = set()
    try:
        # A repeated hour holds at most an hour's worth of runs that are out of order.
        while len(found) < RUNS + 60:
            when = local.get_next(dt.datetime)
            if when - after.replace(tzinfo=None) > dt.timedelta(days=4 * 365):
                break
            found |= {m for m in instants(when, zone, any_hour) if m > after}
    except CroniterBadDateError:
        pass
    return sorted(found)[:RUNS]


def start(rng, zone):
    begin = dt.datetime(2010, 1, 1, tzinfo=UTC)
    moment = begin + dt.timedelta(minutes=rng.randrange(12 * 365 * 24 * 60))
    if rng.random() < 0.5:  # near a change of the clocks, if the zone has any
        for _ in range(366):
            if moment.astimezone(zone).utcoffset() != (moment + dt.timedelta(days=1)).astimezone(zone).utcoffset():
                break
            moment += dt.timedelta(days=1)
        moment += dt.timedelta(minutes=rng.randrange(-600, 1440))
    return moment


def main():
    rng = random.Random(20261122)
    rows = []
    while len(rows) < ROWS:
        zone_name = rng.choice(["UTC"] + ZONES)
        zone = ZoneInfo(zone_name)
        expression = " ".join(field(rng, *f) for f in FIELDS)
        after = start(rng, zone)
        found = runs(expression, zone, after)
        if len(found) < RUNS:
            continue  # rare days; those have tests by hand
        rows.append("\t".join([expression, zone_name, after.strftime("%FT%TZ")] + [m.strftime("%FT%TZ") for m in found]))
    path = pathlib.Path(__file__).with_suffix(".tsv")
    path.write_text("\n".join(rows) + "\n")
    print(f"{path}: {len(rows)} rows", file=sys.stderr)


main()
