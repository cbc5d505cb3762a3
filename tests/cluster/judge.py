"""What GitOps tools make of an object: the real kstatus, and manifests/argocd run as Argo CD runs it (judge/main.go)."""

import fcntl
import functools
import json
import subprocess

import yaml

import settings
from kube import Kube

FOLDER = settings.REPO / "tests" / "cluster" / "judge"


@functools.cache
def program():
    """Built when it is first asked for; Go keeps what it compiled."""
    from riglib.build import find_go
    out = settings.REPO / "build" / "tests" / "judge"
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out.with_suffix(".lock"), "w") as lock:  # the workers of pytest
        fcntl.flock(lock, fcntl.LOCK_EX)
        go, env = find_go()
        # The rig's flags: what it has compiled is used.
        subprocess.run([go, "build", "-trimpath", "-buildvcs=false", "-o", out, "."], cwd=FOLDER, env=env, check=True)
    return out


@functools.cache
def settings_of_argocd():
    """As a user gets them: the keys of argocd-cm."""
    documents = Kube.render("manifests/argocd")
    assert [d["kind"] for d in documents] == ["ConfigMap"]
    return documents[0]["data"]


def health_script(kind):
    return settings_of_argocd()[f"resource.customizations.health.modelops.dev_{kind}"]


def actions(kind):
    """The discovery script, and the others by name."""
    found = yaml.safe_load(settings_of_argocd()[f"resource.customizations.actions.modelops.dev_{kind}"])
    return found["discovery.lua"], {one["name"]: one["action.lua"] for one in found["definitions"]}


def ask(*questions):
    done = subprocess.run([program()], input=json.dumps(questions), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def verdict(found):
    """("Current", "Healthy", Argo CD's message)"""
    answer = ask({"object": found, "health": health_script(found["kind"])})[0]
    return answer["kstatus"], answer["health"]["status"], answer["health"]["message"]


def offered(found):
    """The actions that Argo CD offers for this object."""
    discovered = ask({"object": found, "discovery": actions(found["kind"])[0]})[0]["discovery"]
    return {name for name, action in discovered.items() if not action.get("disabled")}


def act(kube, found, name):
    """Runs an action on this object and does what it says, as Argo CD would."""
    result = ask({"object": found, "action": actions(found["kind"])[1][name]})[0]["result"]
    metadata = found["metadata"]
    if "create" in result:
        return kube.create(result["create"], metadata["namespace"])
    return kube.patch(found["kind"], metadata["name"], result["patch"], metadata["namespace"])
