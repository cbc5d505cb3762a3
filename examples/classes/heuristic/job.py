"""A heuristic and its optimiser: which orders go by van? A scorecard decides; simulated annealing finds its points on past orders.

Nothing is learnt from labels: what counts is what a day would have cost. It is served as a `scorecard` by model-server.
"""

import json
import math
import random

import modelops_job as job

VAN, BIKE, LATE = 6.0, 2.0, 15.0   # what a trip costs, and what being late does
BINS = {"distance_km": [1, 3, 6, 12], "minutes_left": [15, 30, 60], "boxes": [2, 5]}


def orders(seed, count=400):
    draw = random.Random(seed)
    return [{"distance_km": draw.expovariate(1 / 4), "minutes_left": draw.uniform(5, 120), "boxes": draw.randint(1, 8)} for _ in range(count)]


def bin_of(name, value):
    return next((i for i, below in enumerate(BINS[name]) if value < below), len(BINS[name]))


def points_of(points, order):
    return sum(points[name][bin_of(name, order[name])] for name in BINS)


def cost(points, past):
    """Per order. A bike needs five minutes for a kilometre and takes three boxes; a van two, and takes all."""
    total = 0.0
    for order in past:
        if points_of(points, order) >= 100:
            total += VAN + (LATE if order["distance_km"] * 2 > order["minutes_left"] else 0)
        else:
            trips = math.ceil(order["boxes"] / 3)
            total += BIKE * trips + (LATE if order["distance_km"] * 5 * (2 * trips - 1) > order["minutes_left"] else 0)
    return total / len(past)


def anneal(past, rounds, seed):
    draw = random.Random(seed)
    points = {name: [30] * (len(bins) + 1) for name, bins in BINS.items()}
    best, best_cost = points, cost(points, past)
    now, now_cost = best, best_cost
    for i in range(rounds):
        tried = {name: list(values) for name, values in now.items()}
        name = draw.choice(list(BINS))
        tried[name][draw.randrange(len(tried[name]))] += draw.choice([-20, -10, -5, 5, 10, 20])
        tried_cost = cost(tried, past)
        heat = 0.2 * (1 - i / rounds) + 1e-9
        if tried_cost < now_cost or draw.random() < math.exp((now_cost - tried_cost) / heat):
            now, now_cost = tried, tried_cost
        if now_cost < best_cost:
            best, best_cost = now, now_cost
    return best


def scorecard(points):
    def bins(name):
        return [{"below": below, "points": p} for below, p in zip(BINS[name], points[name])] + [{"points": points[name][-1]}]
    return {"kind": "scorecard", "version": "1", "base": 0, "threshold": 100, "labels": ["bike", "van"],
            "characteristics": [{"feature": name, "bins": bins(name)} for name in BINS]}


def points_in(model):
    return {c["feature"]: [b["points"] for b in c["bins"]] for c in model["characteristics"]}


def validate():
    past = orders(1)
    return {"rows": str(len(past)), "impossible": str(sum(order["boxes"] < 1 or order["minutes_left"] <= 0 for order in past))}


def train():
    past = orders(1)
    best = anneal(past, int(job.parameter("ROUNDS", "1500")), job.SEED)
    content = json.dumps(scorecard(best), indent=1).encode()
    return {"metrics": figures(best, past), "artifact": job.store(content, "json", "scorecard"),
            "lineage": {"data": [job.data("orders", json.dumps(past).encode(), len(past))]}}


def figures(points, past):
    all_vans = {name: [100] * (len(bins) + 1) for name, bins in BINS.items()}
    found = cost(points, past)
    return {"cost": found, "saved": 1 - found / cost(all_vans, past)}


def evaluate():
    """On orders that the optimiser has not seen."""
    unseen = orders(2)
    candidate, champion = [path and points_in(json.loads(path.read_text())) for path in job.candidate_and_champion()]
    return {"metrics": figures(candidate, unseen), **({"championMetrics": figures(champion, unseen)} if champion else {})}


def monitor():
    """What today's orders would cost by what serves."""
    today = orders(3, 100)
    answers = job.ask({name: [order[name] for order in today] for name in BINS})
    chosen = sum(cost({name: [100 if answer == "van" else 0] * (len(bins) + 1) for name, bins in BINS.items()}, [order]) for order, answer in zip(today, answers))
    return {"cost": chosen / len(today)}


job.run(validate=validate, train=train, evaluate=evaluate, monitor=monitor)
