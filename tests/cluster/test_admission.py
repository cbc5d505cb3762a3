"""What the API server refuses, and the words it says so with: the CRDs and admission policies against a real API server."""

import copy
import uuid

import pytest
import yaml

import operators
import settings
from case import API
from kube import ApiError, Kube

DIGEST = "sha256:" + "a" * 64
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"
MODEL = yaml.safe_load("""
apiVersion: modelops.dev/v1alpha1
kind: Model
metadata: {name: fraud}
spec:
  class: MachineLearning
  description: Scores card payments
  owner: {team: payments-ml, contact: payments-ml@example.com}
  riskTier: high
  track: Promoted
  artifact: {uri: "configmap://fraud/model.json", digest: "DIGEST", format: {name: rules, version: "1"}}
  serving: {runtime: {name: rules}, replicas: 3, template: {spec: {anything: [goes, {here: true}]}}}
  rollout:
    strategy: Canary
    steps:
    - gates: [recorded]
    - weight: 10
    - pause: {duration: 5m}
    - gates: [accuracy, latency]
    - weight: 50
    - pause: {}
    gates:
    - name: accuracy
      prometheus: {query: 'model_accuracy{version="{{candidate}}"}'}
      min: "0.92"
      versusStable: {query: 'model_accuracy{version="{{stable}}"}', maxRegression: "0.005"}
      samples: {query: 'model_requests_total{version="{{candidate}}"}', min: 200}
      interval: 10s
      count: 3
      failureLimit: 1
      onInconclusive: Wait
    - name: latency
      prometheus: {query: 'histogram_quantile(0.99, sum by (le) (rate(latency_bucket[1m])))'}
      max: "1e-1"
    - name: recorded
      version: {metric: f1}
      min: "0.9"
      max: "1"
    onFailure: Pause
    progressDeadlineSeconds: 60
  retraining:
    triggers:
    - {name: nightly, schedule: {cron: "0 2 * * *", timeZone: Europe/Berlin}}
    - {name: data, dataset: {configMapKeyRef: {name: fraud-data, key: digest}}}
    requestedAt: "2026-11-22T09:00:00Z"
    limits: {cooldown: 1h, maxPerDay: 24, concurrency: Forbid}
    template: {spec: {template: {spec: {containers: [{name: train, image: trainer}]}}}}
    gates: [recorded]
    onSuccess: Register
""".replace("DIGEST", DIGEST))
VERSION = yaml.safe_load("""
apiVersion: modelops.dev/v1alpha1
kind: ModelVersion
metadata: {name: fraud-v2}
spec:
  modelRef: {name: fraud}
  artifact: {uri: "pvc://models/fraud/2.joblib", digest: "DIGEST", format: {name: sklearn}}
  lineage:
    code: {repository: "https://git.example/fraud", revision: 9fceb02}
    data: [{name: payments-2026-10, digest: "DIGEST", rows: 120000}]
    environment: {image: "trainer@DIGEST"}
    run: {kind: Job, name: fraud-retrain-000042, parameters: {C: "0.1"}, seed: "7"}
    parent: fraud-v1
  metrics: {accuracy: "0.947", loss: "-1.5e-3", f1: ".93"}
""".replace("DIGEST", DIGEST))
ROLLOUT = yaml.safe_load("""
apiVersion: modelops.dev/v1alpha1
kind: ModelRollout
metadata: {name: fraud-to-v2}
spec: {modelRef: {name: fraud}, version: fraud-v2}
""")
RUN = yaml.safe_load("""
apiVersion: modelops.dev/v1alpha1
kind: TrainingRun
metadata: {name: fraud-try}
spec:
  modelRef: {name: fraud}
  trigger: {name: nightly, kind: Schedule}
  parameters: {C: "0.1", learning_rate: "1e-3"}
  seed: 7
  workload: jobsets.jobset.x-k8s.io
  onSuccess: Register
  desiredState: Running
""")
RUNTIME = yaml.safe_load("""
apiVersion: modelops.dev/v1alpha1
kind: ModelRuntime
metadata: {name: admission-test}
spec:
  formats: [{name: admission-test, version: "1"}]
  priority: 10
  port: 8080
  metrics: {port: 8080}
  protocol: v2
  ociArtifacts: ImageVolume
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: server, image: x, env: [{name: A, value: b}]}, {name: sidecar, image: y}], volumes: [{name: tmp, emptyDir: {}}]}
""")
GATE_SET = yaml.safe_load("""
apiVersion: modelops.dev/v1alpha1
kind: ModelGateSet
metadata: {name: shared}
spec:
  description: What every model of ours must pass
  gates:
  - name: accuracy
    prometheus: {query: 'model_accuracy{version="{{candidate}}"}'}
    min: "0.92"
    versusStable: {query: 'model_accuracy{version="{{stable}}"}', maxRegression: "0.005"}
    samples: {query: 'model_requests_total{version="{{candidate}}"}', min: 200}
    count: 3
  - {name: recorded, version: {metric: f1}, min: "0.9"}
  - {name: fairness, job: {template: {spec: {template: {spec: {anything: goes, containers: [{name: c, or: else}]}, labels: x}}}, metric: impact}, min: "0.8"}
  - {name: audit, web: {url: "https://audit.example/{{model}}", path: score}, min: "1"}
  monitors:
  - name: drift
    about: Drift
    prometheus: {query: 'psi{namespace="{{namespace}}", version="{{stable}}"}'}
    samples: {query: 'n{namespace="{{namespace}}"}', min: 100}
    max: "0.2"
    for: 3m
    recoverAfter: 10m
    interval: 1m
    actions: [Alert, Retrain]
""")
CLUSTER_GATE_SET = {**GATE_SET, "kind": "ClusterModelGateSet"}
JOB = {"spec": {"template": {"spec": {"containers": [{"name": "train"}]}}}}
REMOVED = object()


def changed(base, **paths):
    """A copy of `base` with values put at paths such as spec__rollout__gates__0__min; REMOVED takes the field away."""
    out = copy.deepcopy(base)
    for path, value in paths.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("__")]
        at = out
        for part in parents:
            at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
        if value is REMOVED:
            del at[last]
        else:
            at[last] = value
    return out


def model(**paths):
    return changed(MODEL, **paths)


def routed(**paths):
    return changed(model(spec__serving__route={"parentRefs": [{"name": "gw"}]}), **paths)


CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}


def autoscaled(**fields):
    return model(spec__serving={"autoscaling": {"maxReplicas": 3, "metrics": [CPU], **fields}})


def gate(number=0, **fields):
    """The Model with fields of one of its gates (0 accuracy, 1 latency, 2 recorded) changed."""
    return model(**{f"spec__rollout__gates__{number}__{field}": value for field, value in fields.items()})


def with_sets(*sets, **paths):
    """The Model without gates of its own, but with these sets."""
    return model(spec__rollout__gates=REMOVED, spec__rollout__gateSets=list(sets), **paths)


def cron(expression, zone="UTC"):
    return model(spec__retraining__triggers__0__schedule={"cron": expression, "timeZone": zone})


S3_STORE = {"uri": "s3://models/imported", "credentials": {"secretName": "store"}}


def imports(**fields):
    """A trigger that imports from a registry."""
    mlflow = {"url": "https://mlflow.example/base", "model": "fraud", "alias": "champion", "store": {"claimName": "models"}, **fields}
    return {"name": "champion", "registry": {"mlflow": {name: value for name, value in mlflow.items() if value is not REMOVED}}}


CERTAIN = {"query": "x", "maxRegression": "0.05", "samplesQuery": "y", "confidence": "0.95"}


def artifact(**fields):
    return model(**{f"spec__artifact__{field}": value for field, value in fields.items()})


@pytest.fixture(scope="module")
def kube():
    kube = Kube()
    kube.install_crds()
    kube.apply_folder("manifests/admission")
    return kube


@pytest.fixture(scope="module")
def namespace(kube):
    name = "admission-" + uuid.uuid4().hex[:8]
    kube.make_namespace(name)
    yield name
    for model in kube.list("Model", name):  # left by a test that failed, and maybe held
        kube.patch("Model", model["metadata"]["name"], {"metadata": {"finalizers": None}}, name)
    kube.delete("Namespace", name)


def refusal(call, *args, **kwargs):
    """What the API server says against it."""
    with pytest.raises(ApiError) as caught:
        call(*args, **kwargs)
    assert caught.value.code in (400, 403, 422), caught.value
    return caught.value.message


def assert_words(message, words):
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"


