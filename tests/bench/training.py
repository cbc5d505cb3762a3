#!/usr/bin/python3
"""Many Models that are watched and trained anew, on one operator: what it costs to keep them so, and how late a trigger comes.

    training.py [--models N] [--window SECONDS] [--perf] [--keep]

Each Model has three monitors with the default interval and an hourly schedule that a jitter spreads over the hour, so that in every second of the window some
are measured and some are trained. They have no replicas: pods cost the cluster, not the operator. A training Job ends on a simulated node and
reports nothing, which fails the run. Prometheus is a script (figures.py). Prints what was measured in the window, writes build/bench/training.json, and exits
with 1 if one of these does not hold: under half a core, under 200 MB, no run later than 2 s after its due time, and Prometheus asked for several queries at once.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import scale  # sets the environment

import operators
import settings
from case import API
from figures import Figures
from reaction import percentile, seconds
from scale import OUT, Audit, at_once, bench, cpu_seconds, memory_mb, model_digest, say

CORES, MB, LATE = 0.5, 200, 2.0
OF_NAMESPACE = 100  # Models
MONITORS = {
    "errors": 'sum(rate(requests_total{namespace="{{namespace}}",version="{{stable}}",code=~"5.."}[5m])) / sum(rate(requests_total{namespace="{{namespace}}",version="{{stable}}"}[5m]))',
    "latency": 'histogram_quantile(0.99, sum by (le) (rate(request_seconds_bucket{namespace="{{namespace}}",version="{{stable}}"}[5m])))',
    "drift": 'max(feature_drift_psi{namespace="{{namespace}}",version="{{stable}}"})',
}


def model(number):
    name = f"model-{number:05}"
    trainer = {"name": "train", "image": settings.TINY_IMAGE, "args": ["job"], "env": [{"name": "REGION", "value": "eu"}]}
    return {"apiVersion": API, "kind": "Model", "metadata": {"name": name}, "spec": {
        "artifact": {"uri": f"https://artifacts.example.com/{name}/model.json", "digest": model_digest(name), "format": {"name": "tiny"}}, "serving": {"replicas": 0},
        "rollout": {"gates": [{"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"}]},
        "monitors": [{"name": what, "prometheus": {"query": query}, "max": "0.1", "actions": ["Alert", "Retrain"] if what == "drift" else ["Alert"]}
                     for what, query in MONITORS.items()],
        "retraining": {"triggers": [{"name": "hourly", "schedule": {"cron": "0 * * * *", "jitter": "59m59s"}}], "onSuccess": "Register", "gates": ["recorded"],
                       "template": {"spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [trainer]}}}}}}}


def namespace_of(number):
    return f"bench-{number // OF_NAMESPACE:03}"


def models(kube, count):
    """{(namespace, name): status} of all."""
    found = {}
    for group in range((count - 1) // OF_NAMESPACE + 1):
        namespace = namespace_of(group * OF_NAMESPACE)
        for one in kube.list("Model", namespace):
            found[namespace, one["metadata"]["name"]] = one.get("status", {})
    return found


def watched(status):
    return [m.get("state") for m in status.get("monitors", [])] == ["OK"] * len(MONITORS)


def until(done, what, limit, pause):
    deadline = time.monotonic() + limit
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"bench: not within {limit} s: {what}")
        time.sleep(pause)


def written(audit):
    """The runs that the operator has made since the last look, {(namespace, Model): when the API server got it}, and how much it wrote."""
    made, writes = {}, 0
    for event in audit.events():
        ref = event["objectRef"]
        writes += 1
        if ref["resource"] == "trainingruns" and event["verb"] in ("create", "patch") and not ref.get("subresource") and event["responseStatus"]["code"] < 400:
            made.setdefault((ref["namespace"], ref["name"].rpartition("-run-")[0]), seconds(event["requestReceivedTimestamp"]))
    return made, writes


def lateness(due, made, began, ended):
    """Of all that were due in the window, sorted, and how many of them never came."""
    late, missing = [], []
    for key, at in due.items():
        if not began <= at <= ended - LATE:
            continue
        if key in made:
            late.append(made[key] - at)
        else:
            missing.append("/".join(key))
    return sorted(late), missing


def measure(options):
    import run
    kube = run.install()
    settings.STATE.mkdir(parents=True, exist_ok=True)
    figures = Figures()
    kubeconfig = operators.kubeconfig_of(kube, settings.SYSTEM_NAMESPACE, "model-operator", settings.STATE / "bench.kubeconfig")
    operator = operators.Operator("training", kubeconfig, [f"--prometheus-url={figures.url}"]).start()
    try:
        return steady(kube, operator, figures, options)
    finally:
        operator.end()
        figures.close()


def steady(kube, operator, figures, options):
    count, audit = options.models, Audit()
    result = {"models": count, "empty_mb": memory_mb(operator.pid)["now"]}
    say(f"{count} Models in {(count - 1) // OF_NAMESPACE + 1} namespaces")
    at_once(kube.make_namespace, [namespace_of(number) for number in range(0, count, OF_NAMESPACE)])
    began, cpu = time.monotonic(), cpu_seconds(operator.pid)
    at_once(lambda number: kube.create(model(number), namespace_of(number)), range(count))
    result["apply_seconds"] = time.monotonic() - began
    until(lambda: sum(map(watched, models(kube, count).values())) == count, "all are watched", 3600, 10)
    result["watched_seconds"], result["watched_cpu_seconds"] = time.monotonic() - began, cpu_seconds(operator.pid) - cpu
    time.sleep(options.rest)
    due = {key: seconds(status["retraining"]["nextScheduled"]) for key, status in models(kube, count).items()}
    written(audit)
    say(f"watching for {options.window} s")
    perf = options.perf and subprocess.Popen(["perf", "record", "-g", "-F", "199", "-o", OUT / "training.perf", "-p", str(operator.pid)], stderr=subprocess.DEVNULL)
    before, reconciles, cpu, asked_cpu, began = figures.counts(), operator.reconciles(), cpu_seconds(operator.pid), cpu_seconds(figures.pid), time.time()
    time.sleep(options.window)  # the time is what is measured
    after, ended = figures.counts(), time.time()
    took = ended - began
    result |= {"seconds": took, "cores": (cpu_seconds(operator.pid) - cpu) / took, "prometheus_cores": (cpu_seconds(figures.pid) - asked_cpu) / took,
               "reconciles": operator.reconciles() - reconciles, "memory_mb": memory_mb(operator.pid), "threads": len(os.listdir(f"/proc/{operator.pid}/task")),
               "requests": after["requests"] - before["requests"], "queries": after["queries"] - before["queries"], "most_in_a_request": after["most"]}
    if perf:
        perf.send_signal(2)
        perf.wait()
    made, result["writes"] = written(audit)
    late, missing = lateness(due, made, began, ended)
    result |= {"runs": len(made), "due": len(late) + len(missing), "missing": missing[:10],
               "late_seconds": {"p50": percentile(late, 0.5), "p99": percentile(late, 0.99), "most": late[-1]} if late else None}
    return result


def problems(result):
    found = []
    if result["cores"] >= CORES:
        found.append(f"{result['cores']:.2f} cores; the limit is {CORES}")
    if result["memory_mb"]["peak"] >= MB:
        found.append(f"{result['memory_mb']['peak']:.0f} MB at its peak; the limit is {MB}")
    if result["missing"]:
        found.append(f"no run of {result['missing']}, which were due")
    if not result["late_seconds"] or result["late_seconds"]["most"] > LATE:
        found.append(f"runs came late: {result['late_seconds']}; the limit is {LATE} s")
    if result["requests"] * 2 > result["queries"]:
        found.append(f"{result['requests']} requests for {result['queries']} queries: few are asked together")
    return found


def show(result):
    n, took = result["models"], result["seconds"]
    print(f"{n} Models, each with {len(MONITORS)} monitors (each 30s) and an hourly schedule; all watched {result['watched_seconds']:.0f} s after the first was applied "
          f"({result['watched_cpu_seconds']:.0f} s of processor time)")
    print(f"in {took:.0f} s: {result['cores']:.3f} cores, {result['memory_mb']['now']:.1f} MB ({result['memory_mb']['peak']:.1f} at its peak, {result['empty_mb']:.1f} empty), "
          f"{result['threads']} threads")
    print(f"  {result['reconciles'] / took:.0f} reconciles/s, {result['writes'] / took:.1f} writes/s")
    print(f"  Prometheus: {result['queries'] / took:.0f} queries/s in {result['requests'] / took:.0f} requests/s, {result['queries'] / max(1, result['requests']):.1f} in one "
          f"(at most {result['most_in_a_request']})")
    if result["late_seconds"]:
        print(f"  {result['runs']} runs, of {result['due']} due; late by p50 {result['late_seconds']['p50']:.2f} s, p99 {result['late_seconds']['p99']:.2f} s, "
              f"at most {result['late_seconds']['most']:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--window", type=int, default=180, help="seconds that are measured")
    parser.add_argument("--rest", type=int, default=30, help="seconds between the last Model's first measurement and the window")
    parser.add_argument("--perf", action="store_true", help="sample the operator in the window: build/bench/training.perf")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    return bench("training", parser.parse_args(), measure, problems, show)


if __name__ == "__main__":
    sys.exit(main())
