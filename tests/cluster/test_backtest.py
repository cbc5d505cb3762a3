"""kubectl model backtest: gates and monitors on what the real Prometheus has on record."""

import json
import subprocess

import yaml

import settings
from case import gate
from test_monitors import monitor, state


def backtest(case, *arguments, code=None, text=None):
    command = [settings.OPERATOR.parent / "kubectl-model", "--kubeconfig", settings.KUBECONFIG, "-n", case.namespace, "backtest", "--since", "10m", "--step", "1s",
               "--prometheus-url", settings.prometheus_url(), *arguments]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, input=text)
    assert ran.returncode == code if code is not None else ran.returncode in (0, 1), ran
    return ran.stdout


def figures(text):
    told, = json.loads(text)
    return {figure["name"]: figure for figure in told["figures"]}, told


def test_the_past_is_judged_as_the_operator_judged_it(case):
    case.metrics.set("drift", "0.1", version="m-v1")
    case.serve("m-v1", replicas=1, monitors=[monitor()])
    state(case, "OK")
    case.metrics.set("drift", "0.4", version="m-v1")
    state(case, "Breached")
    case.metrics.set("drift", "0.1", version="m-v1")
    state(case, "OK")

    def recovered():
        found, told = figures(backtest(case, "m", "-o", "json"))
        breaches = found["drift"]["breaches"]
        return breaches and breaches[-1]["end"] == "recovered" and (found["drift"], told)

    drift, told = case.until(recovered, "breach and recovery are in the past")
    assert [breach["worst"] for breach in drift["breaches"]] == ["0.4"], drift
    assert drift["values"]["max"] == "0.4" and drift["values"]["min"] == "0.1" and drift["measurements"]["inconclusive"] > 0
    assert told["served"][0]["stable"] == "m-v1"
    assert "breached 1x" in backtest(case, "m", code=1)

    # A gate that is not in the cluster yet, from a file: what would it have said of what served, with this bound or that?
    def file(bound):
        query = 'drift{namespace="{{namespace}}",version="{{candidate}}"}'
        return yaml.dump({**case.last_model, "spec": {**case.last_model["spec"], "monitors": [], "rollout": {
            "gates": [gate("steady", query, max=bound)], "steps": [{"weight": 50}, {"gates": ["steady"]}]}}})

    strict, _ = figures(backtest(case, "-f", "-", "-o", "json", code=1, text=file("0.2")))
    assert strict["steady"]["verdicts"]["Failed"] > 0 and strict["steady"]["verdicts"]["Passed"] > 0
    lax, _ = figures(backtest(case, "-f", "-", "-o", "json", code=0, text=file("0.5")))
    assert "Failed" not in lax["steady"]["verdicts"]
    broken = backtest(case, "-f", "-", code=2, text=file("0.5").replace("drift{", "sum(drift{"))
    assert "Prometheus refused the query" in broken
