"""What a Job of a Model needs of the operator: which stage it is, where artifacts are, where its RunResult goes. The standard library alone."""

import hashlib
import json
import os
import pathlib
import sys
import urllib.request

FOLDER = pathlib.Path(os.environ.get("MODELS") or "/models")   # where the claim `models` is mounted
SEED = int(os.environ.get("MODELOPS_SEED") or 0)


class Failure(Exception):
    """One sentence for whoever reads the TrainingRun."""


def parameter(name, default):
    """Of the trial, or of the TrainingRun: always a text."""
    return os.environ.get(f"MODELOPS_PARAM_{name.upper()}") or default


def store(content, ending, format_name, **more):
    """Writes the artifact below the claim, whole or not at all, and says where it is."""
    path = f"{os.environ['MODELOPS_OUTPUT']}.{ending}"
    target = FOLDER / path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_bytes(content)
    part.replace(target)
    return {"uri": f"pvc://models/{path}", "digest": "sha256:" + hashlib.sha256(content).hexdigest(), "format": {"name": format_name, "version": "1"}, **more}


def data(name, content, rows):
    """An entry of lineage.data."""
    return {"name": name, "digest": "sha256:" + hashlib.sha256(content).hexdigest(), "rows": rows}


def candidate_and_champion():
    """The artifacts that `evaluate` compares, fetched and verified; the champion is None where nothing serves yet."""
    paths = [os.environ.get(f"MODELOPS_{who}_PATH") for who in ("CANDIDATE", "CHAMPION")]
    return [pathlib.Path(path) if path else None for path in paths]


def _call(path, body=None):
    url = f"{os.environ['MODELOPS_STABLE_URL']}/v2/models/{os.environ['MODELOPS_MODEL']}{path}"
    request = urllib.request.Request(url, body and json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def features():
    """The features of what serves, as model-server tells them beside the Open Inference Protocol. In a monitor's Job, as ask() is."""
    return _call("")["parameters"]["features"]


def ask(columns):
    """Its predictions. `columns`: the numbers of each input, by its name."""
    inputs = [{"name": name, "shape": [len(values)], "datatype": "FP64", "data": [float(v) for v in values]} for name, values in columns.items()]
    return next(output["data"] for output in _call("/infer", {"inputs": inputs})["outputs"] if output["name"] == "predict")


def texts(figures):
    return {name: value if isinstance(value, str) else f"{value:.6f}".rstrip("0").rstrip(".") for name, value in figures.items()}


def run(**stages):
    """Runs the stage that the operator asks for (a monitor's Job has none) and reports what it returns: figures, or a dict with artifact and more."""
    stage = os.environ.get("MODELOPS_STAGE") or "monitor"
    result = pathlib.Path(os.environ.get("MODELOPS_RESULT") or "/dev/termination-log")
    try:
        told = stages[stage]()
        document = told if "metrics" in told else {"metrics": told}
        for name in ("metrics", "championMetrics"):
            if name in document:
                document[name] = texts(document[name])
        result.write_text(json.dumps({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", **document}))
    except Exception as error:  # whatever it is, the run's message is to say so
        result.write_text(f"{stage}: {error}" if isinstance(error, Failure) else f"{stage}: {type(error).__name__}: {error}")
        sys.exit(1)