GOOD = {
    "everything that a Model can say": MODEL,
    "every stage of training": model(spec__retraining={
        "triggers": [{"name": "a", "schedule": {"cron": "@daily", "startingDeadline": "1h", "jitter": "10m"}}, {"name": "b", "model": {"name": "embeddings"}}],
        "limits": {"concurrency": "Replace", "jobHoursPerDay": "40.5", "deadline": "12h"}, "template": JOB, "validate": {"template": JOB, "gates": ["recorded"]},
        "trials": {"parallelism": 4, "parameters": {"C": ["0.1", "1"], "penalty": ["l1", "l2"]}, "sample": "Random", "count": 3, "objective": {"metric": "f1", "goal": "Minimize"}},
        "evaluate": {"template": JOB, "gates": ["recorded"]}, "retry": {"until": ["recorded"], "attempts": 2, "backoff": "10m"}, "queue": {"kueue": "team-a"}}),
    "data outside of the cluster": model(spec__retraining__triggers=[
        {"name": "page", "dataset": {"http": {"url": "https://data.example:8443/payments?day=1", "every": "30s"}}},
        {"name": "tag", "dataset": {"oci": {"reference": "registry.example:5000/data/payments:latest"}}}]),
    "a registry in the place of training": model(spec__retraining={"triggers": [imports()]}),
    "a registry beside training": model(spec__retraining={"template": JOB, "triggers": [imports(
        every="1h", format={"name": "sklearn", "version": "1"}, size="2Gi", credentials={"secretName": "mlflow"}, model="fraud & co", store={"claimName": "models", "folder": "a/b"})]}),
    "a TrainingRun": RUN,
    "a TrainingRun that says little": changed(RUN, spec={"modelRef": {"name": "fraud"}}),
    "a Model that says nothing yet": model(spec={}),
    "a Model that pins a version": model(spec={"version": "fraud-v2"}),
    "a version that begins with a digit": model(spec={"version": "2-fraud"}),
    "the longest name": model(metadata={"name": "m" * 48}),
    "an artifact behind http": artifact(uri="http://store.example:8080/fraud/2.joblib?versionId=a%20b"),
    "an artifact behind https without a path": artifact(uri="https://store.example"),
    "an artifact behind an address of numbers": artifact(uri="http://[fd00::1]:8080/fraud?a=b@c"),
    "an artifact with a size": artifact(size="500Mi"),
    "an artifact with a size in bytes": artifact(size="104857600"),
    "an artifact with credentials": artifact(uri="https://store.example/2.joblib", credentials={"secretName": "model-store"}),
    "a folder in s3 with a signature": artifact(uri="s3://models/fraud/2%20final.tar.zst", unpack=True, size="2Gi", credentials={"secretName": "store"},
                                                signature={"uri": "s3://models/fraud/2.sig", "publicKey": PUBLIC_KEY}),
    "an artifact by a tag": artifact(uri="oci://registry.example:5000/team/fraud:2.1_x", digest=REMOVED),
    "an artifact in a registry": artifact(uri=f"oci://registry.example:5000/team/fraud@{DIGEST}", credentials={"secretName": "pull"},
                                          signature={"uri": "configmap://signatures/fraud.sig", "publicKey": PUBLIC_KEY}),
    "an archive in a claim": artifact(uri="pvc://models/fraud.tar.gz", unpack=True),
    "a template that takes lists away": model(spec__serving__template={"spec": {"volumes": None, "containers": [{"$patch": "replace"}, {"name": "server"}]}}),
    "an artifact in a claim": artifact(uri="pvc://models/deep/er/..hidden/model_v2.json"),
    "a ConfigMap key with dots": artifact(uri="configmap://fraud.v1/model.v1_2-a.json"),
    "no replicas": model(spec__serving__replicas=0),
    "chosen callers, pods apart from the weight": routed(
        spec__rollout__steps=[{"match": {"headers": [{"name": "x-canary", "value": "1"}, {"name": "X-Team", "value": "a|b", "type": "RegularExpression"}]}},
                              {"candidateReplicas": 2}, {"weight": 10}]),
    "sessions kept by a cookie": routed(spec__serving__route__sessionPersistence={
        "type": "Cookie", "sessionName": "m", "idleTimeout": "10m", "absoluteTimeout": "1h30m", "cookieConfig": {"lifetimeType": "Permanent"}}),
    "sessions kept somehow": routed(spec__serving__route__sessionPersistence={}),
    "a shadow": routed(spec__rollout__strategy="Shadow", spec__rollout__steps=[{"gates": ["accuracy"]}, {"pause": {}}, {"weight": 100}]),
    "autoscaling": model(spec__serving={"autoscaling": {"minReplicas": 2, "maxReplicas": 9, "metrics": [CPU], "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}}),
    "no surge": model(spec__serving__maxSurge=0, spec__rollout__steps=[{"weight": 34}, {"weight": 67}]),
    "config that is not pinned": model(spec__serving__pinConfig=False),
    "artifacts that the kubelet mounts": model(spec__serving__ociArtifacts="ImageVolume"),
    "a rollout without steps": model(spec__rollout={"onFailure": "Rollback"}, spec__retraining__gates=[]),
    "only manual retraining": model(spec__retraining={"template": JOB}),
    "an empty list of triggers": model(spec__retraining__triggers=[]),
    "equal weights": model(spec__rollout__steps=[{"weight": 10}, {"weight": 10}, {"weight": 100}]),
    "min equal to max": gate(2, min="0.90", max=".9"),
    "a negative bound": gate(1, max="-12"),
    "only versusStable": gate(0, min=REMOVED),
    "versusStable at a confidence": gate(0, versusStable=CERTAIN),
    "a version gate with versusStable": gate(2, min=REMOVED, max=REMOVED, versusStable={"maxRegression": "0"}),
    "a PromQL selector of many braces": gate(1, prometheus={"query": 'sum(a{b=~"{x}|y{1,2}",m="{{model}}",n="{{namespace}}"}) / sum(a{})'}),
    "cron: macro": cron("@daily"),
    "cron: lists, ranges, steps, names": cron("*/15,3 8-18/2,20 1,15-20 JAN-mar,12 MON-FRI,7"),
    "cron: double blanks and tabs": cron("0  2\t* * *"),
    "time zone: three parts": cron("0 2 * * *", "America/Argentina/Buenos_Aires"),
    "time zone: signed": cron("0 2 * * *", "Etc/GMT+5"),
    "everything that a ModelVersion can say": VERSION,
    "a ModelVersion of 63 characters": changed(VERSION, metadata={"name": "v" * 63}),
    "a ModelRollout": ROLLOUT,
    "a paused ModelRollout": changed(ROLLOUT, spec__desiredState="Paused"),
    "everything that a ModelRuntime can say": RUNTIME,
    "everything that a ModelGateSet can say": GATE_SET,
    "everything that a ClusterModelGateSet can say": changed(CLUSTER_GATE_SET, spec__gates__0__required=True, spec__monitors__0__required=True),
    "a set of monitors alone": changed(GATE_SET, spec__gates=REMOVED),
    "monitors of sets, and a trigger by one of them": model(spec__monitorSets=[{"name": "shared"}, {"name": "org", "kind": "ClusterModelGateSet"}],
                                                            spec__retraining__triggers__0={"name": "drifted", "monitor": {"name": "drift"}}),
    "a gate that gives its figures time": changed(GATE_SET, spec__gates__0__initialDelay="1m30s", spec__gates__0__inconclusiveLimit=0),
    "a ModelRollout that is asked to go on": changed(ROLLOUT, spec__resumeRequestedAt="2026-11-30T12:00:00.5+01:00"),
    "gates that only sets define": with_sets({"name": "shared"}, {"name": "org", "kind": "ClusterModelGateSet"}),
    "gates of its own and of sets": model(spec__rollout__gateSets=[{"name": "shared"}], spec__rollout__steps__3={"gates": ["accuracy", "elsewhere"]},
                                          spec__rollout__bake={"duration": "1m", "gates": ["elsewhere"]},
                                          spec__rollout__steps__5={"background": ["elsewhere"]}, spec__retraining__gates=["elsewhere"]),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_is_accepted(kube, namespace, name):
    kube.create(GOOD[name], namespace, dry_run=True)


BAD = {
    # wrong types and unknown fields
    "replicas as text": (model(spec__serving__replicas="three"), ["spec.serving.replicas", "integer"]),
    "replicas below zero": (model(spec__serving__replicas=-1), ["spec.serving.replicas", "greater than or equal to 0"]),
    "more replicas than any cluster has": (model(spec__serving__replicas=100_001), ["spec.serving.replicas", "less than or equal to 100000"]),
    "a surge beyond all bounds": (model(spec__serving__maxSurge=2**31 - 1), ["spec.serving.maxSurge", "less than or equal to 100000"]),
    "a threshold as a number": (gate(0, min=0.92), ["spec.rollout.gates[0].min", "string"]),
    "steps as text": (model(spec__rollout__steps="10, 50"), ["spec.rollout.steps", "array"]),
    "an unknown field": (model(spec__replicas=3), ['unknown field "spec.replicas"']),
    "an unknown field deep down": (gate(0, minimum="0.9"), ['unknown field "spec.rollout.gates[0].minimum"']),
    "an autoscaler without metrics": (model(spec__serving__autoscaling={"maxReplicas": 3}), ["spec.serving.autoscaling", "without metrics", "at least one"]),
    "an autoscaler with no metric": (autoscaled(metrics=[]), ["spec.serving.autoscaling", "without metrics", "at least one"]),
    "an autoscaler without an end": (model(spec__serving__autoscaling={"metrics": [CPU]}), ["spec.serving.autoscaling.maxReplicas", "Required value"]),
    "an autoscaler upside down": (autoscaled(minReplicas=5), ["spec.serving.autoscaling", "minReplicas is greater than maxReplicas", "swap"]),
    "an autoscaler down to nothing": (autoscaled(minReplicas=0), ["spec.serving.autoscaling.minReplicas", "greater than or equal to 1"]),
    "an unknown kind of metric": (autoscaled(metrics=[{"type": "Magic"}]), ["spec.serving.autoscaling.metrics[0].type", "Resource", "External"]),
    "a surge below zero": (model(spec__serving__maxSurge=-1), ["spec.serving.maxSurge", "greater than or equal to 0"]),
    "a surge with a route": (model(spec__serving={"maxSurge": 0, "route": {"parentRefs": [{"name": "gw"}]}}),
                             ["spec.serving.maxSurge", "with a route the old version keeps all its pods", "remove"]),
    "a surge with BlueGreen": (model(spec__serving__maxSurge=1, spec__rollout__strategy="BlueGreen", spec__rollout__steps=[{"weight": 100}]),
                               ["spec.serving.maxSurge", "BlueGreen needs room for both", "choose Canary"]),
    "a surge with warm versions": (model(spec__serving__maxSurge=0, spec__rollout__keepWarm=1), ["spec.serving.maxSurge", "kept warm", "remove keepWarm or maxSurge"]),
    "a Deployment to adopt without a name": (model(spec__serving__adopt={}), ["spec.serving.adopt.name", "Required value"]),
    "a Deployment to adopt of no name": (model(spec__serving__adopt={"name": ""}), ["spec.serving.adopt.name", "at least 1"]),
    "an unknown class": (model(spec__class="Magic"), ["spec.class", "MachineLearning", "Generative"]),
    "an unknown track": (model(spec__track="Loose"), ["spec.track", "Pinned", "Promoted"]),
    "an unknown strategy": (model(spec__rollout__strategy="Rolling"), ["spec.rollout.strategy", "Canary"]),
    "an unknown onFailure": (model(spec__rollout__onFailure="Cry"), ["spec.rollout.onFailure", "Rollback", "Pause"]),
    "no spec": (model(spec=REMOVED), ["spec", "Required value"]),
    "a tier of two words": (model(spec__riskTier="very high"), ["spec.riskTier", "lower case word"]),
    # names
    "a Model's name too long": (model(metadata={"name": "m" * 49}), ["metadata.name", "at most 48 characters", "choose another name"]),
    "a Model's name with a dot": (model(metadata={"name": "fraud.v1"}), ["metadata.name", "lower case letters"]),
    "a Model's name with a digit first": (model(metadata={"name": "1fraud"}), ["metadata.name", "beginning with a letter"]),
    "a version's name that cannot be": (model(spec={"version": "Fraud_V2"}), ["spec.version", "name of a ModelVersion"]),
    # what serves
    "version and artifact": (model(spec__version="fraud-v1"), ["version and artifact are both set", "remove"]),
    "a store that is not supported": (artifact(uri="gs://bucket/model"), ["spec.artifact.uri", "gs://bucket/model", "configmap://name/key, pvc://claim/path"]),
    "s3 without credentials": (artifact(uri="s3://bucket/model"), ["spec.artifact", "needs credentials", "AWS_ACCESS_KEY_ID"]),
    "s3 without a key": (artifact(uri="s3://bucket/", credentials={"secretName": "s"}), ["spec.artifact.uri", "s3://bucket/key"]),
    "oci of another digest": (artifact(uri="oci://registry.example/fraud@sha256:" + "e" * 64), ["spec.artifact", "digest must be the one that uri names"]),
    "oci to be unpacked": (artifact(uri=f"oci://registry.example/fraud@{DIGEST}", digest=DIGEST, unpack=True), ["spec.artifact", "remove unpack"]),
    "a signature without a key": (artifact(signature={"uri": "configmap://a/b"}), ["spec.artifact.signature.publicKey", "Required value"]),
    "a signature of no key": (artifact(signature={"uri": "configmap://a/b", "publicKey": "ssh-rsa AAAA"}), ["spec.artifact.signature.publicKey", "BEGIN PUBLIC KEY"]),
    "a signature in a registry": (artifact(signature={"uri": "oci://a/b", "publicKey": PUBLIC_KEY}), ["spec.artifact.signature.uri", "must be configmap://name/key"]),
    "a signature in s3 alone": (artifact(signature={"uri": "s3://bucket/sig", "publicKey": PUBLIC_KEY}), ["spec.artifact", "goes with an artifact in s3://"]),
    "a uri without a scheme": (artifact(uri="/models/fraud"), ["spec.artifact.uri", "is not supported"]),
    "a ConfigMap without a key": (artifact(uri="configmap://fraud"), ["spec.artifact.uri", "configmap://name/key"]),
    "a key with a slash": (artifact(uri="configmap://fraud/a/b"), ["spec.artifact.uri", "configmap://name/key"]),
    "a path out of the claim": (artifact(uri="pvc://models/../../etc/passwd"), ["spec.artifact.uri", '".."']),
    "a blank in a uri": (artifact(uri="https://store.example/a b"), ["spec.artifact.uri", "is not supported"]),
    "a password in a uri": (artifact(uri="https://jane:pass@store.example/a"), ["spec.artifact.uri", "without user name and password", "name it in credentials"]),
    "a user in a uri": (artifact(uri="http://token@store.example"), ["spec.artifact.uri", "without user name and password"]),
    "a uri with a strange port": (artifact(uri="https://store.example:pass/word@host/a"), ["spec.artifact.uri", "http(s)://host:port/path"]),
    "credentials for http": (artifact(uri="http://store.example/a", credentials={"secretName": "s"}), ["spec.artifact", "https://, s3:// and oci:// addresses alone"]),
    "credentials for a claim": (artifact(uri="pvc://models/a", credentials={"secretName": "s"}), ["spec.artifact", "https://, s3:// and oci:// addresses alone"]),
    "credentials without a Secret": (artifact(uri="https://store.example/a", credentials={}), ["spec.artifact.credentials.secretName", "Required value"]),
    "credentials of no name": (artifact(uri="https://store.example/a", credentials={"secretName": "A_b"}), ["spec.artifact.credentials.secretName", "name of a Secret"]),
    "a size of words": (artifact(size="much"), ["spec.artifact.size", "500Mi"]),
    "a size of nothing": (artifact(size="0"), ["spec.artifact.size", "whole number of bytes"]),
    "a size of parts": (artifact(size="1.5Gi"), ["spec.artifact.size", "whole number of bytes"]),
    "a size beyond all": (artifact(size="99999999Ti"), ["spec.artifact.size", "whole number of bytes"]),
    "a template's containers as a number": (model(spec__serving__template={"spec": {"containers": 3}}), ["spec.serving.template.spec.containers", "must be of type array"]),
    "a template's containers as texts": (model(spec__serving__template={"spec": {"containers": ["server"]}}), ["spec.serving.template.spec.containers[0]", "must be of type object"]),
    "a template's metadata as a text": (model(spec__serving__template={"metadata": "x"}), ["spec.serving.template.metadata", "must be of type object"]),
    "a template of too many volumes": (model(spec__serving__template={"spec": {"volumes": [{"name": f"v{i}"} for i in range(257)]}}),
                                       ["spec.serving.template.spec.volumes", "at most 256 items"]),
    "a short digest": (artifact(digest="sha256:abc"), ["spec.artifact.digest", "64 lower case hexadecimal digits"]),
    "a digest in capitals": (artifact(digest="sha256:" + "A" * 64), ["spec.artifact.digest", "64 lower case"]),
    "another digest": (artifact(digest="md5:" + "a" * 32), ["spec.artifact.digest", "sha256:"]),
    "no digest": (artifact(digest=REMOVED), ["spec.artifact", "digest is required; only an oci:// address with a tag needs none"]),
    "a digest without one in the uri": (artifact(uri="oci://registry.example/fraud@sha256:" + "e" * 64, digest=REMOVED), ["spec.artifact", "digest is required"]),
    "a tag and a digest": (artifact(uri="oci://registry.example/fraud:2"), ["spec.artifact", "remove digest from an address by a tag"]),
    # steps
    "an empty list of steps": (model(spec__rollout__steps=[]), ["spec.rollout.steps", "empty", "remove steps"]),
    "an empty step": (model(spec__rollout__steps__0={}), ["spec.rollout.steps[0]", "exactly one of weight, pause, gates, background, match and candidateReplicas"]),
    "a step of two": (model(spec__rollout__steps__0={"weight": 5, "pause": {}}), ["spec.rollout.steps[0]", "exactly one of", "its own step"]),
    "weight 0": (model(spec__rollout__steps__1={"weight": 0}), ["spec.rollout.steps[1].weight", "greater than or equal to 1"]),
    "weight 101": (model(spec__rollout__steps__4={"weight": 101}), ["spec.rollout.steps[4].weight", "less than or equal to 100"]),
    "falling weights": (model(spec__rollout__steps__4={"weight": 5}), ["spec.rollout.steps", "go down", "rising order"]),
    "chosen callers without a route": (model(spec__rollout__steps__1={"match": {"headers": [{"name": "x-canary", "value": "1"}]}}),
                                       ["spec.rollout.steps", "match and candidateReplicas need serving.route"]),
    "pods apart from the weight without a route": (model(spec__rollout__steps__1={"candidateReplicas": 2}),
                                                   ["spec.rollout.steps", "need serving.route"]),
    "no pods for a candidate": (routed(spec__rollout__steps__1={"candidateReplicas": 0}), ["candidateReplicas", "greater than or equal to 1"]),
    "a header of no name": (routed(spec__rollout__steps__1={"match": {"headers": [{"name": "x canary", "value": "1"}]}}),
                            ["headers[0].name", '"x canary" is no name of an HTTP header']),
    "no header to match": (routed(spec__rollout__steps__1={"match": {"headers": []}}), ["match.headers", "at least 1"]),
    "chosen callers and Recreate": (routed(spec__rollout__strategy="Recreate", spec__rollout__steps=[{"match": {"headers": [{"name": "x", "value": "1"}]}}]),
                                    ["spec.rollout", "remove match and candidateReplicas"]),
    "sessions kept by a header that is a cookie": (routed(spec__serving__route__sessionPersistence={"type": "Header", "cookieConfig": {"lifetimeType": "Session"}}),
                                                   ["sessionPersistence", "a header has no cookieConfig"]),
    "a permanent cookie without an end": (routed(spec__serving__route__sessionPersistence={"cookieConfig": {"lifetimeType": "Permanent"}}),
                                          ["sessionPersistence", "set absoluteTimeout"]),
    "a session of no length": (routed(spec__serving__route__sessionPersistence={"idleTimeout": "ten minutes"}), ["idleTimeout"]),
    "a shadow without a route": (model(spec__rollout__strategy="Shadow", spec__rollout__steps=[{"pause": {}}]),
                                 ["spec.rollout.strategy", "Shadow needs serving.route"]),
    "a shadow with a share": (routed(spec__rollout__strategy="Shadow", spec__rollout__steps=[{"weight": 10}]),
                              ["spec.rollout", "Shadow does not share traffic"]),
    "a pause of no duration": (model(spec__rollout__steps__2={"pause": {"duration": "5 minutes"}}),
                               ["spec.rollout.steps[2].pause.duration", '"5 minutes" is no duration', "5m"]),
    "a negative pause": (model(spec__rollout__steps__2={"pause": {"duration": "-5m"}}), ["pause.duration", "is no duration"]),
    "a pause of a lifetime": (model(spec__rollout__steps__2={"pause": {"duration": "999999h"}}), ["pause.duration", "at most ten years"]),
    "a gate that is not defined": (model(spec__rollout__steps__3={"gates": ["accuracy", "fairness"]}),
                                   ["spec.rollout", 'gate "fairness"', "not defined", "define it there"]),
    "gates in steps but none defined": (model(spec__rollout__gates=REMOVED, spec__retraining=REMOVED), ['gate "recorded"', "not defined"]),
    "a step that waits for no gates": (model(spec__rollout__steps__3={"gates": []}), ["spec.rollout.steps[3].gates", "at least 1"]),
    "a gate twice in a step": (model(spec__rollout__steps__3={"gates": ["latency", "latency"]}), ["spec.rollout.steps[3].gates[1]", "Duplicate"]),
    # gates
    "two gates of one name": (gate(1, name="accuracy"), ["spec.rollout.gates[1]", "Duplicate"]),
    "a gate without a source": (gate(1, prometheus=REMOVED), ['gate "latency"', "one of prometheus, version, job and web"]),
    "a gate with two sources": (gate(1, version={"metric": "f1"}), ['gate "latency"', "one of prometheus, version, job and web"]),
    "a gate without a bound": (gate(1, max=REMOVED), ['gate "latency"', "no bound", "min, max or versusStable"]),
    "a threshold that is no decimal": (gate(0, min="high"), ["spec.rollout.gates[0].min", '"high" must be a decimal such as "0.92"']),
    "a threshold with a comma": (gate(0, min="0,92"), ["must be a decimal"]),
    "a threshold in percent": (gate(1, max="5%"), ["spec.rollout.gates[1].max", "must be a decimal"]),
    "a threshold NaN": (gate(0, min="NaN"), ["must be a decimal"]),
    "a threshold without end": (gate(1, max="1e31"), ["must be a decimal"]),
    "an empty threshold": (gate(0, min=""), ["must be a decimal"]),
    "min above max": (gate(2, min="1.1"), ['gate "recorded"', "min 1.1 greater than max 1"]),
    "a regression below zero": (gate(0, versusStable={"query": "x", "maxRegression": "-0.1"}), ["maxRegression", "zero or more"]),
    "versusStable without a query": (gate(0, versusStable={"maxRegression": "0.1"}), ['gate "accuracy"', "needs versusStable.query"]),
    "a confidence without stable's samples": (gate(0, versusStable={"query": "x", "maxRegression": "0.1", "confidence": "0.95"}),
                                              ["spec.rollout.gates[0].versusStable", "confidence and samplesQuery", "go together"]),
    "stable's samples without a confidence": (gate(0, versusStable={"query": "x", "maxRegression": "0.1", "samplesQuery": "y"}), ["confidence and samplesQuery", "go together"]),
    "a confidence without the candidate's samples": (gate(1, versusStable=CERTAIN), ['gate "latency"', "asks for a confidence, so it needs samples"]),
    "a confidence of no table": (gate(0, versusStable={**CERTAIN, "confidence": "0.96"}), ["gates[0].versusStable.confidence", '"0.96"', '"0.95"', '"0.99"']),
    "a confidence in percent": (gate(0, versusStable={**CERTAIN, "confidence": "95%"}), ["gates[0].versusStable.confidence", "supported values"]),
    "a confidence that is a number": (gate(0, versusStable={**CERTAIN, "confidence": 0.95}), ["gates[0].versusStable.confidence", "must be of type string"]),
    "a share that may be worse by 100 %": (gate(0, versusStable={**CERTAIN, "maxRegression": "1"}), ["shares between 0 and 1", "lower it"]),
    "an unknown placeholder in stable's samples": (gate(0, versusStable={**CERTAIN, "samplesQuery": "x{{stabel}}"}), ["versusStable.samplesQuery", "placeholder"]),
    "a version gate with a confidence": (gate(2, versusStable={"maxRegression": "0", "samplesQuery": "y", "confidence": "0.95"}), ['gate "recorded"', "no number of samples is known"]),
    "versusStable without maxRegression": (gate(0, versusStable={"query": "x"}), ["versusStable.maxRegression", "Required value"]),
    "a version gate with a query": (gate(2, versusStable={"query": "x", "maxRegression": "0"}), ['gate "recorded"', "remove versusStable.query"]),
    "a version gate with samples": (gate(2, samples={"query": "x", "min": 1}), ['gate "recorded"', "remove samples"]),
    "an empty query": (gate(1, prometheus={"query": ""}), ["prometheus.query", "at least 1"]),
    "an unknown placeholder": (gate(1, prometheus={"query": 'x{v="{{candiate}}"}'}), ["prometheus.query", "placeholder", "{{candidate}}"]),
    "an interval below a second": (gate(0, interval="500ms"), ["gates[0].interval", '"500ms"', "at least one second"]),
    "count 0": (gate(0, count=0), ["gates[0].count", "greater than or equal to 1"]),
    "failureLimit -1": (gate(0, failureLimit=-1), ["gates[0].failureLimit", "greater than or equal to 0"]),
    "an unknown onInconclusive": (gate(0, onInconclusive="Shrug"), ["gates[0].onInconclusive", "Pause", "Wait", "Fail"]),
    "a deadline of 0": (model(spec__rollout__progressDeadlineSeconds=0), ["progressDeadlineSeconds", "greater than or equal to 1"]),
    # gate sets
    "no gate sets, and a gate that is not defined": (with_sets(), ['gate "recorded"', "not defined", "define it there"]),
    "no gate sets, and a bake's gate that is not defined": (with_sets(spec__rollout__steps=REMOVED, spec__retraining=REMOVED,
                                                                      spec__rollout__bake={"duration": "1m", "gates": ["x"]}), ['gate "x"', "not defined"]),
    "a gate set without a name": (with_sets({"kind": "ModelGateSet"}), ["spec.rollout.gateSets[0].name", "Required value"]),
    "a gate set of another kind": (with_sets({"name": "a", "kind": "ConfigMap"}), ["spec.rollout.gateSets[0].kind", "ModelGateSet", "ClusterModelGateSet"]),
    "an empty set": (changed(GATE_SET, spec__gates=REMOVED, spec__monitors=REMOVED), ["the set is empty"]),
    "a required monitor of a ModelGateSet": (changed(GATE_SET, spec__monitors__0__required=True), ['monitor "drift" is required', "ClusterModelGateSet"]),
    "a candidate's figure in a set's monitor": (changed(GATE_SET, spec__monitors__0__prometheus__query='x{version="{{candidate}}"}'), ["placeholder that is not known"]),
    "a trigger by a monitor that is nowhere": (model(spec__retraining__triggers__0={"name": "drifted", "monitor": {"name": "drift"}}), ["names a monitor"]),
    "nine sets of monitors": (model(spec__monitorSets=[{"name": f"a{i}"} for i in range(9)]), ["spec.monitorSets", "at most 8"]),
    "nine gate sets": (with_sets(*({"name": f"a{i}"} for i in range(9))), ["spec.rollout.gateSets", "at most 8"]),
    "own gates without a record in retraining, beside sets": (
        model(spec__rollout__gateSets=[{"name": "shared"}], spec__retraining__gates=["latency"]), ['gate "latency" reads no recorded metric']),
    "a ModelGateSet without gates and monitors": (changed(GATE_SET, spec__gates=REMOVED, spec__monitors=REMOVED), ["the set is empty; give it gates, monitors or both"]),
    "a ModelGateSet with two gates of one name": (changed(GATE_SET, spec__gates__1__name="accuracy"), ["spec.gates[1]", "Duplicate"]),
    "a ModelGateSet's gate without a bound": (changed(GATE_SET, spec__gates__1__min=REMOVED), ["spec.gates[1]", 'gate "recorded"', "no bound"]),
    "a ModelGateSet's gate with two sources": (changed(GATE_SET, spec__gates__0__version={"metric": "x"}), ["spec.gates[0]", "one of prometheus, version, job and web"]),
    "a Model's gate that is required": (model(spec__rollout__gates__0__required=True), ["spec.rollout.gates[0]", "only a gate of a ClusterModelGateSet can be"]),
    "a ModelGateSet's gate that is required": (changed(GATE_SET, spec__gates__0__required=True), ["spec.gates[0]", "only a gate of a ClusterModelGateSet can be"]),
    "a required gate without consequences": (changed(CLUSTER_GATE_SET, spec__gates__0__required=True, spec__gates__0__dryRun=True),
                                             ["spec.gates[0]", "remove required or dryRun"]),
    "a gate that begins some time": (changed(GATE_SET, spec__gates__0__initialDelay="soon"), ["initialDelay", '"soon" must be a duration']),
    "a gate that tolerates less than nothing": (changed(GATE_SET, spec__gates__0__inconclusiveLimit=-1), ["inconclusiveLimit", "greater than or equal to 0"]),
    "a ModelRollout to go on at no time": (changed(ROLLOUT, spec__resumeRequestedAt="now"), ["spec.resumeRequestedAt", "date-time"]),
    "a ModelGateSet with a step": (changed(GATE_SET, spec__steps=[]), ['unknown field "spec.steps"']),
    "a ClusterModelGateSet's threshold in percent": (changed(CLUSTER_GATE_SET, spec__gates__0__min="92%"), ["spec.gates[0].min", "must be a decimal"]),
    "a ClusterModelGateSet's unknown placeholder": (changed(CLUSTER_GATE_SET, spec__gates__0__prometheus={"query": "{{version}}"}), ["placeholder", "{{candidate}}"]),
    # retraining
    "a parameter that is no variable": (changed(RUN, spec__parameters={"a b": "1"}), ["spec.parameters", "environment variable"]),
    "parameters that differ by case": (changed(RUN, spec__parameters={"C": "1", "c": "2"}), ["spec.parameters", "same environment variable"]),
    "a TrainingRun in no state": (changed(RUN, spec__desiredState="Paused"), ["spec.desiredState", "Running", "Cancelled"]),
    "a TrainingRun by Jobs of a name": (changed(RUN, spec__workload="jobs"), ["spec.workload", "such as jobsets.jobset.x-k8s.io"]),
    "a TrainingRun of nothing": (changed(RUN, spec__modelRef=REMOVED), ["spec.modelRef", "Required value"]),
    "trials without an objective": (model(spec__retraining__trials={"parameters": {"C": ["1"]}}), ["trials.objective", "Required value"]),
    "a grid with a count": (model(spec__retraining__trials={"parameters": {"C": ["1"]}, "count": 2, "objective": {"metric": "f1"}}), ["trials.count", "set count and Random together"]),
    "a stage's gate that is not defined": (model(spec__retraining__evaluate={"template": JOB, "gates": ["fairness"]}), ["spec.retraining", "evaluate and retry may name only gates"]),
    "a stage's gate that asks Prometheus": (model(spec__retraining__retry={"until": ["latency"]}), ["spec.retraining", "only gates of the kind version"]),
    "hours of no number": (model(spec__retraining__limits={"jobHoursPerDay": "all"}), ["jobHoursPerDay", '"all" must be a decimal']),
    "a training Job without a container": (model(spec__retraining__template={"spec": {"template": {"spec": {"containers": []}}}}),
                                           ["spec.retraining.template.spec.template.spec.containers", "at least 1"]),
    "a training Job without pods": (model(spec__retraining__template={}), ["spec.retraining.template.spec", "Required value"]),
    "a gate's Job without a container": (changed(GATE_SET, spec__gates__2__job__template={"spec": {"template": {"spec": {}}}}),
                                         ["spec.gates[2].job.template.spec.template.spec.containers", "Required value"]),
    "a web gate with a password": (changed(GATE_SET, spec__gates__3__web__url="https://me:secret@audit.example/"), ["web.url", "user name or password"]),
    "a web gate with a host that is none": (changed(GATE_SET, spec__gates__3__web__url="https://a\\b/"), ["web.url", "http:// or https://"]),
    "retraining without a template": (model(spec__retraining__template=REMOVED), ["spec.retraining", "must hold a template or a workload that trains, or a trigger of kind registry"]),
    "trials without a template": (model(spec__retraining={"triggers": [imports()], "trials": {"parameters": {"C": ["1"]}, "objective": {"metric": "f1"}}}),
                                  ["spec.retraining", "trials and retry are for training"]),
    "two registries": (model(spec__retraining={"triggers": [imports(), {**imports(), "name": "other"}]}), ["at most one trigger may be of kind registry"]),
    "a registry's address with a query": (model(spec__retraining={"triggers": [imports(url="https://mlflow.example/?a=b")]}), ["mlflow.url", "without user name, password and query"]),
    "a registry's credentials by http": (model(spec__retraining={"triggers": [imports(url="http://mlflow.example", credentials={"secretName": "s"})]}),
                                         ["registry.mlflow", "credentials are sent to https:// addresses alone"]),
    "a registered model of no name": (model(spec__retraining={"triggers": [imports(model="a/b")]}), ["mlflow.model", "name of a registered model"]),
    "a mirror that the Model would follow": (model(spec__retraining={"triggers": [imports(mirror={"servingAlias": "champion"})]}),
                                             ["registry.mlflow", "must be another alias than the one that is followed"]),
    "a mirror by an alias that MLflow has for itself": (model(spec__retraining={"triggers": [imports(mirror={"servingAlias": "v1"})]}),
                                                        ["mirror.servingAlias", "MLflow takes neither latest nor v1"]),
    "an alias of several words": (model(spec__retraining={"triggers": [imports(alias="the champion")]}), ["mlflow.alias", "must be an alias"]),
    "a store's folder that leads out": (model(spec__retraining={"triggers": [imports(store={"claimName": "models", "folder": "../x"})]}), ["store.folder", "joined by"]),
    "a store that is a claim and a bucket": (model(spec__retraining={"triggers": [imports(store={"claimName": "models", **S3_STORE})]}), ["mlflow.store", "exactly one of claimName and uri"]),
    "a bucket without keys": (model(spec__retraining={"triggers": [imports(store={"uri": "s3://models"})]}), ["mlflow.store", "an s3:// address needs them"]),
    "a bucket with a folder": (model(spec__retraining={"triggers": [imports(store={"folder": "x", **S3_STORE})]}), ["mlflow.store", "folder is of a claim"]),
    "a bucket of another kind": (model(spec__retraining={"triggers": [imports(store={**S3_STORE, "uri": "gs://models"})]}), ["store.uri", "must be s3://bucket"]),
    "a registry without a store": (model(spec__retraining={"triggers": [imports(store=REMOVED)]}), ["mlflow.store", "Required value"]),
    "data asked for each second": (model(spec__retraining__triggers__0={"name": "a", "dataset": {"http": {"url": "https://data.example", "every": "1s"}}}),
                                   ["http.every", '"1s" must be a duration of at least 30s']),
    "data of two kinds": (model(spec__retraining__triggers__0={"name": "a", "dataset": {"http": {"url": "https://data.example"}, "configMapKeyRef": {"name": "a", "key": "b"}}}),
                          ["triggers[0].dataset", "exactly one of configMapKeyRef, http and oci"]),
    "data behind a password": (model(spec__retraining__triggers__0={"name": "a", "dataset": {"http": {"url": "https://me:secret@data.example/"}}}), ["http.url", "user name or password"]),
    "a tag that is a digest": (model(spec__retraining__triggers__0={"name": "a", "dataset": {"oci": {"reference": "registry.example/data@" + DIGEST}}}),
                               ["oci.reference", "must be registry/repository:tag"]),
    "retraining with a gate that is not defined": (model(spec__retraining__gates=["fairness"]), ["spec.retraining.gates", 'gate "fairness"', "not defined"]),
    "retraining with a gate without a rollout": (model(spec__rollout=REMOVED), ["spec.retraining.gates", 'gate "recorded"', "not defined"]),
    "retraining with a gate that asks Prometheus": (model(spec__retraining__gates=["latency"]),
                                                    ["spec.retraining.gates", 'gate "latency" reads no recorded metric', "kind version"]),
    "a trigger of nothing": (model(spec__retraining__triggers__0={"name": "nightly"}), ['trigger "nightly"', "exactly one of schedule, dataset, monitor, model and registry"]),
    "a trigger of both": (model(spec__retraining__triggers__0__dataset={"configMapKeyRef": {"name": "a", "key": "b"}}),
                          ['trigger "nightly"', "exactly one of"]),
    "two triggers of one name": (model(spec__retraining__triggers__1__name="nightly"), ["spec.retraining.triggers[1]", "Duplicate"]),
    "a trigger named requested": (model(spec__retraining__triggers__0__name="requested"), ["triggers[0].name", '"requested"']),
    "a request at no time": (model(spec__retraining__requestedAt="tomorrow"), ["spec.retraining.requestedAt", "date-time"]),
    "a cooldown of no duration": (model(spec__retraining__limits={"cooldown": "1 day"}), ["limits.cooldown", '"1 day" is no duration']),
    "maxPerDay 0": (model(spec__retraining__limits={"maxPerDay": 0}), ["limits.maxPerDay", "greater than or equal to 1"]),
    "concurrency Allow": (model(spec__retraining__limits={"concurrency": "Allow"}), ["limits.concurrency", "Forbid"]),
    "onSuccess Deploy": (model(spec__retraining__onSuccess="Deploy"), ["spec.retraining.onSuccess", "Rollout", "Register"]),
    "cron: four fields": (cron("0 2 * *"), ["schedule.cron", "five fields", "0 2 * * *"]),
    "cron: six fields": (cron("0 0 2 * * *"), ["schedule.cron", "five fields"]),
    "cron: words": (cron("every night"), ["schedule.cron", "five fields"]),
    "cron: empty": (cron(""), ["schedule.cron", "five fields"]),
    "cron: with a zone": (cron("CRON_TZ=UTC 0 2 * * *"), ["schedule.cron", "timeZone"]),
    "cron: unknown macro": (cron("@every 5m"), ["schedule.cron", '"@every 5m"', "@daily"]),
    "cron: minute 60": (cron("60 2 * * *"), ["the minute (first field)", "0 to 59"]),
    "cron: step 0": (cron("*/0 2 * * *"), ["the minute (first field)"]),
    "cron: hour 24": (cron("0 24 * * *"), ["the hour (second field)", "0 to 23"]),
    "cron: day 32": (cron("0 2 32 * *"), ["the day of the month (third field)", "1 to 31"]),
    "cron: day 0": (cron("0 2 0 * *"), ["the day of the month (third field)", "1 to 31"]),
    "cron: month 13": (cron("0 2 * 13 *"), ["the month (fourth field)", "1 to 12"]),
    "cron: month FOO": (cron("0 2 * FOO *"), ["the names in", "JAN to DEC"]),
    "cron: weekday 8": (cron("0 2 * * 8"), ["the day of the week (fifth field)", "0 to 7"]),
    "cron: weekday XYZ": (cron("0 2 * * MON,XYZ"), ["the names in", "SUN to SAT"]),
    "cron: dangling comma": (cron("0, 2 * * *"), ["the minute (first field)"]),
    "time zone: none such": (cron("0 2 * * *", "Mars/Olympus"), ["schedule.timeZone", "Mars/Olympus", "IANA"]),
    "time zone: offset": (cron("0 2 * * *", "+02:00"), ["schedule.timeZone", "IANA"]),
    "time zone: Local": (cron("0 2 * * *", "Local"), ["schedule.timeZone", "IANA"]),
    "time zone: blank": (cron("0 2 * * *", "Europe Berlin"), ["schedule.timeZone", "IANA"]),
    "time zone: a path": (cron("0 2 * * *", "../etc/passwd"), ["schedule.timeZone", "IANA"]),
    "a dataset without a key": (model(spec__retraining__triggers__1__dataset={"configMapKeyRef": {"name": "a"}}), ["configMapKeyRef.key", "Required value"]),
    # the other kinds
    "a ModelVersion without a Model": (changed(VERSION, spec__modelRef=REMOVED), ["spec.modelRef", "Required value"]),
    "a ModelVersion without an artifact": (changed(VERSION, spec__artifact=REMOVED), ["spec.artifact", "Required value"]),
    "a ModelVersion by a tag": (changed(VERSION, spec__artifact__uri="oci://registry.example/fraud:2"), ["spec.artifact.uri", "oci://registry/repository@sha256:"]),
    "a ModelVersion's bad digest": (changed(VERSION, spec__artifact__digest="abc"), ["spec.artifact.digest", "64 lower case"]),
    "a ModelVersion's bad uri": (changed(VERSION, spec__artifact__uri="oci://x"), ["spec.artifact.uri", "oci://x", "not supported"]),
    "a recorded metric that is no decimal": (changed(VERSION, spec__metrics={"f1": "good"}), ["spec.metrics", "f1", 'must be a decimal such as "0.947"']),
    "a recorded metric as a number": (changed(VERSION, spec__metrics={"f1": 0.9}), ["spec.metrics", "string"]),
    "a parameter as a number": (changed(VERSION, spec__lineage__run__parameters={"C": 1}), ["parameters", "string"]),
    "a ModelVersion's name too long": (changed(VERSION, metadata={"name": "v" * 64}), ["metadata.name", "at most 63 characters"]),
    "a ModelVersion's name with a dot": (changed(VERSION, metadata={"name": "fraud.v2"}), ["metadata.name", "lower case letters"]),
    "a ModelRollout without a version": (changed(ROLLOUT, spec__version=REMOVED), ["spec.version", "Required value"]),
    "a ModelRollout in no state": (changed(ROLLOUT, spec__desiredState="Stopped"), ["spec.desiredState", "Running", "Paused", "Promoted", "Aborted"]),
    "a ModelRuntime without formats": (changed(RUNTIME, spec__formats=[]), ["spec.formats", "at least 1"]),
    "a ModelRuntime without a server": (changed(RUNTIME, spec__template__spec__containers__0__name="main"),
                                        ["spec.template.spec.containers", 'named "server"', "rename"]),
    "a ModelRuntime without containers": (changed(RUNTIME, spec__template__spec__containers=REMOVED), ["spec.template.spec.containers", "Required value"]),
    "a ModelRuntime's nameless init container": (changed(RUNTIME, spec__template__spec__initContainers=[{"image": "x"}]),
                                                 ["spec.template.spec.initContainers[0].name", "Required value"]),
    "a ModelRuntime's nameless volume": (changed(RUNTIME, spec__template__spec__volumes=[{"emptyDir": {}}]), ["spec.template.spec.volumes[0].name", "Required value"]),
    "a ModelRuntime's volume as a text": (changed(RUNTIME, spec__template__spec__volumes=["tmp"]), ["spec.template.spec.volumes[0]", "must be of type object"]),
    "artifacts that come otherwise": (model(spec__serving__ociArtifacts="Auto"), ["spec.serving.ociArtifacts", "Unsupported value", "ImageVolume"]),
    "a ModelRuntime whose artifacts come otherwise": (changed(RUNTIME, spec__ociArtifacts="Image"), ["spec.ociArtifacts", "Unsupported value", "ImageVolume"]),
    "a ModelRuntime at no port": (changed(RUNTIME, spec__port=70000), ["spec.port", "65535"]),
    "a ModelRuntime's metrics at no path": (changed(RUNTIME, spec__metrics={"port": 1, "path": "metrics"}), ["spec.metrics.path", 'begin with "/"']),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_is_refused_in_clear_words(kube, namespace, name):
    body, words = BAD[name]
    assert_words(refusal(kube.create, body, namespace, dry_run=True), words)


def test_defaults(kube, namespace):
    made = kube.create(model(spec={"rollout": {"gates": [{"name": "a", "version": {"metric": "m"}, "min": "1"}]},
                                   "retraining": {"template": JOB, "limits": {}, "triggers": [{"name": "t", "schedule": {"cron": "@daily"}}]}}),
                       namespace, dry_run=True)
    spec = made["spec"]
    assert spec["track"] == "Pinned"
    assert spec["serving"] == {"replicas": 1, "pinConfig": True}
    assert kube.create(autoscaled(), namespace, dry_run=True)["spec"]["serving"]["autoscaling"]["minReplicas"] == 1
    assert {k: v for k, v in spec["rollout"].items() if k != "gates"} == {
        "strategy": "Canary", "onFailure": "Rollback", "progressDeadlineSeconds": 600, "keepWarm": 0}
    assert spec["rollout"]["gates"][0] == {"name": "a", "version": {"metric": "m"}, "min": "1", "interval": "10s", "count": 1,
                                           "failureLimit": 0, "dryRun": False}
    assert spec["retraining"]["onSuccess"] == "Rollout"
    assert spec["retraining"]["limits"] == {"concurrency": "Forbid", "attempts": 3, "startDeadline": "1h"}
    assert spec["retraining"]["triggers"][0]["schedule"] == {"cron": "@daily", "timeZone": "UTC"}
    assert "desiredState" not in kube.create(ROLLOUT, namespace, dry_run=True)["spec"]
    # A new object says at once that nobody has looked at it: kstatus then waits instead of calling it ready.
    kube.create(changed(MODEL, metadata={"name": "fresh"}), namespace)
    assert kube.get("Model", "fresh", namespace)["status"] == {"observedGeneration": -1, "phase": "Pending"}
    kube.delete("Model", "fresh", namespace)


def test_open_templates_come_through_untouched(kube, namespace):
    made = kube.create(MODEL, namespace, dry_run=True)
    assert made["spec"]["serving"]["template"] == MODEL["spec"]["serving"]["template"]
    assert made["spec"]["retraining"]["template"] == MODEL["spec"]["retraining"]["template"]
    assert kube.create(RUNTIME, dry_run=True)["spec"]["template"] == RUNTIME["spec"]["template"]


def test_scale_subresource(kube, namespace):
    kube.create(changed(MODEL, metadata={"name": "scaled"}), namespace)
    kube.patch("Model", "scaled", {"status": {"replicas": 2, "selector": "modelops.dev/model=scaled"}}, namespace, "status")
    kube.scale("Model", "scaled", 5, namespace)
    scale = kube.get("Model", "scaled", namespace, "scale")
    assert scale["spec"]["replicas"] == 5
    assert scale["status"] == {"replicas": 2, "selector": "modelops.dev/model=scaled"}
    assert kube.get("Model", "scaled", namespace)["spec"]["serving"]["replicas"] == 5
    kube.delete("Model", "scaled", namespace)


def test_what_is_recorded_cannot_be_changed(kube, namespace):
    version = changed(VERSION, metadata={"name": "fixed"})
    kube.create(version, namespace)
    for patch in ({"artifact": {"digest": "sha256:" + "b" * 64}}, {"metrics": {"accuracy": "0.99"}}, {"lineage": None}, {"modelRef": {"name": "other"}}):
        message = refusal(kube.patch, "ModelVersion", "fixed", {"spec": patch}, namespace)
        assert_words(message, ["cannot be changed once created", "create another ModelVersion"])
    kube.patch("ModelVersion", "fixed", {"metadata": {"labels": {"a": "b"}}}, namespace)
    kube.apply(version, namespace)  # the same again, as GitOps does
    kube.delete("ModelVersion", "fixed", namespace)


def test_a_rollout_is_steered_but_not_pointed_elsewhere(kube, namespace):
    kube.create(changed(ROLLOUT, metadata={"name": "steered"}), namespace)
    for patch, word in (({"modelRef": {"name": "other"}}, "one Model"), ({"version": "fraud-v3"}, "one version")):
        assert_words(refusal(kube.patch, "ModelRollout", "steered", {"spec": patch}, namespace), [word, "create a new ModelRollout"])
    for state in ("Paused", "Running", "Promoted", "Aborted", None):
        kube.patch("ModelRollout", "steered", {"spec": {"desiredState": state}}, namespace)
    kube.delete("ModelRollout", "steered", namespace)


def test_a_training_run_is_a_record(kube, namespace):
    kube.create(changed(RUN, metadata={"name": "kept"}), namespace)
    for patch in ({"modelRef": {"name": "other"}}, {"parameters": {"C": "2"}}, {"seed": None}, {"trigger": None}, {"onSuccess": "Rollout"},
                  {"workload": "rayjobs.ray.io"}, {"workload": None}):
        assert_words(refusal(kube.patch, "TrainingRun", "kept", {"spec": patch}, namespace), ["only its desiredState can be changed"])
    kube.patch("TrainingRun", "kept", {"spec": {"desiredState": "Cancelled"}}, namespace)
    assert_words(refusal(kube.patch, "TrainingRun", "kept", {"spec": {"desiredState": "Running"}}, namespace), ["was cancelled cannot go on"])
    kube.delete("TrainingRun", "kept", namespace)


def test_adopt_is_not_pointed_elsewhere(kube, namespace):
    kube.create(model(metadata={"name": "adopts"}, spec__serving__adopt={"name": "old"}), namespace)
    assert_words(refusal(kube.patch, "Model", "adopts", {"spec": {"serving": {"adopt": {"name": "other"}}}}, namespace),
                 ["adopt cannot change to another Deployment", "remove it from the spec first"])
    kube.patch("Model", "adopts", {"spec": {"serving": {"adopt": None}}}, namespace)
    kube.delete("Model", "adopts", namespace)


def test_field_selectors(kube, namespace):
    for name in ("fraud", "churn"):
        kube.create(changed(ROLLOUT, metadata={"name": "of-" + name}, spec__modelRef={"name": name}), namespace)
    found = kube.list("ModelRollout", namespace, fields="spec.modelRef.name=churn")
    assert [r["metadata"]["name"] for r in found] == ["of-churn"]
    for name in ("of-fraud", "of-churn"):
        kube.delete("ModelRollout", name, namespace)


# Statuses as the operator writes them: every field once.
MODEL_STATUS = yaml.safe_load("""
observedGeneration: 1
phase: Progressing
message: ModelRollout fraud-2 is under way
conditions:
- {type: Ready, status: "False", reason: RolloutInProgress, message: "", lastTransitionTime: "2026-11-22T09:00:00Z", observedGeneration: 1}
stableVersion: fraud-v1
stableDigest: sha256:abc
candidateVersion: fraud-v2
rollout: fraud-2
traffic: [{version: fraud-v1, weight: 90}, {version: fraud-v2, weight: 10}]
trafficSummary: fraud-v1 90% / fraud-v2 10%
replicas: 4
readyReplicas: 4
ready: 4/4
selector: modelops.dev/model=fraud
operator: model-operator-system/model-operator
adopted:
  deployment: old
  deploymentUID: 1-2-3
  replicas: 2
  serviceUID: 4-5-6
  service: {managedBy: Helm, selector: {app: old}, ports: [{port: 80, targetPort: http, protocol: TCP}]}
  phase: Returning
  since: "2026-11-22T09:00:00Z"
spec: {version: fraud-v2, revision: 0f3c, generation: 1}
intent: {version: fraud-v2, origin: Spec, rollout: fraud-2, outcome: "", reason: "", message: "", since: "2026-11-22T09:00:00Z", rolloutUID: 1-2-3}
retraining:
  lastTrigger: nightly
  lastRun: fraud-run-000001
  jobSecondsToday: 60
  lastResult: registered fraud-v2
  nextScheduled: "2026-11-23T02:00:00Z"
  lastRetrained: "2026-11-22T02:00:00Z"
  runsToday: 1
  day: "2026-11-22"
  suppressed: cooldown until 2026-11-22T03:00:00Z
  runNumber: 2
  run: {number: 2, name: fraud-run-000002, trigger: data, startedAt: "2026-11-22T09:00:00Z", uid: 1-2-3, job: fraud-retrain-000002, jobUID: 4-5-6}
  lastStarted: "2026-11-22T09:00:00Z"
  lastFinished: "2026-11-22T02:10:00Z"
  observedRequest: "2026-11-22T01:00:00Z"
  scheduleChecked: "2026-11-22T09:00:00Z"
  schedules: 5d4a17cab919cdf9
  datasets: [{trigger: data, digest: abc}]
""")
ROLLOUT_STATUS = yaml.safe_load("""
observedGeneration: 1
phase: Progressing
message: gates accuracy
conditions:
- {type: Complete, status: "False", reason: InProgress, message: "", lastTransitionTime: "2026-11-22T09:00:00Z", observedGeneration: 1}
fromVersion: fraud-v1
fromDigest: sha256:abc
digest: sha256:def
step: {index: 2, count: 5, description: pause 5m}
stepSummary: 2/5
weights: {stable: 90, candidate: 10}
gates:
- name: accuracy
  verdict: Running
  value: "0.951"
  stableValue: "0.95"
  passed: 1
  failed: 0
  inconclusive: 2
  measurements: [{at: "2026-11-22T09:00:00Z", value: "0.951", verdict: Passed}, {at: "2026-11-22T09:00:10Z", verdict: Inconclusive}]
  message: no data
  startedAt: "2026-11-22T09:00:00Z"
startedAt: "2026-11-22T09:00:00Z"
finishedAt: "2026-11-22T09:10:00Z"
stepStartedAt: "2026-11-22T09:00:00Z"
stepGeneration: 1
waitingSince: "2026-11-22T09:00:00Z"
observedResume: "2026-11-22T09:00:00.500000Z"
observedState: Running
pausedAt: "2026-11-22T09:00:00Z"
pauseReason: GateInconclusive
pauseMessage: gate accuracy is inconclusive
attempt: 1
policy: {steps: [{weight: 10}], gates: [{name: accuracy, version: {metric: f1}, min: "0.9"}], onFailure: Rollback}
ending: {phase: RolledBack, reason: GateFailed, message: accuracy, at: "2026-11-22T09:00:00Z"}
""")
VERSION_STATUS = yaml.safe_load("""
observedGeneration: 1
phase: Superseded
message: after it came fraud-v3
failedRollout: fraud-v2-7
served: true
conditions:
- {type: Ready, status: "True", reason: Recorded, message: "", lastTransitionTime: "2026-11-22T09:00:00Z", observedGeneration: 1}
""")


@pytest.mark.parametrize("base,status", [(MODEL, MODEL_STATUS), (ROLLOUT, ROLLOUT_STATUS), (VERSION, VERSION_STATUS)],
                         ids=["Model", "ModelRollout", "ModelVersion"])
def test_no_field_of_a_status_is_lost(kube, namespace, base, status):
    kube.create(changed(base, metadata={"name": "told"}), namespace)
    # Strict: an unknown field would be refused. Nothing is stored, since an operator that runs beside says its own.
    told = kube.patch(base["kind"], "told", [{"op": "add", "path": "/status", "value": status}], namespace, "status", dry_run=True)
    assert told["status"] == status
    message = refusal(kube.patch, base["kind"], "told", {"status": {"phase": "Happy"}}, namespace, "status")
    assert_words(message, ["status.phase", "Unsupported value"])
    kube.delete(base["kind"], "told", namespace)


def test_what_kubectl_get_prints(kube):
    def headers(kind):
        crd = kube.get("CustomResourceDefinition", kube.path(kind).rsplit("/", 1)[1] + ".modelops.dev")
        columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        return [c["name"].upper() for c in columns if not c.get("priority")], [c["name"].upper() for c in columns if c.get("priority")]

    assert headers("Model") == (["VERSION", "PHASE", "TRAFFIC", "READY", "AGE"], ["CLASS", "TIER", "OWNER", "STAGE", "LAST RETRAINED", "MESSAGE"])
    for kind in ("ModelGateSet", "ClusterModelGateSet"):
        assert headers(kind) == (["DESCRIPTION", "AGE"], [])
    assert headers("ModelRollout") == (["MODEL", "FROM", "TO", "PHASE", "STEP", "WEIGHT", "AGE"], ["MESSAGE"])


# ---- who may write what


def grant(kube, namespace, user, rules):
    name = user.replace(":", "-")
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": namespace}, "rules": rules})
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]})


OURS = {"apiGroups": ["modelops.dev"], "resources": ["*"], "verbs": ["*"]}
DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]}
JOBS = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}


