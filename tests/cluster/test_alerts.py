"""The alerts are rules that Prometheus takes, and each fires where it should and not where it should not."""

import json
import re
import subprocess

import pytest
import yaml

from kube import REPO

RULES = yaml.safe_load((REPO / "manifests/alerts/prometheusrule.yaml").read_text())["spec"]["groups"]
ALERTS = {rule["alert"]: rule for group in RULES for rule in group["rules"]}
INFO = 'modelops_model_info{namespace="pay",model="fraud",version="v1",stage="Production",'
CALLS = 'model_operator_api_calls_total{verb="get",resource="models",code='
REQUESTS = 'model_requests_total{namespace="pay",model="fraud",version="v1",code='

# What makes each fire, what does not, and when to look.
CASES = {
    "ModelMonitorBreached": ([('modelops_monitor_breached{namespace="pay",model="fraud",monitor="drift"}', "{}x30", "1", "0")], "5m"),
    "ModelDegraded": ([(INFO + 'phase="Degraded"}', "{}x30", "1", "_")], "15m"),
    "ModelRolloutPaused": ([(INFO + 'phase="Paused"}', "{}x1600", "1", "_")], "25h"),
    "ModelRetiresSoon": ([('modelops_model_retires_timestamp_seconds{namespace="pay",model="fraud"}', "{}x60", "86400", "8640000")], "15m"),
    "ModelReviewOverdue": ([('modelops_model_review_timestamp_seconds{namespace="pay",model="fraud"}', "{}x200", "60", "8640000")], "2h"),
    "ModelReviewDue": ([('modelops_model_review_timestamp_seconds{namespace="pay",model="fraud"}', "{}x200", "86400", "8640000")], "2h"),
    "ModelEvaluationDue": ([('modelops_model_evaluation_due{namespace="pay",model="fraud"}', "{}x30", "1", "0")], "15m"),
    "ModelNotCompliant": ([('modelops_model_compliant{namespace="pay",model="fraud"}', "{}x30", "0", "1")], "15m"),
    "ModelServerErrors": ([(REQUESTS + '"500"}', "0+{}x60", "60", "1"), (REQUESTS + '"200"}', "0+{}x60", "60", "600")], "30m"),
    "ModelOperatorNotLeading": ([('model_operator_leader{pod="a"}', "{}x30", "0", "1")], "10m"),
    "ModelOperatorApiErrors": ([(CALLS + '"500"}', "0+{}x60", "60", "1"), (CALLS + '"200"}', "0+{}x60", "60", "600")], "45m"),
    "ModelOperatorQueueStuck": ([("model_operator_queue_depth", "{}x60", "200", "3")], "45m"),
    "ModelOperatorAuditNotExported": ([("model_operator_audit_export_oldest_seconds", "{}x60", "1200", "30")], "45m"),
    "ModelOperatorUnreadableObjects": ([('model_operator_unreadable_objects_total{kind="Model"}', "{}x60", "0+1", "0+0")], "30m"),
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("alerts") / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": RULES}))
    return path


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules(rules):
    promtool("check", "rules", rules)


def test_every_alert_has_a_case_and_a_runbook():
    assert set(CASES) == set(ALERTS)
    headings = re.findall(r"^## (\w+)$", (REPO / "docs/runbooks.md").read_text(), re.M)
    for name, rule in ALERTS.items():
        assert name in headings
        assert rule["annotations"]["runbook_url"].endswith("#" + name.lower())


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_alert_fires_where_it_should_alone(rules, name, tmp_path):
    series, at = CASES[name]
    labels = {"severity": ALERTS[name]["labels"]["severity"]}
    wanted = set(re.findall(r"\$labels\.(\w+)", ALERTS[name]["annotations"]["summary"]))
    tests = []
    for bad in (True, False):
        inputs = [{"series": what, "values": values.format(yes if bad else no)} for what, values, yes, no in series]
        for label in wanted:
            labels[label] = re.search(rf'\b{label}="([^"]+)"', series[0][0]).group(1)
        summary = ALERTS[name]["annotations"]["summary"]
        for label in wanted:
            summary = summary.replace("{{ $labels.%s }}" % label, labels[label])
        fires = [{"exp_labels": labels, "exp_annotations": {**ALERTS[name]["annotations"], "summary": summary}}] if bad else []
        tests.append({"interval": "1m", "input_series": inputs, "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": fires}]})
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", path)


def queries():
    for path in sorted((REPO / "manifests/dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield panel["title"], target["expr"]


def test_prometheus_understands_the_queries_of_the_dashboards(tmp_path):
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": [{"record": f"q:{i}", "expr": expr} for i, (_, expr) in enumerate(queries())]}]}))
    promtool("check", "rules", path)
