#!/usr/bin/python3
"""Write the Grafana dashboards, the alerts and their runbooks, or with --check say which are stale (exit code 1).

One source for all: manifests/dashboards/*.json, manifests/alerts/prometheusrule.yaml and docs/runbooks.md. Tests hold every query against the metrics
that the operator and the model server export (tests/unit/serve_dashboards_test.cpp, model_server_dashboards_test.cpp), and make each alert fire
(tests/cluster/test_alerts.py)."""

import argparse
import json
import pathlib
import sys

REPO = pathlib.Path(__file__).resolve().parent.parent
RUNBOOKS = "docs/runbooks.md"  # of this repository, at the version that is installed

# ---- dashboards: title, unit, queries [(PromQL, legend)], width of 24, kind of panel ----

PORTFOLIO = ("model-portfolio", "Models: portfolio", [], [
    ("Models", "none", [("count(max by (namespace, model) (modelops_model_info))", "")], 4, "stat"),
    ("Degraded", "none", [('max(model_operator_models{phase="Degraded"})', "")], 4, "stat"),
    ("Open breaches", "none", [("sum(max by (namespace, model, monitor) (modelops_monitor_breached))", "")], 4, "stat"),
    ("Retired", "none", [('max(model_operator_models{phase="Retired"})', "")], 4, "stat"),
    ("Past their review", "none", [("sum(max by (namespace, model) (modelops_model_review_timestamp_seconds) < bool time())", "")], 4, "stat"),
    ("Retire within 30 days", "none",
     [("sum(max by (namespace, model) (modelops_model_retires_timestamp_seconds) < bool time() + 30 * 86400)", "")], 4, "stat"),
    ("Models by phase", "none", [("max by (phase) (model_operator_models)", "{{phase}}")], 12, "timeseries"),
    ("Rollouts by phase", "none", [("max by (phase) (model_operator_rollouts)", "{{phase}}")], 12, "timeseries"),
    ("What serves", "none", [("max by (namespace, model, version, phase, stage) (modelops_model_info)", "")], 24, "table"),
    ("Monitors that are breached", "none", [("max by (namespace, model, monitor) (modelops_monitor_breached) == 1", "")], 24, "table"),
])

OF_MODEL = '{namespace="$namespace", model="$model"}'
ONE_MODEL = ("model-one", "Models: one model", [
    ("namespace", "label_values(modelops_model_info, namespace)"),
    ("model", 'label_values(modelops_model_info{namespace="$namespace"}, model)'),
], [
    ("What serves", "none", [(f"max by (version, phase, stage) (modelops_model_info{OF_MODEL})", "")], 24, "table"),
    ("Requests by version", "reqps", [(f"sum by (version) (rate(model_requests_total{OF_MODEL}[5m]))", "{{version}}")], 12, "timeseries"),
    ("Errors by version", "percentunit",
     [('sum by (version) (rate(model_requests_total{namespace="$namespace", model="$model", code=~"5.."}[5m])) / '
       f"sum by (version) (rate(model_requests_total{OF_MODEL}[5m]))", "{{version}}")], 12, "timeseries"),
    ("Latency, 99 of 100 requests", "s",
     [(f"histogram_quantile(0.99, sum by (le, version) (rate(model_request_duration_seconds_bucket{OF_MODEL}[5m])))", "{{version}}")], 12, "timeseries"),
    ("Accuracy by feedback", "percentunit", [(f"avg by (version) (model_accuracy{OF_MODEL})", "{{version}}")], 12, "timeseries"),
    ("Predictions", "ops", [(f"sum by (version, class) (rate(model_predictions_total{OF_MODEL}[5m]))", "{{version}} {{class}}")], 12, "timeseries"),
    ("Monitors that are breached", "none", [(f"max by (monitor) (modelops_monitor_breached{OF_MODEL})", "{{monitor}}")], 12, "timeseries"),
])

OPERATOR = ("model-operator", "Models: operator", [], [
    ("Leader", "none", [("max(model_operator_leader)", "")], 4, "stat"),
    ("Waiting Models", "none", [("max(model_operator_queue_depth)", "")], 4, "stat"),
    ("Versions", "none", [("count by (version) (model_operator_build_info)", "{{version}}")], 16, "table"),
    ("Reconciles by outcome", "ops", [("sum by (outcome) (rate(model_operator_reconciles_total[5m]))", "{{outcome}}")], 12, "timeseries"),
    ("Time of a reconcile, 99 of 100", "s",
     [("histogram_quantile(0.99, sum by (le) (rate(model_operator_reconcile_seconds_bucket[5m])))", "p99")], 12, "timeseries"),
    ("Requests to the API server", "reqps", [("sum by (verb, resource) (rate(model_operator_api_calls_total[5m]))", "{{verb}} {{resource}}")], 12, "timeseries"),
    ("Answers that are errors", "reqps", [('sum by (code) (rate(model_operator_api_calls_total{code!~"2.."}[5m]))', "{{code}}")], 12, "timeseries"),
    ("Time of a request, 99 of 100", "s",
     [("histogram_quantile(0.99, sum by (le, verb) (rate(model_operator_api_call_seconds_bucket[5m])))", "{{verb}}")], 12, "timeseries"),
    ("Watches that began anew", "ops", [("sum by (kind) (rate(model_operator_watch_restarts_total[5m]))", "{{kind}}")], 12, "timeseries"),
])

