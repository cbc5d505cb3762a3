"""Playing metrics: what a test writes is scraped by the rig's Prometheus, with labels that win."""

import json
import os
import time
import urllib.parse
import urllib.request

import settings


def query(text):
    """The samples of an instant query: [({labels}, value as text)]."""
    url = settings.prometheus_url() + "/api/v1/query?" + urllib.parse.urlencode({"query": text})
    with urllib.request.urlopen(url, timeout=10) as answer:
        return [(series["metric"], series["value"][1]) for series in json.load(answer)["data"]["result"]]


class Metrics:
    """The series of one test, told apart by their namespace label."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.series = {}
        self.path = settings.RIG / "metrics.d" / f"{namespace}.prom"

    def set(self, name, value, **labels):
        """From now on; returns once Prometheus answers so. `value` None takes the series away."""
        key = (name, tuple(sorted(labels.items())))
        self.series[key] = value
        if value is None:
            del self.series[key]
        self._write()
        wanted = ",".join(f'{k}="{v}"' for k, v in {"namespace": self.namespace, **labels}.items())
        deadline = time.monotonic() + 20
        while True:
            found = [sample for _, sample in query(f"{name}{{{wanted}}}")]
            if (not found) if value is None else (len(found) == 1 and same(found[0], value)):
                return
            assert time.monotonic() < deadline, f"Prometheus has {name} as {found}, not {value}"
            time.sleep(0.1)

    def _write(self):
        lines = []
        for (name, labels), value in self.series.items():
            text = ",".join(f'{k}="{v}"' for k, v in [("namespace", self.namespace), *labels])
            lines.append(f"{name}{{{text}}} {value}\n")
        temporary = self.path.with_suffix(f".{os.getpid()}")
        temporary.write_text("".join(lines))
        temporary.rename(self.path)

    def close(self):
        self.path.unlink(missing_ok=True)


def same(text, value):
    return text == str(value) or (text not in ("NaN", "+Inf", "-Inf") and str(value) not in ("NaN", "+Inf", "-Inf") and float(text) == float(value))
