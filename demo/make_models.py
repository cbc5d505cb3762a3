#!/usr/bin/env python3
"""Makes the demo's three models and its test rows from the breast-cancer data set that scikit-learn ships. Run once; the results are committed.

v1 has seen 12 rows, v2 the whole training set, v3 the training set with almost half the labels of one class turned round.
"""
import json
import pathlib

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = pathlib.Path(__file__).parent / "models"
data = load_breast_cancer()
names = [n.replace(" ", "_") for n in data.feature_names]
x_train, x_test, y_train, y_test = train_test_split(data.data, data.target, test_size=0.3, random_state=7, stratify=data.target)
rng = np.random.default_rng(7)


def export(name, rows, labels, c):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000)).fit(rows, labels)
    scaler, logistic = model[0], model[1]
    weights = logistic.coef_[0] / scaler.scale_
    intercept = float(logistic.intercept_[0] - (weights * scaler.mean_).sum())
    document = {"kind": "linear", "features": names, "weights": [float(f"{w:.6g}") for w in weights], "intercept": float(f"{intercept:.6g}"),
                "link": "logistic", "threshold": 0.5, "labels": [0, 1]}
    (HERE / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    score = x_test @ np.array(document["weights"]) + document["intercept"]
    return float(((score >= 0) == y_test).mean())


few = np.concatenate([np.where(y_train == 0)[0][:4], np.where(y_train == 1)[0][:8]])
turned = y_train.copy()
flip = rng.random(len(turned)) < np.where(turned == 1, 0.45, 0.0)
turned[flip] = 0
accuracy = {"v1": export("v1", x_train[few], y_train[few], 0.05), "v2": export("v2", x_train, y_train, 0.1), "v3": export("v3", x_train, turned, 1.0)}
(HERE / "test.json").write_text(json.dumps({"features": names, "rows": [[float(f"{v:.6g}") for v in r] for r in x_test], "labels": y_test.tolist()}) + "\n")
print(accuracy)