CONFIGMAPS = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
PATCHES = {"apiGroups": ["", "apps"], "resources": ["deployments", "services"], "resourceNames": ["old", "fraud"], "verbs": ["patch"]}


@pytest.fixture(scope="module")
def people(kube, namespace):
    """Clients in the name of people with more or less rights. The policies are in force once this is there."""
    rights = {"dana": [OURS, DEPLOYMENTS, JOBS, CONFIGMAPS], "pat": [OURS, DEPLOYMENTS, JOBS, CONFIGMAPS, PATCHES], "wanda": [OURS], "dora": [OURS, DEPLOYMENTS, CONFIGMAPS], "john": [OURS, JOBS, CONFIGMAPS],
              "carla": [OURS, DEPLOYMENTS, JOBS]}
    for user, rules in rights.items():
        grant(kube, namespace, user, rules)
    clients = {user: kube.as_user(user, "system:authenticated") for user in rights}

    # Both RBAC and policies reach the API server's caches a moment after they were written.
    def settled():
        for user in ("dana", "wanda"):
            try:
                clients[user].create(MODEL, namespace, dry_run=True)
                clients[user].create(VERSION, namespace, dry_run=True)
                said = ""
            except ApiError as error:
                said = error.message
            if ("ValidatingAdmissionPolicy" in said) != (user == "wanda") or (said and user == "dana"):
                return False
        return True

    kube.wait_for(settled, 30, "roles and admission policies are in force")
    return clients


