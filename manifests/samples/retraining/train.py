"""Finds the amount that parts the good payments from the bad, and reports it as a RunResult."""

import csv
import hashlib
import json
import os
import pathlib

with open("/data/data.csv", newline="") as file:
    rows = [(float(row["amount"]), row["fraud"] == "1") for row in csv.DictReader(file)]


def accuracy(limit):
    return sum((amount > limit) == fraud for amount, fraud in rows) / len(rows)


best = max((amount for amount, _ in rows), key=accuracy)
model = {"kind": "rules", "rules": [{"if": [{"feature": "amount", "op": ">", "value": best}], "then": 1}], "default": 0}

# MODELOPS_OUTPUT is a path of this run's own; /models is the claim that the artifact's address names.
path = pathlib.Path(os.environ["MODELOPS_OUTPUT"] + ".json")
artifact = json.dumps(model, indent=1).encode()
(pathlib.Path("/models") / path).parent.mkdir(parents=True, exist_ok=True)
(pathlib.Path("/models") / path).write_bytes(artifact)

result = {
    "apiVersion": "modelops.dev/v1alpha1",
    "kind": "RunResult",
    "metrics": {"accuracy": f"{accuracy(best):.4f}"},
    "artifact": {"uri": f"pvc://models/{path}", "digest": "sha256:" + hashlib.sha256(artifact).hexdigest(), "format": {"name": "rules"}},
    "lineage": {"data": [{"name": "payments", "digest": "sha256:" + hashlib.sha256(repr(rows).encode()).hexdigest(), "rows": len(rows)}],
                "parameters": {"limit": str(best)}},
}
pathlib.Path(os.environ["MODELOPS_RESULT"]).write_text(json.dumps(result))
