"""Fifty Models of eight teams, as the report should find them: what they are, what became of them, and what Prometheus remembers."""

import datetime
import hashlib
import math
import random

API = "modelops.dev/v1alpha1"
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>"

TEAMS = {
    "payments": ["card-fraud", "wire-fraud", "chargeback-risk", "merchant-risk", "exemption-3ds", "payout-anomaly"],
    "lending": ["credit-score", "income-estimate", "early-arrears", "collections-order", "refinance-offer", "affordability"],
    "retail": ["recommendations", "search-ranking", "price-elasticity", "demand-forecast", "basket-substitutes", "review-sentiment", "size-advice"],
    "marketing": ["churn", "next-best-offer", "uplift", "send-time", "lookalikes", "attribution"],
    "logistics": ["eta", "route-cost", "parcel-volume", "address-match", "damage-detection", "dock-planning"],
    "service": ["ticket-routing", "reply-drafts", "call-summary", "complaint-detection", "language-id", "escalation"],
    "energy": ["load-forecast", "wind-forecast", "grid-anomaly", "battery-dispatch", "price-forecast", "outage-risk"],
    "platform": ["log-anomaly", "capacity-forecast", "spam-filter", "image-moderation", "toxicity", "document-ocr", "entity-linking"],
}
POLICIES = {"high": "What high risk takes.", "medium": "What medium risk takes."}
CLASSES = ["MachineLearning", "MachineLearning", "MachineLearning", "Statistical", "Rules", "Generative"]