def test_who_may_deploy_and_run_jobs_may_write_models(people, namespace):
    dana = people["dana"]
    for body in (MODEL, VERSION, ROLLOUT):
        dana.create(body, namespace, dry_run=True)
    dana.apply(MODEL, namespace, dry_run=True)


@pytest.mark.parametrize("user,lacks", [("wanda", "Deployments"), ("dora", "Jobs"), ("john", "Deployments")])
def test_the_operator_lends_its_rights_to_nobody(people, namespace, user, lacks):
    for write in (people[user].create, people[user].apply):
        message = refusal(write, MODEL, namespace, dry_run=True)
        assert_words(message, [f"{user} may not create {lacks} in namespace {namespace}", "ask for the role edit"])


def test_who_names_a_secret_must_be_allowed_to_get_it(kube, people, namespace):
    dana, store = people["dana"], {"uri": "https://store.example/2.joblib", "credentials": {"secretName": "store"}}
    with_secret = artifact(**store)
    record = changed(VERSION, spec__artifact={**VERSION["spec"]["artifact"], **store})
    words = [f"dana may not get Secret store in namespace {namespace}", "ask for the right to get it"]
    # The policy may be younger than those that the fixture waited for.
    kube.wait_for(lambda: "may not get Secret" in refusal(dana.create, with_secret, namespace, dry_run=True), 30, "the policy is in force",
                  retry=(AssertionError, pytest.fail.Exception))
    for body in (with_secret, record):
        assert_words(refusal(dana.create, body, namespace, dry_run=True), words)
        assert_words(refusal(dana.apply, body, namespace, dry_run=True), words)
    dana.create(artifact(), namespace, dry_run=True)
    # One that is there may be changed, but not what its Secret is for.
    kube.create(changed(with_secret, metadata={"name": "secretive"}), namespace)
    dana.patch("Model", "secretive", {"spec": {"description": "x"}}, namespace, dry_run=True)
    assert_words(refusal(dana.patch, "Model", "secretive", {"spec": {"artifact": {"uri": "https://evil.example/2.joblib"}}}, namespace, dry_run=True), words)
    dana.patch("Model", "secretive", {"spec": {"artifact": {"credentials": None}}}, namespace, dry_run=True)
    kube.delete("Model", "secretive", namespace)
    # Nor may a part take one along.
    of_part = {"name": "lora", "artifact": {**store, "digest": DIGEST}}
    in_parts = [f"dana may not get Secret store in namespace {namespace}, so they may not name it in spec.parts"]
    for body in (artifact(), VERSION):
        assert_words(refusal(dana.create, changed(body, spec__parts=[of_part]), namespace, dry_run=True), in_parts)
    kube.create(changed(artifact(), metadata={"name": "secretive"}, spec__parts=[of_part]), namespace)
    dana.patch("Model", "secretive", {"spec": {"description": "x"}}, namespace, dry_run=True)
    evil = {**of_part, "artifact": {**of_part["artifact"], "uri": "https://evil.example/2.joblib"}}
    assert_words(refusal(dana.patch, "Model", "secretive", {"spec": {"parts": [evil]}}, namespace, dry_run=True), in_parts)
    kube.delete("Model", "secretive", namespace)
    grant(kube, namespace, "sam", [OURS, DEPLOYMENTS, JOBS, CONFIGMAPS, {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["store"], "verbs": ["get"]}])
    sam = kube.as_user("sam", "system:authenticated")
    kube.wait_for(lambda: sam.create(with_secret, namespace, dry_run=True), 30, "sam may get the Secret", retry=(ApiError,))
    sam.create(record, namespace, dry_run=True)
    other = changed(with_secret, spec__artifact__credentials__secretName="other")
    assert_words(refusal(sam.create, other, namespace, dry_run=True), [f"sam may not get Secret other in namespace {namespace}"])


