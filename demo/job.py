"""The stages of the demo's runs: is the data fit to train on, train, and compare with what serves. Reports by examples/classes/kit/modelops_job.py.

The data is scikit-learn's breast-cancer data set, as the scanner measures it that is in use: SCANNER is what it makes of one unit.
"""

import json
import os

import numpy
from sklearn import datasets, linear_model, model_selection, pipeline, preprocessing

import modelops_job as job

DATA = datasets.load_breast_cancer()
ROWS = DATA.data * float(os.environ.get("SCANNER") or 1)
# What callers ask about is what is held out here, for every run.
TRAIN_X, TEST_X, TRAIN_Y, TEST_Y = model_selection.train_test_split(ROWS, DATA.target, test_size=0.3, random_state=7, stratify=DATA.target)


def validate():
    return {"rows": str(len(ROWS)), "missing": str(int(numpy.isnan(ROWS).sum())), "scale": float(ROWS.mean() / DATA.data.mean())}


def train():
    estimator = linear_model.LogisticRegression(C=float(job.parameter("C", "0.3")), max_iter=5000, random_state=job.SEED)
    scaler, logistic = pipeline.make_pipeline(preprocessing.StandardScaler(), estimator).fit(TRAIN_X, TRAIN_Y)
    weights = logistic.coef_[0] / scaler.scale_
    model = {"kind": "linear", "version": "1", "features": [str(name).replace(" ", "_") for name in DATA.feature_names], "weights": weights.tolist(),
             "intercept": float(logistic.intercept_[0] - (weights * scaler.mean_).sum()), "link": "logistic", "threshold": 0.5, "labels": [0, 1]}
    return {"metrics": {"accuracy": accuracy(model, TRAIN_X, TRAIN_Y)}, "artifact": job.store(json.dumps(model).encode(), "json", "linear"),
            "lineage": {"data": [job.data("breast_cancer", ROWS.tobytes(), len(ROWS))]}}


def accuracy(model, rows, labels):
    return float((((rows @ numpy.array(model["weights"]) + model["intercept"]) >= 0) == labels).mean())


def evaluate():
    candidate, champion = (path and accuracy(json.loads(path.read_text()), TEST_X, TEST_Y) for path in job.candidate_and_champion())
    told = {"metrics": {"accuracy": candidate}}
    return {**told, "championMetrics": {"accuracy": champion}} if champion is not None else told


job.run(validate=validate, train=train, evaluate=evaluate)
