"""What Prometheus is told, under the same names as by the C++ model-server, and how often the model was right."""

import collections
import threading

BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
MAX_CLASSES = 100


def _escaped(text):
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class Telemetry:
    """Thread-safe."""

    def __init__(self, model, version):
        self._labels = f'model="{_escaped(model)}",version="{_escaped(version)}"'
        self._lock = threading.Lock()
        self._requests = collections.Counter({"200": 0})
        self._predictions = collections.Counter()
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._feedback = 0
        self._correct = 0
        self._accuracy = None  # until the first feedback: nothing to tell is not an accuracy of 0

    def request(self, status, seconds):
        with self._lock:
            self._requests[str(status)] += 1
            self._seconds += seconds
            self._buckets[next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))] += 1

    def predictions(self, classes):
        with self._lock:
            for name in classes:
                known = name in self._predictions or len(self._predictions) < MAX_CLASSES
                self._predictions[name if known else "other"] += 1

    def feedback(self, compared, correct, accuracy):
        with self._lock:
            self._feedback += compared
            self._correct += correct
            self._accuracy = accuracy

    def text(self):
        with self._lock:
            lines = self._counter("model_requests_total", "Inference requests answered, by HTTP status", "code", self._requests)
            lines += self._counter("model_predictions_total", "Predictions made, by class", "class", self._predictions)
            lines += self._histogram()
            lines += self._single("model_feedback_total", "counter", "Predictions whose right label was told", self._feedback)
            lines += self._single("model_correct_total", "counter", "Predictions that agreed with the label told", self._correct)
            if self._accuracy is not None:
                lines += self._single("model_accuracy", "gauge",
                                      "Share of right predictions among the last ones whose label was told", self._accuracy)
        return "\n".join(lines) + "\n"

    def _single(self, name, kind, help_text, value):
        return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", f"{name}{{{self._labels}}} {value!r}"]

    def _counter(self, name, help_text, label, values):
        lines = [f"# HELP {name} {help_text}", f"# TYPE {name} counter"]
        return lines + [f'{name}{{{self._labels},{label}="{_escaped(key)}"}} {value}' for key, value in sorted(values.items())]

    def _histogram(self):
        name = "model_request_duration_seconds"
        lines = [f"# HELP {name} Time from the complete inference request to its response", f"# TYPE {name} histogram"]
        total = 0
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self._buckets):
            total += count
            lines.append(f'{name}_bucket{{{self._labels},le="{bound}"}} {total}')
        return [*lines, f"{name}_sum{{{self._labels}}} {self._seconds!r}", f"{name}_count{{{self._labels}}} {total}"]


class Feedback:
    """Thread-safe. Bounded: the last `window` comparisons, and the predictions of the last `window` requests with an id, of no more than `most` rows
    together: callers choose how many they send."""

    def __init__(self, window, most=100_000):
        self._lock = threading.Lock()
        self._outcomes = collections.deque(maxlen=window)
        self._remembered = collections.OrderedDict()
        self._window = window
        self._rows, self._most = 0, most

    def compare(self, predictions, labels):
        """(compared, correct, accuracy over the window)"""
        outcomes = [prediction == label for prediction, label in zip(predictions, labels)]
        with self._lock:
            self._outcomes.extend(outcomes)
            return len(outcomes), sum(outcomes), sum(self._outcomes) / len(self._outcomes)

    def remember(self, request_id, predictions):
        with self._lock:
            self._rows += len(predictions) - len(self._remembered.pop(request_id, ()))
            self._remembered[request_id] = predictions
            while len(self._remembered) > self._window or self._rows > self._most:
                self._rows -= len(self._remembered.popitem(last=False)[1])

    def take(self, request_id):
        """Once, so that no request is counted twice."""
        with self._lock:
            taken = self._remembered.pop(request_id, None)
            self._rows -= len(taken or ())
            return taken
