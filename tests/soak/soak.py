#!/usr/bin/python3
"""Hundreds of Models in random use on simulated nodes, with faults between operator and API server, for as long as it is told.

    soak.py [--minutes N] [--models N] [--rate N] [--seed N] [--client cpprest|curl] [--keep]

People (a random one, from the seed) make, move, steer, edit, retrain and delete Models and tamper with what the operator made; a proxy drops, delays, falsifies and
cuts what passes; between two lives of the operator it is killed a few times. Twice in each life all is left to come to rest, after the first minute and at the end: then
every Model must be served as it asks, nothing may be written any more, and memory, threads, file descriptors and connections at the end must be
those of the first minute (±5 %). An observer past the proxy checks the invariants of tests/chaos after every event. Prints a line a minute; exits with 1 if anything
did not hold. `--keep` leaves the cluster. The folder of the cluster is MODELOPS_TEST_RIG (.cluster-soak), the binary MODELOPS_TEST_OPERATOR.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import random
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[1]
OUT = REPO / "build" / "soak"
os.environ.setdefault("MODELOPS_TEST_RIG", str(REPO / ".cluster-soak"))
sys.path[:0] = [str(HERE), str(REPO / "tests" / "chaos"), str(REPO / "tests" / "cluster")]

import run as rig  # noqa: E402 - tests/chaos/run.py; reads the environment
import world as worlds  # noqa: E402
from case import API, conditions, digest_of, gate  # noqa: E402
from history import World  # noqa: E402
from kube import ApiError  # noqa: E402
from observer import Observer  # noqa: E402
from process import Process  # noqa: E402
from proxy import (READS, WRITES, Match, answer, answer_after, cut_stream_after, delay, drop_after, drop_before, duplicate, rewrite_events,  # noqa: E402
                   status, truncate)

FIRST_MINUTE = 60
WARMING_UP = 4        # times as many deeds in it, which last longer on a slow machine: what 200 Models come to need in time they shall have needed once
CHAPTER = 60          # seconds that an observer remembers
LIFE_MINUTES = 20
REST_SECONDS = 240    # for all to come to rest
CALM_SECONDS = 8      # without a write is rest
POOL_SECONDS = 70     # idle connections leave the pool after 30 to 60 s, and memory is given back each minute
TOLERANCE = 0.05
FINISHED = ("Succeeded", "RolledBack", "Aborted", "Superseded", "Failed")


def say(text):
    print(f"soak: {text}", flush=True)


# ---- what people do

class People:
    """One random person. Each deed is one step; what the API server refuses (a version in use, an object just gone) is part of life."""

    def __init__(self, world, count, seed):
        self.world, self.kube, self.namespace = world, world.kube, world.namespace
        self.random = random.Random(f"people {seed}")
        self.names = [f"m{number:03}" for number in range(count)]
        self.made = collections.Counter()    # versions made so far, by Model
        self.deeds = collections.Counter()
        self.refused = collections.Counter()
        self.at_rest = False
        world.prometheus.values["accuracy of "] = self.accuracy
        self.choices = [(30, self.move), (15, self.steer), (12, self.edit), (10, self.retrain), (12, self.end_a_job), (5, self.delete), (6, self.tamper),
                        (5, self.rollout_by_hand)]
        self.making = (self.move, self.rollout_by_hand, self.end_a_job)

    def accuracy(self, query):
        """Good, bad or unknown, the same for one version as long as nothing comes to rest."""
        if self.at_rest:
            return "0.95"
        return random.Random(query).choice(["0.95", "0.95", "0.95", "0.95", "0.5", None])

    def act(self):
        deed = self.random.choices([deed for _, deed in self.choices], [weight for weight, _ in self.choices])[0]
        name = self.random.choice(self.names)
        self.attempt(deed, name)
        if deed in self.making:   # as much is thrown away as is made: memory is that of 200 Models, not of all that they ever were
            self.tidy({name})

    def attempt(self, deed, *arguments):
        try:
            if deed(*arguments) is not False:
                self.deeds[deed.__name__] += 1
        except ApiError as error:
            if error.code not in (404, 409, 422, 403):
                raise
            self.refused[f"{deed.__name__}: {error.message[:160]}"] += 1

    # -- deeds

    def make(self, name):
        self.world.kube.apply(self.body(name, self.version(name)), self.namespace)

    def body(self, name, version):
        steps = self.random.choice([None, [{"gates": ["recorded"]}, {"weight": 50}, {"pause": {"duration": "2s"}}, {"gates": ["accuracy"]}],
                                    [{"weight": 50}, {"gates": ["accuracy", "recorded"]}], [{"weight": 50}, {"pause": {}}]])
        gates = [{"name": "recorded", "version": {"metric": "f1"}, "min": "0.5"}, gate(min="0.9", query="accuracy of {{candidate}}", onInconclusive="Wait")]
        spec = {"version": version, "track": self.random.choice(["Pinned", "Promoted"]), "serving": {"replicas": self.random.choice([1, 1, 1, 2]), "runtime": {"name": "tiny"}},
                "rollout": {"gates": gates, **({"steps": steps} if steps else {})}, "retraining": {"template": self.world.gated_job(), "gates": ["recorded"]}}
        return {"apiVersion": API, "kind": "Model", "metadata": {"name": name}, "spec": spec}

    def version(self, name):
        """A new one, recorded as good or bad."""
        self.made[name] += 1
        version = f"{name}-v{self.made[name]}"
        self.world.version(version, model=name, metrics={"f1": self.random.choice(["0.9", "0.9", "0.9", "0.2"])})
        return version

    def move(self, name):
        if not self.world.find("Model", name):
            return self.make(name)
        self.world.move(self.version(name), name)

    def rollout_by_hand(self, name):
        if not self.world.find("Model", name):
            return False
        version = self.version(name)
        self.world.rollout(f"{version}-by-hand", version, model=name)

    def steer(self, name):
        running = [r for r in self.rollouts(name) if r.get("status", {}).get("phase") not in FINISHED]
        if not running:
            return False
        rollout = self.random.choice(running)
        self.world.steer(rollout["metadata"]["name"], self.random.choice(["Paused", "Running", "Running", "Promoted", "Aborted"]))

    def edit(self, name):
        changes = [{"serving": {"replicas": self.random.choice([1, 1, 2])}},
                   {"serving": {"template": {"metadata": {"annotations": {"edited": str(self.random.random())}}}}},
                   {"rollout": {"progressDeadlineSeconds": self.random.choice([5, 600])}}, {"track": self.random.choice(["Pinned", "Promoted"])}]
        self.kube.patch("Model", name, {"spec": self.random.choice(changes)}, self.namespace)

    def retrain(self, name):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.kube.patch("Model", name, {"spec": {"retraining": {"requestedAt": now}}}, self.namespace)

    def end_a_job(self, name):
        """Some training ends: well, with a lie, or badly."""
        job = next((j for j in self.unfinished_jobs(name)), None) or next(iter(self.unfinished_jobs()), None)
        if job is None:
            return False
        model = job["metadata"]["labels"]["modelops.dev/model"]
        self.made[model] += 1
        artifact = self.world.artifact(f"{model}-trained", f"trained {model} {self.made[model]}")
        document = {"apiVersion": API, "kind": "RunResult", "metrics": {"f1": "0.9"}, "artifact": artifact}
        how = self.random.choice([{"document": document}, {"document": document}, {"message": "no JSON"}, {"message": "", "phase": "Failed"}])
        self.end(job, **how)

    def end(self, job, document=None, message="", phase="Succeeded"):
        pod = next(iter(self.kube.list("Pod", self.namespace, {"job-name": job["metadata"]["name"]})), None)
        if pod is None:
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ended = {"exitCode": 0 if phase == "Succeeded" else 1, "reason": "Completed" if phase == "Succeeded" else "Error", "startedAt": now, "finishedAt": now,
                 "message": json.dumps(document) if document else message}
        container = {"name": "train", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": {"terminated": ended}}
        self.kube.patch("Pod", pod["metadata"]["name"], {"status": {"phase": phase, "containerStatuses": [container]}}, self.namespace, "status")

    def delete(self, name):
        self.kube.delete("Model", name, self.namespace, missing_ok=False)

    def tamper(self, name):
        """With what the operator made."""
        mine = {"modelops.dev/model": name}
        kind = self.random.choice(["Deployment", "Service", "Pod", "Job", "scale", "template"])
        found = self.kube.list(kind if kind[0].isupper() else "Deployment", self.namespace, mine)
        if not found:
            return False
        chosen = self.random.choice(found)["metadata"]["name"]
        if kind == "scale":
            self.kube.scale("Deployment", chosen, self.random.choice([0, 1, 3]), self.namespace)
        elif kind == "template":
            self.kube.patch("Deployment", chosen, {"spec": {"template": {"metadata": {"annotations": {"foreign": str(self.random.random())}}}}}, self.namespace)
        else:
            self.kube.delete(kind, chosen, self.namespace)

    # -- order

    def rollouts(self, name):
        return [r for r in self.world.all("ModelRollout") if r["spec"]["modelRef"]["name"] == name]

    def unfinished_jobs(self, name=None):
        selector = f"modelops.dev/model={name}" if name else "modelops.dev/model"
        return [j for j in self.kube.list("Job", self.namespace, selector) if not ended_job(j)]

    def tidy(self, names, versions=2):
        """People clean up: what ended long ago, and versions that nobody uses."""
        models = {m["metadata"]["name"]: m for m in self.world.all("Model")}
        used = {name: {m["spec"].get("version"), *(m.get("status", {}).get(f) for f in ("stableVersion", "candidateVersion")),
                       m.get("status", {}).get("intent", {}).get("version")} for name, m in models.items()}
        for kind, over in (("ModelRollout", lambda r: r.get("status", {}).get("phase") in FINISHED), ("Job", ended_job), ("ModelVersion", lambda v: True)):
            by_model = collections.defaultdict(list)
            for found in self.world.all(kind):
                by_model[model_of(found)].append(found)
            for name in by_model.keys() & names if names else by_model:
                found = sorted(by_model[name], key=lambda o: int(o["metadata"]["resourceVersion"]))
                free = [o for o in found if over(o) and (kind != "ModelVersion" or o["metadata"]["name"] not in used.get(name, ()))]
                wanted = versions if kind == "ModelVersion" and name in models else 0
                for o in free[:max(0, len(found) - wanted)]:
                    self.attempt(self.remove, kind, o["metadata"]["name"])
                    if kind == "ModelVersion":
                        self.attempt(self.remove, "ConfigMap", o["metadata"]["name"])

    # -- rest

    def rest(self):
        """Leaves everything so that it can come to an end by itself: good numbers, and each Model there with as many objects as at any other rest."""
        self.at_rest = True
        models = {m["metadata"]["name"] for m in self.world.all("Model") if "deletionTimestamp" not in m["metadata"]}
        versions = collections.Counter(model_of(v) for v in self.world.all("ModelVersion"))
        configmaps = {c["metadata"]["name"] for c in self.world.all("ConfigMap")}
        for name in self.names:
            if name not in models:
                self.attempt(self.make, name)
                versions[name] += 1
            for _ in range(versions[name], 2):
                self.attempt(self.version, name)
            if f"{name}-trained" not in configmaps:
                self.attempt(self.world.artifact, f"{name}-trained")

    def nudge(self):
        """What people would do about what does not go on by itself."""
        for rollout in self.world.all("ModelRollout"):
            phase = rollout.get("status", {}).get("phase")
            if phase not in FINISHED and rollout["spec"].get("desiredState") != "Promoted":
                self.attempt(self.promote, rollout["metadata"]["name"])
        for job in self.unfinished_jobs():
            self.attempt(self.end, job, None, "", "Failed")
        for model in self.world.all("Model"):   # one that nothing was ever promoted for waits for a training that nobody begins
            if model["spec"].get("track") == "Promoted" and not model.get("status", {}).get("stableVersion"):
                self.attempt(self.pin, model["metadata"]["name"])

    def promote(self, rollout):
        self.world.steer(rollout, "Promoted")

    def pin(self, name):
        self.kube.patch("Model", name, {"spec": {"track": "Pinned"}}, self.namespace)

    def remove(self, kind, name):
        self.kube.delete(kind, name, self.namespace)


def ended_job(job):
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in job.get("status", {}).get("conditions", []))


def model_of(found):
    return found["spec"]["modelRef"]["name"] if "modelRef" in found["spec"] else found["metadata"].get("labels", {}).get("modelops.dev/model")


# ---- what goes wrong

class Faults:
    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(f"faults {seed}")
        self.rules = []

    def count(self):
        return sum(rule.hits for rule in self.rules) + self.world.faults

    def one(self):
        pick = self.random.choice
        verbs, reads = WRITES, ("get", "list")
        kinds = [
            lambda: (Match(verb=verbs, times=1), pick([drop_before(), drop_after(), duplicate(), delay(pick([0.5, 3])), delay(2, after=True)])),
            lambda: (Match(verb=verbs, times=1), pick([answer(500), answer(503), answer(429, headers={"Retry-After": "1"}), answer_after(500), answer_after(504)])),
            lambda: (Match(verb=("update", "apply", "patch"), times=1), answer(409, status(409))),
            lambda: (Match(verb=reads, times=1), pick([drop_before(), answer(500), answer(429, headers={"Retry-After": "1"}), truncate(self.random.randrange(2000)), delay(2)])),
            lambda: (Match(verb="watch", times=1), pick([answer(500), answer(410, status(410)), cut_stream_after(self.random.randrange(5000)), drop_before()])),
            lambda: (Match(verb="watch", times=3), rewrite_events(lambda event: [event, event])),
        ]
        if self.random.random() < 0.2:
            self.world.fault(self.world.proxy.cut(verb=pick(["watch", *READS, *WRITES])))
        else:
            match, action = pick(kinds)()
            self.rules.append(self.world.proxy.rule(match, action))
        self.rules, spent = [r for r in self.rules if r.left()], [r for r in self.rules if not r.left()]
        for rule in spent:
            rule.remove()
            self.world.fault(rule.hits)

    def none(self):
        for rule in self.rules:
            rule.remove()
            self.world.fault(rule.hits)
        self.rules = []


# ---- what must hold

class Watcher(Observer):
    """Of one chapter of a longer story: what is there at its beginning is taken as it is, all at once."""

    def __init__(self, kube, namespace):
        super().__init__(kube, namespace)
        self.events = Lean()

    def __enter__(self):
        super().__enter__()
        self.beginning = self.now()   # the lists of the kinds are not of one moment; from here on all is seen
        return self

    def replay(self):
        begun, left = False, set()   # UIDs of what a Model of an earlier chapter left to the garbage collector
        for kind, world in super().replay():
            if int(world.found["metadata"]["resourceVersion"]) <= self.beginning:
                continue
            if not begun:
                begun = True
                models = {model["metadata"]["uid"] for model in world.objects["Model"].values()}
                for there in ("Model", *(k for k in self.kinds if k != "Model")):
                    for found in list(world.objects[there].values()):
                        if any(owner["kind"] == "Model" and owner["uid"] not in models for owner in found["metadata"].get("ownerReferences", [])):
                            left.add(found["metadata"]["uid"])
                        else:
                            yield there, World(world.objects, world.versions, there, found, False)
            if world.found["metadata"]["uid"] not in left:
                yield kind, world

    def check_every_moment(self, *rollout):
        super().check_every_moment(*rollout)
        promoted = set()   # by a person, at some time: from then on gates bind nobody
        for kind, world in self.replay():
            found = world.found
            if kind != "ModelRollout" or world.removed:
                continue
            if found["spec"].get("desiredState") == "Promoted":
                promoted.add(found["metadata"]["uid"])
            if "weights" in found.get("status", {}) and found["metadata"]["uid"] not in promoted:
                self._check_gates(found, found["status"]["weights"]["candidate"])


class Lean(list):
    """Events without what nobody looks at."""

    def append(self, event):
        event[3]["metadata"].pop("managedFields", None)
        super().append(event)


def served_as_asked(world):
    """What is not: [text]. Only at rest."""
    wrong = []
    deployments = collections.defaultdict(list)
    for deployment in world.all("Deployment", {"app.kubernetes.io/managed-by": "model-operator"}):
        deployments[deployment["metadata"]["labels"]["modelops.dev/model"]].append(deployment)
    for model in world.all("Model"):
        name, told = model["metadata"]["name"], conditions(model)
        if model.get("status", {}).get("observedGeneration") != model["metadata"]["generation"]:
            wrong.append(f"{name}: the operator has not seen its present spec")
        stable = model.get("status", {}).get("stableVersion")
        if told.get("Ready") != "True" and told.get("Stalled") != "True":
            wrong.append(f"{name}: neither Ready nor Stalled: {told} {model['status'].get('message')}")
        if told.get("Ready") == "True":
            ready = {d["metadata"]["labels"]["modelops.dev/version"]: d.get("status", {}).get("readyReplicas", 0) for d in deployments[name]}
            if ready.get(stable, 0) != model["spec"]["serving"]["replicas"]:
                wrong.append(f"{name}: Ready with {stable} × {model['spec']['serving']['replicas']}, but there is {ready}")
    return wrong


# ---- all of it

class Soak:
    def __init__(self, options, world):
        self.options, self.world = options, world
        self.people = People(world, options.models, options.seed)
        self.faults = Faults(world, options.seed)
        self.checked = 0
        self.began = time.monotonic()
        self.minute = 0
        self.problems = []

    def line(self):
        proxied = len(self.world.proxy.exchanges)
        say(f"{(time.monotonic() - self.began) / 60:5.1f} min  {sum(self.people.deeds.values())} deeds  {self.faults.count()} faults  {proxied} requests  "
            f"{self.checked} events checked  {Process(self.world.operator.pid)}")

    def turn_chapter(self):
        """Checks what was seen, and goes on with a new observer."""
        old, self.world.observer = self.world.observer, Watcher(self.world.kube, self.world.namespace).__enter__()
        old.check_every_moment("", None, None, 0)
        self.checked += len(old.events)

    def drive(self, seconds, kills=0, haste=1):
        """People and faults for so long; in haste until as much has been done as that is meant to bring."""
        self.people.at_rest = False
        until, chapter = time.monotonic() + seconds, time.monotonic() + CHAPTER
        next_deed = next_fault = time.monotonic()
        done, wanted = 0, haste * self.options.rate * seconds if haste > 1 else 0
        kill_at = sorted(time.monotonic() + self.faults.random.uniform(0.1, 0.9) * seconds for _ in range(kills))
        while (now := time.monotonic()) < until or done < wanted:
            if now >= next_deed:
                self.people.act()
                done += 1
                next_deed = max(next_deed + 1 / (haste * self.options.rate), now - 1)
            if now >= next_fault:
                self.faults.one()
                next_fault = now + 1
            if kill_at and now >= kill_at[0]:
                kill_at.pop(0)
                self.world.crash()
                self.world.fault()
            if now >= chapter:
                self.turn_chapter()
                chapter = time.monotonic() + CHAPTER
            if now - self.began >= 60 * (self.minute + 1):
                self.minute = int((now - self.began) / 60)
                self.line()
            assert self.world.operator.running(), f"I6: the operator ended with {self.world.operator.process.returncode}\n{self.world.operator.tail()}"
            time.sleep(max(0, min(next_deed, next_fault, until) - time.monotonic()))

    def rest(self):
        """No faults, no people: all comes to rest (I5), and is as it should be."""
        self.faults.none()
        self.people.rest()
        deadline, quiet_since, seen = time.monotonic() + REST_SECONDS, time.monotonic(), self.last_write()
        nudged = tidied = False
        while time.monotonic() - quiet_since < CALM_SECONDS:
            if not nudged or time.monotonic() - quiet_since > CALM_SECONDS / 2:
                self.people.nudge()
                nudged = True
            if not tidied and time.monotonic() - quiet_since > CALM_SECONDS - 1:
                self.people.tidy(None)
                tidied, quiet_since = True, time.monotonic()
            if (now_last := self.last_write()) != seen:
                seen, quiet_since = now_last, time.monotonic()
            if time.monotonic() > deadline:
                raise AssertionError(f"I5: still writing after {REST_SECONDS} s of rest:\n" + "\n".join(str(e) for e in self.world.proxy.writes(since=seen - 400)[-30:]))
            time.sleep(0.5)
        wrong = served_as_asked(self.world)
        assert not wrong, "not as asked, at rest:\n  " + "\n  ".join(wrong[:20])
        self.world.orphans()
        self.turn_chapter()
        ready = self.world.operator.readyz()
        assert ready[0] == 200, f"I6: {ready}"
        return self.at_rest()

    def at_rest(self):
        """The operator's process once idle connections have left its pool, and unused memory its heap."""
        now, since, deadline = Process(self.world.operator.pid), time.monotonic(), time.monotonic() + 4 * POOL_SECONDS
        while time.monotonic() - since < POOL_SECONDS and time.monotonic() < deadline:
            time.sleep(1)
            before, now = now, Process(self.world.operator.pid)
            if (before.files, before.connections, before.threads) != (now.files, now.connections, now.threads):
                since = time.monotonic()
        return now

    def last_write(self):
        with self.world.proxy.lock:
            return next((e.number for e in reversed(self.world.proxy.exchanges) if e.verb in WRITES and e.resource not in ("events", "leases")), 0)

    def life(self, minutes, kills):
        if kills:
            say(f"killing the operator {kills} times")
            self.drive(20, kills)
        pid = self.world.operator.pid
        self.drive(FIRST_MINUTE, haste=WARMING_UP)
        first = self.rest()
        say(f"after the first minute: {first}")
        self.drive(max(FIRST_MINUTE, minutes * 60 - FIRST_MINUTE))
        last = self.rest()
        say(f"at the end:             {last}")
        assert pid == self.world.operator.pid
        for what, (before, after) in first.against(last).items():
            if abs(after - before) > TOLERANCE * before:
                self.problems.append(f"{what}: {before} after the first minute, {after} at the end")

    def run(self):
        lives = max(1, round(self.options.minutes / LIFE_MINUTES))
        self.turn_chapter()
        for name in self.people.names:
            self.people.attempt(self.people.make, name)
        say(f"{len(self.people.names)} Models made")
        for number in range(lives):
            self.life(self.options.minutes / lives, kills=3 if number else 0)
        self.line()
        self.world.check()
        say("deeds: " + ", ".join(f"{deed} {count}" for deed, count in self.people.deeds.most_common()))
        for why, count in self.people.refused.most_common(8):
            say(f"refused {count} times: {why}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--rate", type=float, default=4, help="deeds of people a second")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--client", choices=("cpprest", "curl"), default="curl")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    options = parser.parse_args()
    say(f"seed {options.seed}, {options.models} Models, {options.minutes:g} minutes, {options.client}")
    OUT.mkdir(parents=True, exist_ok=True)
    problems = []
    try:
        rig.up()
        with worlds.World(rig.cluster(), options.client, options.seed, name="soak") as world:
            soak = Soak(options, world)
            try:
                soak.run()
                problems = soak.problems
            except Exception as error:
                (OUT / "failure.txt").write_text(world.report())
                problems = [*soak.problems, f"{error}\n(all there is: {OUT / 'failure.txt'})"]
                if not isinstance(error, AssertionError):
                    raise
            finally:
                (OUT / "operator.log").write_bytes(world.operator.log.read_bytes())
    finally:
        if not options.keep:
            rig.down()
    for problem in problems:
        say(f"NOT HELD: {problem}")
    say("all held" if not problems else f"seed {options.seed}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