def test_who_names_a_registrys_secret_must_be_allowed_to_get_it(kube, people, namespace):
    dana = people["dana"]
    importing = model(spec__retraining={"triggers": [imports(credentials={"secretName": "mlflow"})]})
    words = [f"dana may not get Secret mlflow in namespace {namespace}", "registry.mlflow.credentials"]
    kube.wait_for(lambda: "may not get Secret" in refusal(dana.create, importing, namespace, dry_run=True), 30, "the policy is in force",
                  retry=(AssertionError, pytest.fail.Exception))
    assert_words(refusal(dana.create, importing, namespace, dry_run=True), words)
    dana.create(model(spec__retraining={"triggers": [imports()]}), namespace, dry_run=True)
    kube.create(changed(importing, metadata={"name": "importing"}), namespace)
    dana.patch("Model", "importing", {"spec": {"description": "x"}}, namespace, dry_run=True)
    elsewhere = {"spec": {"retraining": {"triggers": [imports(credentials={"secretName": "mlflow"}, url="https://evil.example")]}}}
    assert_words(refusal(dana.patch, "Model", "importing", elsewhere, namespace, dry_run=True), words)
    kube.delete("Model", "importing", namespace)
    into_s3 = model(spec__retraining={"triggers": [imports(store=S3_STORE)]})
    assert_words(refusal(dana.create, into_s3, namespace, dry_run=True), [f"dana may not get Secret store in namespace {namespace}", "registry.mlflow.store.credentials"])
    kube.create(into_s3, namespace, dry_run=True)