def at(**ago):
    return (NOW - datetime.timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class Story:
    def __init__(self):
        self.dice = random.Random(7)
        self.objects = []  # (body, status or None)
        self.samples = {}  # series: [(seconds, value)]
        for number, (team, name) in enumerate((t, n) for t, names in TEAMS.items() for n in names):
            self.model(number, team, name)
        self.objects.extend((policy(*one), None) for one in POLICIES.items())

    # ---- one Model and all that is its own

    def model(self, number, team, name):
        kind = {1: "breached", 3: "degraded", 8: "paused", 14: "waiting", 20: "unowned", 27: "retired", 33: "deprecated", 40: "hostile", 45: "new"}.get(number, "well")
        last = self.dice.randint(2, 6)
        versions = [f"{name}-v{i}" for i in range(1, last + 1)]
        stable = versions[-2] if kind in ("degraded", "paused", "waiting") else versions[-1]
        tier = ("high", "medium", "low")[number % 3]
        given_up = {v for v in versions[1:-1] if v != stable and self.dice.random() < 0.1}
        monitors = self.monitors(team, name, kind, stable)
        spec = {
            "class": CLASSES[number % len(CLASSES)], "riskTier": tier,
            "description": f"{name.replace('-', ' ').capitalize()} for {team}." + (EVIL if kind == "hostile" else ""),
            "version": versions[-1], "serving": {"replicas": 1 + number % 4},
            "lifecycle": {"stage": ("Production", "Production", "Staging", "Development")[number % 4], "reviewBy": at(days=-370 + 10 * number)},
            "monitors": [m for m, _ in monitors],
            "card": {"intendedUse": f"Decides about {name.replace('-', ' ')}.", "limitations": "Trained on data of the last two years.",
                     "businessOwner": f"Head of {team}", "businessValue": "EUR saved a month"},
        }
        if kind != "unowned":
            spec["owner"] = {"team": team, "contact": f"{team}@example.com"}
        if kind == "retired":
            spec["lifecycle"] = {"stage": "Retired"}
        if kind == "deprecated":
            spec["lifecycle"] = {"stage": "Deprecated", "successor": "churn", "retireAt": at(days=-20)}
        phase = {"degraded": "Degraded", "paused": "Paused", "waiting": "Paused", "retired": "Retired", "new": "Pending"}.get(kind, "Ready")
        message = {"degraded": f"gate errors of {versions[-1]} failed: 0.031 is above 0.01; {stable} serves", "paused": f"paused by a person; {stable} serves",
                   "new": f"no pod of {versions[-1]} is ready yet"}.get(kind, f"{stable} serves")
        status = {"phase": phase, "message": message, "lifecycle": {"stage": spec["lifecycle"]["stage"]},
                  "trafficSummary": f"{stable} 100%", "ready": f"{spec['serving']['replicas']}/{spec['serving']['replicas']}",
                  "conditions": [condition("Compliant", "False", f"ModelPolicy {tier}-risk asks for a review, and the last one is too old") if number % 9 == 6 else
                                 condition("Compliant", "True", "all policies are met")] if tier in POLICIES else []}
        if kind != "new":
            status |= {"stableVersion": stable, "stableDigest": digest(stable), "monitors": [s for _, s in monitors]}
        self.put("Model", team, name, spec, status)
        self.versions(team, name, versions, stable, given_up)
        self.rollouts(team, name, versions, stable, kind, tier, given_up)
        if kind not in ("retired", "new"):
            self.deployment(team, name, stable, spec["serving"]["replicas"], number)
        if number % 5 == 1:
            self.put("TrainingRun", team, f"{name}-run-1", {"modelRef": {"name": name}, "trigger": {"name": "drifted", "kind": "Monitor"}},
                     {"phase": "Succeeded", "version": versions[-1], "message": "better than the champion", "finishedAt": at(days=3)})

    def put(self, kind, namespace, name, spec, status=None, labels=None):
        self.objects.append(({"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": labels or {}}, "spec": spec}, status))

    def monitors(self, team, name, kind, stable):
        """[(spec, status)], and what they said in the last week."""
        made = []
        for monitor, about, bound, base, swing in (("drift", "Drift", {"max": "0.2"}, 0.08, 0.03), ("accuracy", "Performance", {"min": "0.9"}, 0.94, 0.015)):
            bad = kind == "breached" and monitor == "drift"
            value = f"{self.history(team, name, monitor, base, swing, kind):.4f}"
            made.append(({"name": monitor, "about": about, **bound, "prometheus": {"query": f"max({monitor})"}},
                         {"name": monitor, "state": "Breached" if bad else "OK", "value": value, "version": stable, "since": at(hours=30 if bad else 90),
                          "lastChecked": at(minutes=4), "message": f"{value} is above 0.2" if bad else ""}))
        if kind == "degraded":
            made[0][1].update(state="NoData", message="no data")
        return made

    def history(self, team, name, monitor, base, swing, kind):
        samples, value, bad = [], base, kind == "breached" and monitor == "drift"
        for minute in range(7 * 24 * 60, -1, -10):
            day = minute / 1440
            value = base + swing * math.sin(day * 2 * math.pi) * 0.6 + self.dice.gauss(0, swing / 4) + (0.17 * (1 - day / 1.5) if bad and day < 1.5 else 0)
            if kind != "new" and not (name == "card-fraud" and 2.2 < day < 3.1):  # a Prometheus that was away
                samples.append((NOW.timestamp() - minute * 60, value))
        self.samples[f'modelops_monitor_value{{namespace="{team}",model="{name}",monitor="{monitor}",version="x"}}'] = samples
        return value

    def versions(self, team, name, versions, stable, given_up):
        for i, version in enumerate(versions):
            served = versions.index(stable) >= i and version not in given_up
            self.put("ModelVersion", team, version, {
                "modelRef": {"name": name}, "artifact": {"uri": f"pvc://models/{version}", "digest": digest(version), "format": {"name": "sklearn"}},
                "metrics": {"accuracy": f"0.9{30 + i}", "f1": f"0.8{70 + i}"},
                "lineage": {"code": {"repository": f"https://git.example.com/{team}/{name}", "revision": hashlib.sha1(version.encode()).hexdigest()},
                            "data": [{"name": f"{team}-2026-{i + 4:02}", "digest": digest(name)}, {"name": "holidays", "digest": digest("holidays")}], "run": {"kind": "Job", "name": f"{version}-train"},
                            **({"parent": versions[i - 1]} if i else {})},
            }, {"phase": "Serving" if version == stable else "Superseded" if served else "Rejected" if version in given_up else "Candidate", "served": served})

    def rollouts(self, team, name, versions, stable, kind, tier, given_up):
        for i, version in enumerate(versions[1:], 1):
            days = (len(versions) - i) * 9 + self.dice.random() * 5 - 7
            days = max(days, 0.2)
            ended = {"phase": "Succeeded", "message": f"{version} serves"}
            back = {"phase": "RolledBack", "message": "gate errors failed: 0.031 is above 0.01",
                    "ending": {"phase": "RolledBack", "reason": "GateFailed", "message": "errors", "at": at(days=days, minutes=20)}}
            if version in given_up:
                ended = back
            elif versions.index(version) > versions.index(stable):
                ended = {"degraded": back,
                         "waiting": {"phase": "Paused", "message": "waits for approval by risk", "approval": {"reason": "AwaitingApproval", "subject": "a" * 64}}}.get(
                             kind, {"phase": "Paused", "message": "paused by a person"})
            over = ended["phase"] in ("Succeeded", "RolledBack")
            failed = ended["phase"] == "RolledBack"
            gates = [{"name": "accuracy", "verdict": "Passed", "value": f"{0.93 + i / 100:.3f}"},
                     {"name": "errors", "verdict": "Failed" if failed else "Passed" if over else "Running", "value": "0.031" if failed else "0.002"}]
            self.put("ModelRollout", team, f"{version}-1", {"modelRef": {"name": name}, "version": version},
                     {**ended, "fromVersion": versions[i - 1], "startedAt": at(days=days + 0.2), "gates": gates, "weights": {"stable": 90, "candidate": 10},
                      "policy": {"gates": [{"name": "accuracy", "min": "0.9"}, {"name": "errors", "max": "0.01"}]}, **({"finishedAt": at(days=days)} if over else {}),
                      **({"governance": {"policies": [{"name": f"{tier}-risk", "uid": tier, "generation": 1}]}} if tier in POLICIES else {})},
                     labels={"modelops.dev/origin": ("spec", "retraining", "kubectl-model")[i % 3]})

    def deployment(self, team, name, version, replicas, number):
        labels = {"app.kubernetes.io/managed-by": "model-operator", "modelops.dev/model": name, "modelops.dev/version": version}
        asked = {"cpu": f"{(number % 5 + 1) * 250}m", "memory": f"{number % 4 + 1}Gi"}
        if number % 7 == 3:
            asked["nvidia.com/gpu"] = 1
        container = {"name": "server", "image": "localhost/server:1", "resources": {"requests": asked, "limits": {k: v for k, v in asked.items() if "/" in k}}}
        if number == 11:
            del container["resources"]
        self.objects.append(({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"{name}-{version}", "namespace": team, "labels": labels},
                              "spec": {"replicas": replicas, "selector": {"matchLabels": {"d": name}},
                                       "template": {"metadata": {"labels": {"d": name}}, "spec": {"containers": [container]}}}}, None))
        for pod in range(replicas):
            where = f'{{namespace="{team}",pod="{name}-{version}-7c9f8d6b5-abc{pod:02}",container="server"}}'
            minutes = range(75, -1, -1)
            rate = (number % 5 + 1) * 0.25 * (0.2 + 0.6 * self.dice.random())
            self.samples["container_cpu_usage_seconds_total" + where] = [(NOW.timestamp() - m * 60, (75 - m) * 60 * rate) for m in minutes]
            self.samples["container_memory_working_set_bytes" + where] = [(NOW.timestamp() - m * 60, (number % 4 + 0.6) * 2**30) for m in minutes]


def condition(kind, status, message):
    return {"type": kind, "status": status, "reason": "Story", "message": message, "lastTransitionTime": at(days=2)}


def policy(tier, description):
    return {"apiVersion": API, "kind": "ModelPolicy", "metadata": {"name": f"{tier}-risk"}, "spec": {"description": description, "appliesTo": {"riskTiers": [tier]}, "enforcement": "Warn"}}


def open_metrics(samples):
    """What promtool makes blocks of."""
    families = {}
    for series, values in samples.items():
        families.setdefault(series.partition("{")[0], []).append((series, values))
    lines = []
    for family, all_series in families.items():
        counter = family.endswith("_total")
        lines.append(f"# TYPE {family.removesuffix('_total')} {'counter' if counter else 'gauge'}")
        for series, values in all_series:
            lines.extend(f"{series} {value:.6g} {seconds:.0f}" for seconds, value in values)
    return "\n".join(lines) + "\n# EOF\n"
