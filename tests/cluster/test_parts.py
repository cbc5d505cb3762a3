"""Versions of several artifacts: base, adapter and prompt, each fetched and verified, and any change of one a rollout."""

import pytest

from case import conditions, digest_of
from kube import ApiError

pytestmark = pytest.mark.xdist_group("artifacts")


def part(case, name, content, **more):
    case.configmap(f"part-{name}", artifact=content)
    return {"name": name, "artifact": {"uri": f"configmap://part-{name}/artifact", "digest": digest_of(content)}, **more}


def versions(case):
    return {v["metadata"]["name"]: v for v in case.all("ModelVersion")}


def test_parts_serve_beside_their_artifact_and_another_one_is_another_version(case):
    base = case.artifact("base", "the base")
    lora, prompt = part(case, "lora", "an adapter", path="adapters/support"), part(case, "prompt", "be kind")
    case.model(replicas=1, artifact=base, parts=[lora, prompt])
    first = case.ready("m")["status"]
    (name, record), = versions(case).items()
    assert first["stableVersion"] == name and first["stableDigest"] != base["digest"]
    assert [p["name"] for p in record["spec"]["parts"]] == ["lora", "prompt"] and record["spec"]["parts"][1]["path"] == "prompt"
    pod, = case.all("Pod")
    environment = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
    assert environment["MODEL_PART_LORA"] == "/artifact/parts/adapters/support" and environment["MODEL_PART_PROMPT"] == "/artifact/parts/prompt"
    ended = {s["name"]: s["state"]["terminated"] for s in pod["status"]["initContainerStatuses"]}
    assert list(ended) == ["modelops-fetch", "modelops-fetch-lora", "modelops-fetch-prompt"]
    assert all(e["exitCode"] == 0 and e["message"].startswith("fetched ") for e in ended.values()), ended

    # The same parts in another order, and a part by its default path, are what serves.
    case.model(replicas=1, artifact=base, parts=[{**prompt, "path": "prompt"}, lora])
    assert case.ready("m", name) and list(versions(case)) == [name]

    # Another prompt: another version, by a ModelRollout.
    case.configmap("part-prompt-2", artifact="be brief")
    brief = {"name": "prompt", "artifact": {"uri": "configmap://part-prompt-2/artifact", "digest": digest_of("be brief")}}
    case.model(replicas=1, artifact=base, parts=[lora, brief])
    case.until(lambda: case.status()["stableVersion"] != name, "the version with the other prompt serves")
    second = case.ready("m")["status"]["stableVersion"]
    assert case.phase(case.rollout_of(second), "Succeeded")

    # A part that is not what it is said to be ends its rollout at once, and what serves serves on.
    lie = {"name": "prompt", "artifact": {"uri": "configmap://part-prompt-2/artifact", "digest": digest_of("something else")}}
    case.model(replicas=1, artifact=base, parts=[lora, lie])
    case.until(lambda: any(r["status"].get("phase") == "RolledBack" for r in case.all("ModelRollout")), "the rollout is rolled back")
    status = case.status()
    assert "digest mismatch: configmap://part-prompt-2/artifact has" in status["message"] and "DigestMismatch" in str(case.all("ModelRollout"))
    assert status["stableVersion"] == second and conditions(case.get())["Available"] == "True"


@pytest.mark.parametrize("change, words", [
    ([{"path": "../x"}, {}], "must be a path such as adapters/support"),
    ([{"path": "/x"}, {}], "must be a path such as adapters/support"),
    ([{"path": "a/.x"}, {}], "must be a path such as adapters/support"),
    ([{"path": "prompt"}, {}], "the paths of two parts are the same"),
    ([{"path": "prompt/x"}, {}], "the paths of two parts are the same, or one lies below the other"),
    ([{"name": "A_b"}, {}], "must be lower case letters"),
    ([{"name": "prompt", "path": "x"}, {}], "Duplicate value"),
    ([{"artifact": {"uri": "oci://r.example/x:tag"}}, {}], "spec.parts[0].artifact"),
    ([{"artifact": {"uri": "https://s/a", "digest": "DIGEST", "credentials": {"secretName": "a"}}},
      {"artifact": {"uri": "https://s/b", "digest": "DIGEST", "credentials": {"secretName": "b"}}}], "the parts name two Secrets"),
])
def test_parts_that_cannot_be_are_refused(case, change, words):
    digest = digest_of("x")
    parts = [{"name": name, "artifact": {"uri": f"configmap://x/{name}", "digest": digest}} for name in ("lora", "prompt")]
    for one, changes in zip(parts, change):
        one.update({k: ({**v, "digest": digest} if k == "artifact" and "digest" in v else v) for k, v in changes.items()})
    artifact = {"uri": "configmap://x/base", "digest": digest, "format": {"name": "tiny"}}
    for spec in ({"kind": "Model", "spec": {"artifact": artifact, "parts": parts}},
                 {"kind": "ModelVersion", "spec": {"modelRef": {"name": "m"}, "artifact": artifact, "parts": parts}}):
        with pytest.raises(ApiError, match=words.replace("[", r"\[").replace("]", r"\]").replace("(", r"\(")):
            case.kube.create({"apiVersion": "modelops.dev/v1alpha1", "metadata": {"name": "refused"}, **spec}, case.namespace, dry_run=True)


def test_parts_need_an_artifact_and_are_at_most_16(case):
    digest = digest_of("x")
    parts = [{"name": f"p{i}", "artifact": {"uri": f"configmap://x/p{i}", "digest": digest}} for i in range(17)]
    artifact = {"uri": "configmap://x/base", "digest": digest, "format": {"name": "tiny"}}

    def refused(spec, words):
        with pytest.raises(ApiError, match=words):
            case.kube.create({"apiVersion": "modelops.dev/v1alpha1", "kind": "Model", "metadata": {"name": "refused"}, "spec": spec}, case.namespace, dry_run=True)
    refused({"version": "m-v1", "parts": parts[:1]}, "parts belong to an artifact")
    refused({"artifact": artifact, "parts": parts}, "must have at most 16 items")
    case.kube.create({"apiVersion": "modelops.dev/v1alpha1", "kind": "Model", "metadata": {"name": "taken"}, "spec": {"artifact": artifact, "parts": parts[:16]}}, case.namespace, dry_run=True)