def test_who_may_create_no_configmaps_gets_none_by_a_template(people, namespace):
    carla = people["carla"]
    assert_words(refusal(carla.create, MODEL, namespace, dry_run=True), [f"carla may not create ConfigMaps in namespace {namespace}", "pinConfig"])
    carla.create(model(spec__serving__pinConfig=False), namespace, dry_run=True)
    carla.create(model(spec__serving__template=REMOVED), namespace, dry_run=True)
    assert_words(refusal(carla.create, autoscaled(), namespace, dry_run=True),
                 [f"carla may not create HorizontalPodAutoscalers in namespace {namespace}", "remove autoscaling"])


def test_who_may_not_patch_what_is_there_lets_no_model_adopt_it(people, namespace):
    adopting = model(spec__serving__adopt={"name": "old"})
    assert_words(refusal(people["dana"].create, adopting, namespace, dry_run=True),
                 [f"dana may not patch Deployment old and Service fraud in namespace {namespace}", "ask for the role edit"])
    people["pat"].create(adopting, namespace, dry_run=True)
    assert_words(refusal(people["pat"].create, model(spec__serving__adopt={"name": "another"}), namespace, dry_run=True), ["pat may not patch Deployment another"])


def test_the_operator_writes_of_a_model_its_finalizer_only(kube, operator, people, namespace):
    kube.create(changed(MODEL, metadata={"name": "kept"}), namespace)
    wishes = ({"spec": {"serving": {"replicas": 5}}}, {"metadata": {"labels": {"a": "b"}}}, {"metadata": {"annotations": {"a": "b"}}},
              {"metadata": {"finalizers": ["example.com/hold"]}})
    kube.wait_for(lambda: "only the status and its own finalizer of a Model" in refusal(operator.patch, "Model", "kept", wishes[0], namespace), 30,
                  "the policy is in force", retry=(AssertionError, pytest.fail.Exception))
    for wish in wishes:
        assert_words(refusal(operator.patch, "Model", "kept", wish, namespace), ["the operator may change only the status and its own finalizer of a Model"])
    operator.patch("Model", "kept", {"metadata": {"finalizers": ["modelops.dev/give-back"]}}, namespace)
    operator.patch("Model", "kept", {"metadata": {"finalizers": None}}, namespace)
    operator.patch("Model", "kept", {"status": {"message": "hello"}}, namespace, "status")
    kube.delete("Model", "kept", namespace)


def test_the_operator_deletes_only_history(kube, people, namespace):
    operator = kube.as_user(f"system:serviceaccount:{settings.SYSTEM_NAMESPACE}:model-operator", "system:authenticated")
    owner = kube.create(changed(MODEL, metadata={"name": "past"}), namespace)
    owned = [{"apiVersion": "modelops.dev/v1alpha1", "kind": "Model", "name": "past", "uid": owner["metadata"]["uid"], "controller": True}]

    def ended(phase="Failed", **metadata):
        """The name of a ModelRollout that ended so. No Model of that name is there, so that no operator has its say."""
        made = kube.create(changed(ROLLOUT, metadata={"name": "r", **metadata}, spec__modelRef={"name": "nobody"}), namespace)
        kube.patch("ModelRollout", made["metadata"]["name"], {"status": {"phase": phase}}, namespace, "status")
        return made["metadata"]["name"]

    def delete(kind, name):
        operator.delete(kind, name, namespace)

    name = ended(phase="Progressing", labels={"modelops.dev/origin": "kubectl-model"})
    kube.wait_for(lambda: "only finished ModelRollouts" in refusal(delete, "ModelRollout", name), 30, "the policy is in force", retry=(AssertionError, pytest.fail.Exception))
    kube.delete("ModelRollout", name, namespace)
    for theirs in ({}, {"labels": {"modelops.dev/origin": "spec"}}, {"labels": {"app.kubernetes.io/instance": "fraud"}}):
        name = ended(**theirs)
        assert_words(refusal(delete, "ModelRollout", name), ["may not delete a ModelRollout that users or a GitOps tool created"])
        kube.delete("ModelRollout", name, namespace)
    for goes in ({"labels": {"modelops.dev/origin": "kubectl-model"}}, {"labels": {"modelops.dev/origin": "argocd"}}, {"name": None, "generateName": "r-"},
                 {"labels": {"modelops.dev/origin": "retraining"}, "ownerReferences": owned}):
        delete("ModelRollout", ended(**goes))
    kube.create(changed(VERSION, metadata={"name": "past-v1"}, spec__modelRef={"name": "nobody"}), namespace)
    # Two policies refuse, and either may be the one that is told.
    said = refusal(delete, "ModelVersion", "past-v1")
    assert "only ModelVersions that it registered" in said or "only objects that a Model controls" in said, said
    for theirs, goes in (({"name": "try"}, False), ({"name": None, "generateName": "try-"}, True), ({"name": "past-run-000001", "ownerReferences": owned}, True)):
        made = kube.create(changed(RUN, metadata=theirs, spec__modelRef={"name": "nobody"}), namespace)["metadata"]["name"]
        kube.patch("TrainingRun", made, {"status": {"phase": "Failed"}}, namespace, "status")
        if goes:
            delete("TrainingRun", made)
        else:
            assert_words(refusal(delete, "TrainingRun", made), ["the operator may delete only finished TrainingRuns"])
            kube.delete("TrainingRun", made, namespace)
    kube.create(changed(VERSION, metadata={"name": "past-v2", "ownerReferences": owned}, spec__modelRef={"name": "nobody"}), namespace)
    delete("ModelVersion", "past-v2")
    kube.delete("ModelVersion", "past-v1", namespace)
    kube.delete("Model", "past", namespace)


