"""A classifier by scikit-learn: is a tumour benign? The data set comes with the library; yours would come from a store."""

import io

import joblib
from sklearn import datasets, linear_model, metrics, model_selection, pipeline, preprocessing

import modelops_job as job

ROWS = datasets.load_breast_cancer()
# The same held-out rows for every run: candidates and champions of different runs can be compared.
TRAIN_X, TEST_X, TRAIN_Y, TEST_Y = model_selection.train_test_split(ROWS.data, ROWS.target, test_size=0.3, random_state=1, stratify=ROWS.target)


def validate():
    missing = int((ROWS.data != ROWS.data).sum())
    return {"rows": str(len(ROWS.data)), "missing": str(missing), "positives": float(ROWS.target.mean())}


def train():
    estimator = linear_model.LogisticRegression(C=float(job.parameter("C", "1")), max_iter=5000, random_state=job.SEED)
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), estimator).fit(TRAIN_X, TRAIN_Y)
    model.modelops_features = [name.replace(" ", "_") for name in map(str, ROWS.feature_names)]
    content = io.BytesIO()
    joblib.dump(model, content)
    return {"metrics": figures(model, TRAIN_X, TRAIN_Y), "artifact": job.store(content.getvalue(), "joblib", "sklearn"),
            "lineage": {"data": [job.data("breast-cancer", ROWS.data.tobytes(), len(ROWS.data))]}}


def figures(model, x, y):
    predicted = model.predict(x)
    return {"f1": metrics.f1_score(y, predicted), "recall": metrics.recall_score(y, predicted)}


def evaluate():
    candidate, champion = job.candidate_and_champion()
    told = {"metrics": figures(joblib.load(candidate), TEST_X, TEST_Y)}
    return {**told, "championMetrics": figures(joblib.load(champion), TEST_X, TEST_Y)} if champion else told


def monitor():
    """What serves, asked about rows whose answers are known."""
    names = [name.replace(" ", "_") for name in map(str, ROWS.feature_names)]
    answers = job.ask(dict(zip(names, TEST_X[:100].T)))
    return {"accuracy": metrics.accuracy_score(TEST_Y[:100], answers)}


job.run(validate=validate, train=train, evaluate=evaluate, monitor=monitor)
