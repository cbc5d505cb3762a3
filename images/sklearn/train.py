"""Trains a classifier on a data set that scikit-learn ships, writes it to a mounted claim and reports a RunResult.

The operator tells what run this is by MODELOPS_*; everything else is set by the Job's template (see settings below).
The last line on stderr, and the termination message of a run that failed, say in one sentence what went wrong.
"""

import hashlib
import json
import os
import pathlib
import sys
import tempfile

SPLIT_SEED = 7  # of the test rows: the same for every run, so that runs can be compared


class Failure(Exception):
    pass


def number(name, default, kind, lowest, highest):
    text = os.environ.get(name) or default
    try:
        value = kind(text)
    except ValueError:
        raise Failure(f"{name} must be a number, it is {text!r}") from None
    if not lowest <= value <= highest:
        raise Failure(f"{name} must be from {lowest} to {highest}, it is {text}")
    return value


def choice(name, default, known):
    value = os.environ.get(name) or default
    if value not in known:
        raise Failure(f"{name} must be one of {', '.join(known)}, it is {value!r}")
    return value


def settings():
    return {
        "dataset": choice("DATASET", "breast_cancer", ["breast_cancer", "digits"]),
        "format": choice("FORMAT", "sklearn", ["sklearn", "linear"]),
        "c": number("C", "1.0", float, 1e-6, 1e6),
        "max_iter": number("MAX_ITER", "2000", int, 1, 100_000),
        "seed": number("SEED", "7", int, 0, 2**32 - 1),
        "rows": number("ROWS", "0", int, 0, 10**6),  # training rows; 0: all
        "noise": number("NOISE", "0", float, 0, 1),  # share of training labels that are replaced by random ones: makes it worse
        "claim": os.environ.get("CLAIM") or "models",
        "folder": pathlib.Path(os.environ.get("OUTPUT_DIR") or "/models"),  # where the claim is mounted
        "run": os.environ.get("MODELOPS_OUTPUT") or os.environ.get("MODELOPS_RUN_ID") or "run",
    }


def load(options):
    """(feature names, training rows and labels, test rows and labels, digest of the whole data set)"""
    import numpy
    from sklearn import datasets, model_selection

    data = getattr(datasets, f"load_{options['dataset']}")()
    digest = hashlib.sha256(data.data.tobytes() + data.target.tobytes()).hexdigest()
    names = [str(name).replace(" ", "_") for name in data.feature_names]
    x_train, x_test, y_train, y_test = model_selection.train_test_split(
        data.data, data.target, test_size=0.3, random_state=SPLIT_SEED, stratify=data.target)
    random = numpy.random.default_rng(options["seed"])
    chosen = random.permutation(len(x_train))[:options["rows"] or None]
    x_train, y_train = x_train[chosen], y_train[chosen].copy()
    turned = random.random(len(y_train)) < options["noise"]
    y_train[turned] = random.choice(numpy.unique(data.target), size=int(turned.sum()))
    if len(set(y_train)) < 2:
        raise Failure("the chosen rows hold only one class: raise ROWS or change SEED")
    return names, x_train, y_train, x_test, y_test, digest


def fit(options, x, y):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logistic = LogisticRegression(C=options["c"], max_iter=options["max_iter"], random_state=options["seed"])
    return make_pipeline(StandardScaler(), logistic).fit(x, y)


def measure(labels, predicted):
    from sklearn import metrics

    values = {"accuracy": metrics.accuracy_score(labels, predicted),
              "f1": metrics.f1_score(labels, predicted, average="macro"),
              "precision": metrics.precision_score(labels, predicted, average="macro", zero_division=0),
              "recall": metrics.recall_score(labels, predicted, average="macro", zero_division=0)}
    return {name: f"{value:.6f}" for name, value in values.items()}


def as_linear(model, names):
    """The pipeline as one weighted sum, for the C++ model-server."""
    scaler, logistic = model[0], model[-1]
    if len(logistic.classes_) != 2:
        raise Failure("a linear model tells two classes apart, this data set has more: use FORMAT=sklearn")
    weights = logistic.coef_[0] / scaler.scale_
    return {"kind": "linear", "version": "1", "features": names, "weights": [float(w) for w in weights],
            "intercept": float(logistic.intercept_[0] - (weights * scaler.mean_).sum()),
            "link": "logistic", "threshold": 0.5, "labels": [int(c) for c in logistic.classes_]}


def predict_linear(document, rows):
    import numpy

    score = rows @ numpy.array(document["weights"]) + document["intercept"]
    return numpy.where(score >= 0, document["labels"][1], document["labels"][0])


def serialize(options, model, names, x_test):
    """(bytes of the artifact, file ending, what the artifact predicts on the test rows)"""
    if options["format"] == "linear":
        document = as_linear(model, names)
        return json.dumps(document, indent=1).encode() + b"\n", "json", predict_linear(document, x_test)
    import io

    import joblib

    model.modelops_features = names  # the server's names of the inputs
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return buffer.getvalue(), "joblib", model.predict(x_test)


def write(folder, path, content):
    """Complete or absent: a reader never sees half a model."""
    if pathlib.PurePosixPath(path).is_absolute() or ".." in pathlib.PurePosixPath(path).parts:
        raise Failure(f"MODELOPS_OUTPUT must be a path below the claim, it is {path!r}")
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".part-", delete=False) as part:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
            os.fchmod(part.fileno(), 0o444)
        os.replace(part.name, target)
    except OSError as error:
        raise Failure(f"cannot write {target}: {error.strerror}") from error


def train():
    options = settings()
    names, x_train, y_train, x_test, y_test, digest = load(options)
    content, ending, predicted = serialize(options, fit(options, x_train, y_train), names, x_test)
    path = f"{options['run']}.{ending}"
    write(options["folder"], path, content)
    parameters = {"dataset": options["dataset"], "format": options["format"], "C": repr(options["c"]),
                  "max_iter": str(options["max_iter"]), "rows": str(len(x_train)), "noise": repr(options["noise"])}
    lineage = {"code": {"repository": "images/sklearn", "revision": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()},
               "data": [{"name": options["dataset"], "digest": f"sha256:{digest}", "rows": len(x_train) + len(x_test)}],
               "parameters": parameters, "seed": str(options["seed"])}
    return {"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": measure(y_test, predicted),
            "artifact": {"uri": f"pvc://{options['claim']}/{path}", "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
                         "format": {"name": options["format"], "version": "1"}},
            "lineage": lineage}


def report(text):
    try:
        pathlib.Path(os.environ.get("MODELOPS_RESULT") or "/dev/termination-log").write_text(text)
    except OSError as error:
        print(f"cannot write the result: {error}", file=sys.stderr)
        return False
    return True


def main():
    asked = {name: os.environ[name] for name in sorted(os.environ) if name.startswith("MODELOPS_")}
    print(f"training {json.dumps(asked)}", flush=True)
    try:
        result = train()
    except Failure as failure:
        print(failure, file=sys.stderr)
        report(str(failure))
        return 1
    print(json.dumps(result, indent=1), flush=True)
    return 0 if report(json.dumps(result)) else 1


if __name__ == "__main__":
    sys.exit(main())