def test_an_autoscaler_s_replicas_are_not_set_by_files(kube, people, namespace):
    kube.create(changed(autoscaled(), metadata={"name": "autoscaled"}), namespace)
    kube.scale("Model", "autoscaled", 2, namespace)
    for number in (1, 3):
        message = refusal(kube.patch, "Model", "autoscaled", {"spec": {"serving": {"replicas": number}}}, namespace)
        assert_words(message, ["has set spec.serving.replicas to 2", f"this would set it to {number}", "leave replicas out", "kubectl scale"])
    # What leaves it out or has it as it is passes, and so do people's and autoscalers' ways to scale.
    kube.patch("Model", "autoscaled", {"spec": {"serving": {"replicas": 2}, "description": "x"}}, namespace)
    kube.apply(changed(autoscaled(maxReplicas=7), metadata={"name": "autoscaled"}), namespace, manager="gitops")
    found = kube.get("Model", "autoscaled", namespace)["spec"]["serving"]
    assert found["replicas"] == 2 and found["autoscaling"]["maxReplicas"] == 7
    kube.scale("Model", "autoscaled", 0, namespace)
    kube.patch("Model", "autoscaled", {"spec": {"serving": {"autoscaling": None, "replicas": 3}}}, namespace)
    kube.delete("Model", "autoscaled", namespace)


def test_nor_through_an_update(kube, people, namespace):
    kube.create(changed(MODEL, metadata={"name": "watched", "finalizers": ["example.com/hold"]}), namespace)
    wanda = people["wanda"]
    template = {"spec": {"serving": {"template": {"spec": {"serviceAccountName": "admin"}}}}}
    assert_words(refusal(wanda.patch, "Model", "watched", template, namespace), ["wanda may not create Deployments"])
    # What lends no rights is theirs by RBAC alone: labels, finalizers (as the garbage collector), scale (as an autoscaler), status.
    wanda.patch("Model", "watched", {"metadata": {"labels": {"a": "b"}}}, namespace)
    wanda.patch("Model", "watched", {"metadata": {"finalizers": None}}, namespace)
    wanda.scale("Model", "watched", 2, namespace)
    wanda.patch("Model", "watched", {"status": {"message": "hello"}}, namespace, "status")
    wanda.delete("Model", "watched", namespace)
    kube.wait_gone("Model", "watched", namespace)


def test_versions_and_rollouts_are_written_by_who_may_deploy(kube, people, namespace):
    for body in (VERSION, ROLLOUT):
        people["dora"].create(body, namespace, dry_run=True)
        for user in ("wanda", "john"):
            assert_words(refusal(people[user].create, body, namespace, dry_run=True),
                         [f"{user} may not create Deployments in namespace {namespace}", body["kind"]])