# ---- alerts: name, severity, for, expression, sentence, runbook (what it means; what to do) ----

ALERTS = [
    ("ModelMonitorBreached", "warning", "0m", "max by (namespace, model, monitor) (modelops_monitor_breached) == 1",
     "Monitor {{ $labels.monitor }} of Model {{ $labels.namespace }}/{{ $labels.model }} is breached.",
     "A figure of the version that serves has been out of its bounds for as long as the monitor's `for` says. What the monitor does about it by itself is in its `actions`.",
     ["`kubectl model status {model}` shows the figure, its bounds and since when.",
      "If a version brought it: `kubectl model rollback {model}`.",
      "If the data has changed: `kubectl model retrain {model}`, or mend the data.",
      "If the bound is wrong: change it in `spec.monitors`. The breach ends once the figure was good for `recoverAfter`."]),
    ("ModelDegraded", "warning", "10m", 'max by (namespace, model) (modelops_model_info{phase="Degraded"}) == 1',
     "Model {{ $labels.namespace }}/{{ $labels.model }} has been Degraded for 10 minutes.",
     "The Model does not serve what its spec asks for: a rollout was rolled back or failed, pods do not get ready, or something of the spec cannot be done.",
     ["`kubectl model status {model}` says why and what to do.", "`kubectl model history {model}` shows which rollout failed, and at which gate.",
      "What failed stays down until someone asks for it: `kubectl model retry {model}`, or another version."]),
    ("ModelRolloutPaused", "info", "24h", 'max by (namespace, model) (modelops_model_info{phase="Paused"}) == 1',
     "A rollout of Model {{ $labels.namespace }}/{{ $labels.model }} has waited for a person for a day.",
     "A step pauses without a duration, a gate was inconclusive, somebody paused the rollout and left it, a ModelPolicy wants people's approval, or a freeze is open.",
     ["`kubectl model status {model}` says for whom or what it waits.",
      "At a pause or an inconclusive gate: `kubectl model resume {model}` goes on.",
      "For an approval: `kubectl model approve {model} --role ROLE`, or `kubectl model reject {model} --role ROLE` (docs/governance.md).",
      "In a freeze: it goes on by itself when the window closes. `kubectl model policy explain {model}` shows the windows; who owns the ModelPolicy may change them.",
      "`kubectl model abort {model}` gives all traffic back, in any of these."]),
    ("ModelRetiresSoon", "warning", "5m",
     "max by (namespace, model) (modelops_model_retires_timestamp_seconds) - time() < 7 * 86400",
     "Model {{ $labels.namespace }}/{{ $labels.model }} retires within 7 days, and then serves nobody.",
     "`spec.lifecycle.retireAt` is near. From then on there are no pods and no route.",
     ["See who still calls it: requests by caller at your Gateway, or `model_requests_total`.", "Move them to the successor that `spec.lifecycle.successor` names.",
      "If they need more time: move `retireAt`."]),
    ("ModelReviewOverdue", "info", "1h", "max by (namespace, model) (modelops_model_review_timestamp_seconds) < time()",
     "The review of Model {{ $labels.namespace }}/{{ $labels.model }} is overdue.",
     "`spec.lifecycle.reviewBy` is past.",
     ["Review it: `kubectl model report -n {namespace} > report.html` has what there is to know.", "Then set `spec.lifecycle.reviewBy` to when it is next due."]),
    ("ModelReviewDue", "info", "1h", "max by (namespace, model) (modelops_model_review_timestamp_seconds - time() < 7 * 86400 > 0)",
     "The review of Model {{ $labels.namespace }}/{{ $labels.model }} is due within 7 days.",
     "`spec.lifecycle.reviewBy` is near. Nothing happens by itself then; ModelReviewOverdue follows.",
     ["Review it: `kubectl model report -n {namespace} > report.html` has what there is to know.", "Then set `spec.lifecycle.reviewBy` to when it is next due."]),
    ("ModelEvaluationDue", "info", "10m", "max by (namespace, model) (modelops_model_evaluation_due) == 1",
     "What Model {{ $labels.namespace }}/{{ $labels.model }} serves has to be evaluated anew soon, or it does not meet its ModelPolicies any more.",
     "`maxAge` of a ModelPolicy comes near: a month before, or a quarter of it if that is less. Past it condition `Compliant` is `False` (ModelNotCompliant). What serves goes on serving.",
     ["Condition `Compliant` of the Model says by when, and which policy.", "`kubectl model retrain {model}`, or register a version that was evaluated anew."]),
    ("ModelNotCompliant", "warning", "10m", "min by (namespace, model) (modelops_model_compliant) == 0",
     "Model {{ $labels.namespace }}/{{ $labels.model }} does not meet its ModelPolicies.",
     "Condition `Compliant` is `False`: something that a ModelPolicy requires is missing, or what serves was evaluated too long ago (`maxAge`).",
     ["`kubectl model policy explain {model}` says what each policy demands, and what is missing.",
      "If it is too old: `kubectl model retrain {model}`, or register a version that was evaluated anew.",
      "What serves goes on serving. Rollouts wait under `enforcement: Enforce` until it is mended."]),
    ("ModelServerErrors", "warning", "10m",
     'sum by (namespace, model, version) (rate(model_requests_total{code=~"5.."}[5m])) / sum by (namespace, model, version) (rate(model_requests_total[5m])) > 0.05',
     "Version {{ $labels.version }} of Model {{ $labels.namespace }}/{{ $labels.model }} answers more than 5 % of requests with errors.",
     "The server of that version fails: it is overloaded, its artifact is broken, or something that it needs is away.",
     ["`kubectl logs -n {namespace} -l modelops.dev/version={version} --tail=50` shows what it says.",
      "If it came with a rollout: `kubectl model abort {model}` or `kubectl model rollback {model}`.",
      "A gate on the share of errors would have held it back: docs/rollouts.md."]),
    ("ModelOperatorNotLeading", "critical", "5m", "absent(model_operator_leader == 1)",
     "No model-operator has led for 5 minutes: rollouts stand still, and nothing is rolled back.",
     "What serves goes on serving. But no rollout moves, no gate is asked, and a bad version keeps the share of traffic that it has.",
     ["`kubectl -n model-operator-system get pods,lease` and `kubectl -n model-operator-system logs deploy/model-operator`.",
      "`/readyz` on port 8081 says what it waits for: rights, admission policies, the API server.", "If it runs: Prometheus may not read its metrics (docs/network.md)."]),
    ("ModelOperatorApiErrors", "warning", "15m",
     'sum(rate(model_operator_api_calls_total{code=~"0|429|5.."}[10m])) / sum(rate(model_operator_api_calls_total[10m])) > 0.1',
     "More than 10 % of the operator's requests to the API server fail.",
     "The API server is overloaded or away. The operator tries again and loses nothing, but everything takes longer.",
     ["Look at the API server first: its own alerts, priority and fairness.", "`model_operator_api_calls_total` by verb and resource shows what fails."]),
    ("ModelOperatorQueueStuck", "warning", "15m", "max(min_over_time(model_operator_queue_depth[10m])) > 100",
     "More than 100 Models have waited for the operator for 10 minutes.",
     "It gets more to do than it can, or the API server is slow.",
     ["See the alert ModelOperatorApiErrors, and the dashboard of the operator: time of a request.", "Raise `--workers`, and the container's CPU."]),
    ("ModelOperatorAuditNotExported", "warning", "15m", "max(model_operator_audit_export_oldest_seconds) > 900",
     "Audit records have waited for more than 15 minutes to be exported: their sink refuses them, or is away.",
     "They do not reach the place that `--audit-export` names. Nothing is lost and nothing waits: they stay in ModelAudits, and none of these is deleted. But whoever may delete "
     "ModelAudits now deletes what nobody else has.",
     ["The operator's log says why, once for each reason (`--audit-export:`); `model_operator_audit_export_failures_total` counts by reason.",
      "`unreachable`: the sink is away, its token is wrong, or the disk is full. All records wait.",
      "`refused`: the sink takes these records not (HTTP 400, 409, 413 or 422). Those of one Model wait, and are tried again each ten minutes.",
      "`kubectl get modelaudits -A -o wide`: those without EXPORTED wait."]),
    ("ModelOperatorUnreadableObjects", "warning", "0m", "sum by (kind) (increase(model_operator_unreadable_objects_total[1h])) > 0",
     "The operator passed over objects of kind {{ $labels.kind }} that it could not read.",
     "An object of the API server is not what its CRD says: CRDs of another version are installed, or an object is too large.",
     ["The operator's log names the object.", "Apply the CRDs that belong to this operator: `kubectl apply --server-side -k crds`."]),
]


