"""Rules that people write: nothing is trained. The stage `train` publishes rules.json as an artifact, once it holds together; the author is in lineage."""

import csv
import json
import operator
import pathlib

import modelops_job as job

HERE = pathlib.Path(__file__).parent
OPERATORS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "in": lambda a, b: a in b}


def cases():
    rows = list(csv.DictReader((HERE / "cases.csv").open()))
    return [({"amount": float(row["amount"]), "country": row["country"], "hour": float(row["hour"])}, row["expected"]) for row in rows]


def holds(condition, row):
    return OPERATORS[condition["op"]](row[condition["feature"]], condition["value"])


def rule_for(model, row):
    """As model-server does: the first rule whose conditions hold."""
    for rule in model["rules"]:
        if all(holds(c, row) for c in rule.get("if", [])) and ("any" not in rule or any(holds(c, row) for c in rule["any"])):
            return rule
    return {"name": "default", "then": model["default"]}


def decide(model, row):
    return rule_for(model, row)["then"]


def validate():
    found = cases()
    return {"rows": str(len(found)), "answers": str(len({expected for _, expected in found}))}


def train():
    content = (HERE / "rules.json").read_bytes()
    model = json.loads(content)
    unknown = {c["feature"] for rule in model["rules"] for c in rule.get("if", []) + rule.get("any", [])} - set(model["features"])
    if unknown:
        raise job.Failure(f"rules.json reads {', '.join(sorted(unknown))}, which is none of its features")
    return {"metrics": figures(model), "artifact": job.store(content, "json", "rules"),
            "lineage": {"data": [job.data("cases", (HERE / "cases.csv").read_bytes(), len(cases()))]}}


def figures(model):
    found = cases()
    right = sum(decide(model, row) == expected for row, expected in found)
    blocked = [decide(model, row) for row, expected in found if expected == "block"]
    untested = {rule["name"] for rule in model["rules"]} - {rule_for(model, row)["name"] for row, _ in found}
    return {"agreement": right / len(found), "recall": blocked.count("block") / len(blocked), "untested_rules": str(len(untested))}


def evaluate():
    candidate, champion = [path and json.loads(path.read_text()) for path in job.candidate_and_champion()]
    return {"metrics": figures(candidate), **({"championMetrics": figures(champion)} if champion else {})}


job.run(validate=validate, train=train, evaluate=evaluate)