def bind(kube, namespace, user, role):
    """Binds a ClusterRole in the namespace, or with None in the whole cluster; returns a client in the user's name."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": f"{user}-{role}", **({"namespace": namespace} if namespace else {})},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]})
    return kube.as_user(user, "system:authenticated")


def test_to_promote_is_a_right_of_its_own(kube, operator, people, namespace):
    """On call one pauses, resumes and aborts; the role edit promotes, also by creating a ModelRollout."""
    edith, adam, olga = bind(kube, namespace, "edith", "edit"), bind(kube, namespace, "adam", "admin"), bind(kube, namespace, "olga", "model-operator-oncall")
    rollout = changed(ROLLOUT, metadata={"name": "steered"})
    kube.create(rollout, namespace)
    promoted = {"spec": {"desiredState": "Promoted"}}
    kube.wait_for(lambda: "may not promote" in refusal(olga.patch, "ModelRollout", "steered", promoted, namespace, dry_run=True), 30,
                  "roles and policy are in force", retry=(AssertionError, pytest.fail.Exception))
    message = refusal(olga.patch, "ModelRollout", "steered", promoted, namespace, dry_run=True)
    assert_words(message, [f"olga may not promote ModelRollout steered in namespace {namespace}", "ask for the role edit", "verb promote on modelrollouts"])
    assert_words(refusal(olga.create, changed(ROLLOUT, metadata={"name": "new"}), namespace, dry_run=True), ["olga", "cannot create"])
    for state in ("Paused", "Running", "Aborted"):
        olga.patch("ModelRollout", "steered", {"spec": {"desiredState": state}}, namespace, dry_run=True)
    assert olga.list("Model", namespace) is not None and olga.list("ModelVersion", namespace) is not None
    for person in (edith, adam):
        kube.wait_for(lambda p=person: p.patch("ModelRollout", "steered", promoted, namespace, dry_run=True), 30, "the role is aggregated", retry=(ApiError,))
        person.create(changed(ROLLOUT, metadata={"name": "new"}, spec__desiredState="Promoted"), namespace, dry_run=True)
    # Who may create rollouts, but was not given the verb.
    grant(kube, namespace, "rita", [DEPLOYMENTS, {"apiGroups": ["modelops.dev"], "resources": ["modelrollouts"], "verbs": ["create", "update", "patch", "get"]}])
    rita = kube.as_user("rita", "system:authenticated")
    kube.wait_for(lambda: rita.create(changed(ROLLOUT, metadata={"name": "new"}), namespace, dry_run=True), 30, "the role is in force", retry=(ApiError,))
    assert_words(refusal(rita.create, changed(ROLLOUT, metadata={"name": "new"}, spec__desiredState="Promoted"), namespace, dry_run=True),
                 ["rita may not promote ModelRollout new"])
    # What is promoted already may be edited in other ways.
    kube.patch("ModelRollout", "steered", promoted, namespace)
    olga.patch("ModelRollout", "steered", {"metadata": {"labels": {"a": "b"}}}, namespace)
    kube.delete("ModelRollout", "steered", namespace)


def test_gate_sets_that_make_the_operator_act_are_written_by_who_may_run_jobs(kube, people, namespace):
    harmless = changed(GATE_SET, spec__gates=GATE_SET["spec"]["gates"][:2])
    for user in ("john", "dana"):
        people[user].create(GATE_SET, namespace, dry_run=True)
    # The policy may be younger than those that the fixture waited for.
    kube.wait_for(lambda: "wanda may not create Jobs" in refusal(people["wanda"].create, GATE_SET, namespace, dry_run=True), 30,
                  "the policy is in force", retry=(AssertionError, pytest.fail.Exception))
    people["wanda"].create(harmless, namespace, dry_run=True)
    for number in (2, 3):  # by Job, by web service
        body = changed(GATE_SET, spec__gates=[GATE_SET["spec"]["gates"][number]])
        assert_words(refusal(people["wanda"].create, body, namespace, dry_run=True),
                     [f"wanda may not create Jobs in namespace {namespace}", "a ModelGateSet", "ask for the role edit"])
    kube.create(harmless, namespace)
    people["wanda"].patch("ModelGateSet", "shared", {"metadata": {"labels": {"a": "b"}}}, namespace)
    assert_words(refusal(people["wanda"].patch, "ModelGateSet", "shared", {"spec": {"gates": GATE_SET["spec"]["gates"]}}, namespace), ["wanda may not create Jobs"])
    kube.delete("ModelGateSet", "shared", namespace)


def test_for_the_whole_cluster_that_means_jobs_in_every_namespace(kube, people, namespace):
    name = f"admission-{namespace}"
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [OURS]})
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "john"}]})
    try:
        harmless = changed(CLUSTER_GATE_SET, spec__gates=GATE_SET["spec"]["gates"][:2])
        kube.wait_for(lambda: people["john"].create(harmless, dry_run=True), 30, "john may write ClusterModelGateSets", retry=(ApiError,))
        assert_words(refusal(people["john"].create, CLUSTER_GATE_SET, dry_run=True), ["john may not create Jobs in every namespace", "a ClusterModelGateSet"])
    finally:
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            kube.delete(kind, name)


@pytest.mark.parametrize("phase,words", [("Serving", ["fraud-in-use serves", "move Model fraud to another version first"]),
                                         ("Candidate", ["fraud-in-use is being rolled out", "abort its ModelRollout"])])
def test_a_version_in_use_cannot_be_deleted(kube, people, namespace, phase, words):
    kube.create(changed(VERSION, metadata={"name": "fraud-in-use"}), namespace)

    def refused(client):
        """An operator that runs for other tests finds no Model and sets the phase back, at times before we have deleted."""
        kube.patch("ModelVersion", "fraud-in-use", {"status": {"phase": phase}}, namespace, "status")
        try:
            client.delete("ModelVersion", "fraud-in-use", namespace, dry_run=True)
        except ApiError as error:
            assert error.code in (400, 403, 422), error
            return error.message
        return None
    for client in (kube, people["dana"]):
        assert_words(kube.wait_for(lambda c=client: refused(c), 30, f"a version that is {phase} cannot be deleted"), words)
    kube.as_service_account("kube-system", "generic-garbage-collector").delete("ModelVersion", "fraud-in-use", namespace, dry_run=True)
    kube.as_service_account("kube-system", "namespace-controller").delete("ModelVersion", "fraud-in-use", namespace, dry_run=True)
    kube.patch("ModelVersion", "fraud-in-use", {"status": {"phase": "Superseded"}}, namespace, "status")
    kube.delete("ModelVersion", "fraud-in-use", namespace)
    kube.wait_gone("ModelVersion", "fraud-in-use", namespace)


def test_a_model_takes_the_version_that_serves_along(kube, namespace):
    owner = kube.create(changed(MODEL, metadata={"name": "owner"}), namespace)
    reference = {"apiVersion": owner["apiVersion"], "kind": "Model", "name": "owner", "uid": owner["metadata"]["uid"],
                 "controller": True, "blockOwnerDeletion": True}
    kube.create(changed(VERSION, metadata={"name": "owned", "ownerReferences": [reference]}, spec__modelRef={"name": "owner"}), namespace)
    kube.patch("ModelVersion", "owned", {"status": {"phase": "Serving"}}, namespace, "status")
    kube.delete("Model", "owner", namespace, propagation="Foreground")  # the collector also removes its finalizer from the Model
    kube.wait_gone("ModelVersion", "owned", namespace)
    kube.wait_gone("Model", "owner", namespace)


# ---- the operator's own rights


@pytest.fixture(scope="module")
def operator(kube):
    kube.apply_folder("manifests/rbac")
    return kube.as_service_account("model-operator-system", "model-operator")


def allowed(kube, user, namespace, verb, group, resource, subresource=""):
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
              "spec": {"user": user, "resourceAttributes": {"namespace": namespace, "verb": verb, "group": group, "resource": resource,
                                                            "subresource": subresource}}}
    return kube.create(review)["status"]["allowed"]


@pytest.mark.parametrize("namespaced", [False, True], ids=["cluster", "namespaced"])
def test_what_the_operator_may_do(kube, operator, namespace, namespaced):
    account = f"system:serviceaccount:{namespace if namespaced else 'model-operator-system'}:model-operator"
    if namespaced:
        for document in kube.render("manifests/namespaced"):
            document["metadata"]["namespace"] = namespace
            for subject in document.get("subjects", []):
                subject["namespace"] = namespace
            if document["kind"] != "Deployment":
                kube.apply(document)

    def may(verb, resource, group="", subresource="", where=namespace):
        return allowed(kube, account, where, verb, group, resource, subresource)

    kube.wait_for(lambda: may("create", "deployments", "apps"), 10, "the roles are in force")
    assert may("list", "modelgatesets", "modelops.dev") and may("watch", "modelgatesets", "modelops.dev")
    assert may("watch", "clustermodelgatesets", "modelops.dev", where="") != namespaced
    for kind in ("models", "modelversions", "modelrollouts"):
        assert may("watch", kind, "modelops.dev") and may("update", kind, "modelops.dev", "status")
    for kind in ("modelversions", "modelrollouts"):
        assert may("create", kind, "modelops.dev") and may("patch", kind, "modelops.dev")
    assert may("update", "models", "modelops.dev", "finalizers")
    for group, kind in (("apps", "deployments"), ("batch", "jobs"), ("", "services"), ("autoscaling", "horizontalpodautoscalers")):
        for verb in ("get", "list", "watch", "create", "patch", "delete"):
            assert may(verb, kind, group), (verb, kind)
    for verb in ("get", "update", "patch"):
        assert not may(verb, "deployments", "apps", "scale"), "by the Deployment itself, whose owner admission can see"
    assert may("reconcile", "models", "modelops.dev") and not may("*", "models", "modelops.dev"), "by that admission knows the operator"
    assert may("create", "events", "events.k8s.io")
    assert may("list", "pods")
    for verb in ("get", "list", "watch", "create", "patch", "delete"):
        assert may(verb, "configmaps"), verb
    assert may("patch", "models", "modelops.dev")   # its finalizer, and by manifests/admission/operator-models.yaml nothing else
    for verb in ("create", "update", "delete"):
        assert not may(verb, "models", "modelops.dev"), "a rollback leaves the spec untouched"
    for verb in ("create", "update", "patch", "delete"):
        assert not may(verb, "pods") and not may(verb, "modelruntimes", "modelops.dev")
        assert not may(verb, "modelgatesets", "modelops.dev") and not may(verb, "clustermodelgatesets", "modelops.dev", where="")
    for verb in ("get", "list", "watch", "create"):
        assert not may(verb, "secrets")
    assert not may("create", "rolebindings", "rbac.authorization.k8s.io")
    if namespaced:
        assert not may("list", "models", "modelops.dev", where="default")
        assert not may("list", "modelruntimes", "modelops.dev", where="")
        assert may("update", "leases", "coordination.k8s.io")


@pytest.fixture(scope="module")
def owner(kube, operator, namespace):
    """A Model as controller. The policies are in force once this is there."""
    found = kube.create(model(metadata={"name": "keeper"}, spec={}), namespace)

    def settled():
        for cls in (operator, kube):
            try:
                cls.create(workload("Deployment", "settled"), namespace, dry_run=True)
                said = ""
            except ApiError as error:
                said = error.message
            if ("operator-writes.modelops.dev" in said) != (cls is operator):
                return False
        return True
    kube.wait_for(settled, 30, "the operator's role and its policy are in force")
    yield {"apiVersion": found["apiVersion"], "kind": "Model", "name": "keeper", "uid": found["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
    kube.delete("Model", "keeper", namespace)


POD = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
BODIES = {
    "Deployment": ("apps/v1", {"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": POD}}),
    "Job": ("batch/v1", {"spec": {"template": {"spec": {**POD["spec"], "restartPolicy": "Never"}}}}),
    "Service": ("v1", {"spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]}}),
    "ConfigMap": ("v1", {"data": {"a": "1"}}),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", {"spec": {}}),
    "HorizontalPodAutoscaler": ("autoscaling/v2", {"spec": {"maxReplicas": 2, "scaleTargetRef": {"apiVersion": API, "kind": "Model", "name": "keeper"}}}),
    "ModelVersion": (API, {"spec": VERSION["spec"]}),
    "ModelRollout": (API, {"spec": ROLLOUT["spec"]}),
}
COPY_OF = {"modelops.dev/copy-of": "theirs"}
NOT_A_MODELS = ["the operator may write only objects that a Model controls"]


def workload(kind, name, owner=None, annotations=None, **paths):
    api, body = BODIES[kind]
    metadata = {"name": name, **({"ownerReferences": [owner]} if owner else {}), **({"annotations": annotations} if annotations else {})}
    return changed({"apiVersion": api, "kind": kind, "metadata": metadata, **body}, **paths)


@pytest.mark.parametrize("kind", BODIES)
def test_the_operator_writes_only_what_a_model_controls(kube, operator, owner, namespace, kind):
    """Its token makes no workload elsewhere, and touches none that is there."""
    annotations = COPY_OF if kind == "ConfigMap" else None
    others = [None, {**owner, "controller": False}, {**owner, "apiVersion": "apps/v1", "kind": "ReplicaSet"}, {**owner, "apiVersion": "evil.example/v1"},
              {**owner, "kind": "ModelVersion"}]
    for other in others:
        for write in (operator.create, operator.apply):
            assert_words(refusal(write, workload(kind, "made", other, annotations), namespace, dry_run=True), [*NOT_A_MODELS, f"{kind} {namespace}/made"])
    operator.create(workload(kind, "made", owner, annotations), namespace, dry_run=True)
    operator.apply(workload(kind, "made", owner, annotations), namespace, dry_run=True)
    # Somebody's own, with or without a controller: neither changed, nor taken, nor deleted.
    kube.create(workload(kind, "theirs", annotations=annotations if kind != "ConfigMap" else None), namespace)
    try:
        mine = {"metadata": {"ownerReferences": [owner]}}
        for patch in ({"metadata": {"labels": {"a": "b"}}}, mine, {"metadata": {**mine["metadata"], "annotations": {"modelops.dev/applied": "x", **COPY_OF}}}):
            assert_words(refusal(operator.patch, kind, "theirs", patch, namespace, dry_run=True), NOT_A_MODELS)
        # (Which of these it deletes is the matter of history.)
        message = refusal(operator.delete, kind, "theirs", namespace, dry_run=True, missing_ok=False)
        assert NOT_A_MODELS[0] in message or kind in ("ModelRollout", "ModelVersion") and "the operator may " in message and " delete " in message, message
    finally:
        kube.delete(kind, "theirs", namespace)
    # Its own.
    kube.create(workload(kind, "ours", owner, annotations), namespace)
    operator.patch(kind, "ours", {"metadata": {"labels": {"a": "b"}}}, namespace, dry_run=True)
    assert_words(refusal(operator.patch, kind, "ours", {"metadata": {"ownerReferences": None}}, namespace, dry_run=True), NOT_A_MODELS)
    (kube if kind == "ModelRollout" else operator).delete(kind, "ours", namespace, missing_ok=False)


@pytest.mark.parametrize("kind,mark", [("Deployment", "modelops.dev/applied"), ("Service", "modelops.dev/applied"), ("ConfigMap", "modelops.dev/copy-of")])
def test_the_operator_takes_back_what_it_made(kube, operator, owner, namespace, kind, mark):
    """Somebody took the owner reference away."""
    kube.create(workload(kind, "orphan", annotations={mark: "x"}), namespace)
    operator.patch(kind, "orphan", {"metadata": {"ownerReferences": [owner]}}, namespace)
    operator.delete(kind, "orphan", namespace, missing_ok=False)


def test_of_a_deployment_that_is_adopted_the_operator_sets_the_replicas_only(kube, operator, owner, namespace):
    kube.create(workload("Deployment", "old", spec__replicas=0), namespace)
    operator.patch("Deployment", "old", {"spec": {"replicas": 1}}, namespace, dry_run=True)
    container = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "evil"}]}}}}
    for patch in (container, {"spec": {"replicas": 1, **container["spec"]}}, {"spec": {"replicas": 1, "paused": True}}, {"spec": {"replicas": 1, "minReadySeconds": 5}},
                  {"metadata": {"annotations": {"a": "b"}}, "spec": {"replicas": 1}}, {"metadata": {"finalizers": ["example.com/hold"]}}):
        assert_words(refusal(operator.patch, "Deployment", "old", patch, namespace, dry_run=True), NOT_A_MODELS)
    # Nor of one that another controller has.
    kube.patch("Deployment", "old", {"metadata": {"ownerReferences": [{**owner, "apiVersion": "apps.example/v1", "kind": "App"}]}}, namespace)
    assert_words(refusal(operator.patch, "Deployment", "old", {"spec": {"replicas": 1}}, namespace, dry_run=True), NOT_A_MODELS)
    kube.delete("Deployment", "old", namespace)


def test_of_a_service_that_is_adopted_the_operator_turns_the_selector(kube, operator, owner, namespace):
    kube.create(workload("Service", "turned"), namespace)
    to_us, back = ({"spec": {"selector": selector}} for selector in ({"app": None, "modelops.dev/model": "turned"}, {"app": "x", "modelops.dev/model": None}))
    for other in ({"app": "evil"}, {"modelops.dev/model": "another"}):
        assert_words(refusal(operator.patch, "Service", "turned", {"spec": {"selector": other}}, namespace, dry_run=True), NOT_A_MODELS)
    assert_words(refusal(operator.patch, "Service", "turned", {"spec": {**to_us["spec"], "type": "LoadBalancer"}}, namespace, dry_run=True), ["type ClusterIP"])
    operator.patch("Service", "turned", to_us, namespace)
    operator.delete("Service", "turned", namespace, dry_run=True, missing_ok=False)
    operator.patch("Service", "turned", back, namespace)
    assert_words(refusal(operator.delete, "Service", "turned", namespace, dry_run=True, missing_ok=False), NOT_A_MODELS)
    kube.delete("Service", "turned", namespace)
    for wish in ({"spec__type": "LoadBalancer"}, {"spec__type": "NodePort"}, {"spec__externalIPs": ["192.0.2.1"]}):
        assert_words(refusal(operator.create, workload("Service", "s", owner, **wish), namespace, dry_run=True), ["type ClusterIP", "without externalIPs"])


@pytest.mark.parametrize("where", ["kube-system", "kube-public", "kube-node-lease", settings.SYSTEM_NAMESPACE])
def test_the_operator_writes_nothing_into_system_namespaces(kube, operator, owner, where):
    kube.make_namespace(where)
    for kind in ("Deployment", "Job", "Service", "ModelRollout"):
        assert_words(refusal(operator.create, workload(kind, "made", owner), where, dry_run=True), [f"the operator may not write into namespace {where}", "another namespace"])


@pytest.mark.parametrize("where", ["kube-system", "kube-public", "kube-node-lease"])
def test_a_model_does_not_go_into_a_system_namespace(kube, people, where):
    assert_words(refusal(kube.create, model(spec={}), where, dry_run=True), ["serves no Model there", "another namespace"])


def test_the_operator_writes_no_configmap_but_its_copies(kube, operator, owner, people, namespace):
    for annotations in (None, {"a": "b"}):
        assert_words(refusal(operator.create, workload("ConfigMap", "made", owner, annotations), namespace, dry_run=True), ["the operator may write only ConfigMaps that are its copies"])
    people["dana"].create(workload("ConfigMap", "hers"), namespace, dry_run=True)


def test_an_operator_of_another_name_is_confined_too(kube, operator, owner, namespace):
    """What tells the operator from others is in its role, so it needs no name."""
    account = f"system:serviceaccount:{namespace}:acme-modelops"
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": f"acme-{namespace}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "model-operator"},
                "subjects": [{"kind": "ServiceAccount", "name": "acme-modelops", "namespace": namespace}]})
    try:
        acme = kube.as_service_account(namespace, "acme-modelops")
        kube.wait_for(lambda: allowed(kube, account, "default", "create", "apps", "deployments"), 30, "the role is in force")
        assert_words(refusal(acme.create, workload("Deployment", "made"), "default", dry_run=True), NOT_A_MODELS)
        assert_words(refusal(acme.create, workload("Deployment", "made", owner), namespace, dry_run=True), [f"the operator may not write into namespace {namespace}"])
        assert_words(refusal(acme.patch, "Model", "keeper", {"spec": {"serving": {"replicas": 5}}}, namespace), ["the operator may change only the status and its own finalizer of a Model"])
    finally:
        kube.delete("ClusterRoleBinding", f"acme-{namespace}")


def test_operators_of_one_namespace_are_confined_there(kube, operator, owner, namespace):
    """Several installations of manifests/namespaced, under the same policies; each may write into its own namespace."""
    for number in (1, 2):
        where = f"{namespace}-{number}"
        kube.make_namespace(where, {"modelops.dev/test": "true"})
        try:
            operators.namespaced_rights(kube, where)
            client = kube.as_service_account(where, "model-operator")
            kube.wait_for(lambda c=client, w=where: c.create(workload("Deployment", "made", owner), w, dry_run=True), 30, "the role is in force", retry=(ApiError,))
            assert_words(refusal(client.create, workload("Deployment", "made"), where, dry_run=True), NOT_A_MODELS)
        finally:
            kube.delete("Namespace", where)


def test_what_names_an_owner_that_does_not_exist_is_deleted(kube, operator, owner, namespace):
    """Admission cannot look the Model up; the garbage collector does."""
    operator.create(workload("Job", "forged", {**owner, "name": "nobody", "uid": str(uuid.uuid4())}), namespace)
    kube.wait_gone("Job", "forged", namespace)


def test_the_operator_passes_its_own_policies(kube, operator, owner, people, namespace):
    """It creates versions and rollouts, and writes every status, also of a Model whose spec it could not write."""
    kube.wait_for(lambda: allowed(kube, "system:serviceaccount:model-operator-system:model-operator", namespace, "create", "apps", "deployments"),
                  10, "the operator's role is in force")
    operator.apply(workload("ModelVersion", "by-operator", owner), namespace)
    operator.apply(workload("ModelRollout", "by-operator", owner), namespace)
    store = {"uri": "https://store.example/2.joblib", "credentials": {"secretName": "store"}}  # the copy of what a Model says
    operator.apply(workload("ModelVersion", "with-secret", owner, spec__artifact={**VERSION["spec"]["artifact"], **store}), namespace, dry_run=True)
    kube.create(changed(MODEL, metadata={"name": "by-person"}), namespace)
    # Without a resourceVersion: the operator of the other tests may be writing this Model's status at the same time.
    operator.patch("Model", "by-person", {"status": MODEL_STATUS}, namespace, "status")
    for kind, name in (("ModelVersion", "by-operator"), ("ModelRollout", "by-operator"), ("Model", "by-person")):
        kube.delete(kind, name, namespace)