def panel(number, x, y, title, unit, queries, width, kind):
    targets = [{"refId": chr(65 + i), "datasource": {"type": "prometheus", "uid": "${datasource}"}, "expr": expr,
                **({"legendFormat": legend} if legend else {}), **({"format": "table", "instant": True} if kind == "table" else {})}
               for i, (expr, legend) in enumerate(queries)]
    made = {"id": number, "title": title, "type": kind, "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "gridPos": {"h": 4 if kind == "stat" else 8, "w": width, "x": x, "y": y},
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []}, "targets": targets}
    if kind == "table":
        made["transformations"] = [{"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}]
    return made


def dashboard(uid, title, variables, panels):
    made, x, y, height = [], 0, 0, 0
    for number, (name, unit, queries, width, kind) in enumerate(panels, 1):
        if x + width > 24:
            x, y, height = 0, y + height, 0
        made.append(panel(number, x, y, name, unit, queries, width, kind))
        x, height = x + width, max(height, 4 if kind == "stat" else 8)
    templating = [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
    templating += [{"name": name, "type": "query", "query": query, "datasource": {"type": "prometheus", "uid": "${datasource}"}, "refresh": 2, "sort": 1}
                   for name, query in variables]
    return {"uid": uid, "title": title, "tags": ["modelops"], "schemaVersion": 39, "editable": True, "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"}, "templating": {"list": templating}, "panels": made}


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def rules():
    lines = ["# Made by scripts/observability.py; do not edit by hand. For clusters with the Prometheus Operator; part of no other kustomization:",
             "#   kubectl apply --server-side -k manifests/alerts",
             "apiVersion: monitoring.coreos.com/v1", "kind: PrometheusRule", "metadata:", "  name: model-operator", "  namespace: model-operator-system",
             "  labels:", "    app.kubernetes.io/name: model-operator", "    app.kubernetes.io/component: monitoring",
             "    app.kubernetes.io/part-of: model-operator", "spec:", "  groups:", "  - name: models", "    rules:"]
    for name, severity, wait, expression, sentence, _, _ in ALERTS:
        lines += [f"    - alert: {name}", f"      expr: {quoted(expression)}", f"      for: {wait}", f"      labels: {{severity: {severity}}}",
                  "      annotations:", f"        summary: {quoted(sentence)}", f"        runbook_url: {quoted(RUNBOOKS + '#' + name.lower())}"]
    return "\n".join(lines) + "\n"


def runbooks():
    text = ("# Runbooks\n\nMade by `scripts/observability.py`, which also makes `manifests/alerts` and `manifests/dashboards`; do not edit by hand.\n\n"
            "```\nkubectl apply --server-side -k manifests/alerts        # a PrometheusRule, for the Prometheus Operator\n"
            "kubectl apply --server-side -k manifests/dashboards    # ConfigMaps that Grafana's sidecar finds by the label grafana_dashboard\n```\n\n"
            "Without these operators: load `manifests/dashboards/*.json` into Grafana, and give `spec.groups` of the PrometheusRule to Prometheus as a rule file.\n")
    for name, severity, wait, expression, _, meaning, steps in ALERTS:
        text += f"\n## {name}\n\n{severity}, after {wait}:\n\n```\n{expression}\n```\n\n{meaning}\n\n"
        for step in steps:
            for key in ("model", "namespace", "version"):
                step = step.replace("{" + key + "}", key.upper())
            text += f"- {step}\n"
    return text


KUSTOMIZATION = """\
# Made by scripts/observability.py. Grafana's sidecar finds these by their label:
#   kubectl apply --server-side -k manifests/dashboards
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: model-operator-system
generatorOptions:
  disableNameSuffixHash: true
  labels:
    grafana_dashboard: "1"
    app.kubernetes.io/name: model-operator
    app.kubernetes.io/component: monitoring
    app.kubernetes.io/part-of: model-operator
configMapGenerator:
"""


def files():
    made = {}
    kustomization = KUSTOMIZATION
    for uid, title, variables, panels in (PORTFOLIO, ONE_MODEL, OPERATOR):
        made[f"manifests/dashboards/{uid}.json"] = json.dumps(dashboard(uid, title, variables, panels), indent=1, ensure_ascii=False) + "\n"
        kustomization += f"- {{name: dashboard-{uid}, files: [{uid}.json]}}\n"
    made["manifests/dashboards/kustomization.yaml"] = kustomization
    made["manifests/alerts/prometheusrule.yaml"] = rules()
    made["manifests/alerts/kustomization.yaml"] = ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- prometheusrule.yaml\n")
    made["docs/runbooks.md"] = runbooks()
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, text in files().items():
        path = REPO / name
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if check:
        print(f"stale: {', '.join(stale)}; run scripts/observability.py" if stale else "dashboards, alerts and runbooks are those of scripts/observability.py")
    return 1 if check and stale else 0


sys.exit(main())
