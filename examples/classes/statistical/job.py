"""A forecast by regression on the past: tomorrow's demand out of that of the last days and of the same day of weeks before.

It is served as a `linear` model, so no Python runs where it serves. The series is made up here; yours would come from a database.
"""

import json

import numpy

import modelops_job as job

DAYS, HELD_OUT = 730, 60


def series():
    random = numpy.random.default_rng(1)
    day = numpy.arange(DAYS)
    return 200 + 0.05 * day + 30 * numpy.sin(2 * numpy.pi * day / 7) + 10 * numpy.sin(2 * numpy.pi * day / 365) + random.normal(0, 5, DAYS)


def rows_of(values, lags):
    """(one row of earlier values for each day, that day's value)"""
    first = max(lags)
    return numpy.array([[values[day - lag] for lag in lags] for day in range(first, len(values))]), values[first:]


def lags_of(model):
    return [int(name.removeprefix("lag")) for name in model["features"]]


def validate():
    values = series()
    steps = numpy.abs(numpy.diff(values))
    return {"rows": str(len(values)), "missing": str(int(numpy.isnan(values).sum())), "largest_step": float(steps.max())}


def train():
    values = series()[:-HELD_OUT]
    lags = [int(lag) for lag in job.parameter("LAGS", "1-7").split("-")]
    x, y = rows_of(values, lags)
    weights, *_ = numpy.linalg.lstsq(numpy.column_stack([x, numpy.ones(len(x))]), y, rcond=None)
    model = {"kind": "linear", "version": "1", "features": [f"lag{lag}" for lag in lags], "weights": [round(float(w), 9) for w in weights[:-1]],
             "intercept": round(float(weights[-1]), 9), "link": "identity"}
    content = json.dumps(model, indent=1).encode()
    return {"metrics": figures(model, values), "artifact": job.store(content, "json", "linear"),
            "lineage": {"data": [job.data("demand", values.tobytes(), len(values))]}}


def figures(model, values):
    """Against the naive forecast, that next week is like this one: skill 0 is no better, 1 is perfect."""
    x, y = rows_of(values, lags_of(model))
    error = numpy.abs(x @ numpy.array(model["weights"]) + model["intercept"] - y).mean()
    naive = numpy.abs(values[7:] - values[:-7]).mean()
    return {"mae": error, "skill": 1 - error / naive}


def evaluate():
    held_out = series()[-HELD_OUT - 28:]
    candidate, champion = [path and json.loads(path.read_text()) for path in job.candidate_and_champion()]
    told = {"metrics": figures(candidate, held_out)}
    return {**told, "championMetrics": figures(champion, held_out)} if champion else told


def monitor():
    """How far what serves was off in the last weeks."""
    names = job.features()
    x, y = rows_of(series()[-56:], [int(name.removeprefix("lag")) for name in names])
    return {"mae": numpy.abs(numpy.array(job.ask(dict(zip(names, x.T))), float) - y).mean()}


job.run(validate=validate, train=train, evaluate=evaluate, monitor=monitor)
