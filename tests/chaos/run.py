#!/usr/bin/python3
"""The fault matrix: reference scenarios and stories with faults between operator and API server, on simulated nodes.

    run.py [--short] [--rows 1,2] [--case ID]… [--seed N] [--workers N] [--keep] [--leave]

Two fault-free runs of each scenario learn what differs by nature; then all cases run, many at a time, each in a namespace of its own. Writes
build/chaos/table.md and table.json, and for each failure what there is to read into build/chaos/failed/. Exits with 1 if a case is red.

    MODELOPS_TEST_RIG       the cluster's folder (default: .cluster-chaos)
    MODELOPS_TEST_OPERATOR  the operator's binary (default: build/release/bin/model-operator)
"""

import argparse
import collections
import concurrent.futures
import functools
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[1]
OUT = REPO / "build" / "chaos"
os.environ.setdefault("MODELOPS_TEST_RIG", str(REPO / ".cluster-chaos"))
sys.path[:0] = [str(HERE), str(REPO / "tests" / "cluster")]

import settings  # noqa: E402 - reads the environment

os.environ["KUBECONFIG"] = str(settings.KUBECONFIG)

import rows  # noqa: E402
import scenarios  # noqa: E402
import world as worlds  # noqa: E402
from case import TINY_RUNTIME  # noqa: E402
from kube import Kube  # noqa: E402
from observer import differences  # noqa: E402


def say(text):
    print(f"chaos: {text}", flush=True)


# ---- one run

@functools.cache
def client_of(process):
    return Kube(settings.KUBECONFIG)


def cluster():
    """One client a process: two that share a connection since a fork read each other's answers."""
    return client_of(os.getpid())


def run_scenario(world, scenario, arm=None, disarm=None):
    """What the scenario ended in."""
    scenario.prepare(world)
    before, began = len(world.proxy.exchanges), time.monotonic()
    if arm:
        arm()
    scenario.drive(world)
    if disarm:
        disarm()
    world.settled()
    writes = len(world.proxy.writes(since=before))
    state, made = world.observer.digest(), world.observer.made()
    world.check(scenario.traffic, scenario.version)
    scenario.check(world)
    return {"state": state, "made": made, "writes": writes, "seconds": time.monotonic() - began}


def learn(name, client):
    """A fault-free run. Its failure crosses processes as text."""
    report = ""
    try:
        with worlds.World(cluster(), client, name="chaos-learn", fleet=scenarios.ALL[name].fleet) as world:
            try:
                return run_scenario(world, scenarios.ALL[name]())
            except Exception:
                report = world.report()
                raise
    except Exception:
        raise RuntimeError(f"the fault-free run of {name} failed: {traceback.format_exc()}\n{report}") from None


def compare(name, ended, baseline):
    """I1."""
    other = {path: values for path, values in differences(baseline["state"], ended["state"]).items()
             if path not in baseline["by_nature"] and not any(re.fullmatch(pattern, path) for pattern in scenarios.ALL[name].by_nature)}
    assert not other, "I1: another end state than without faults (path: without, with):\n" + "\n".join(f"  {p}: {a!r} / {b!r}" for p, (a, b) in other.items())
    made = {key: (baseline["made"].get(key), ended["made"].get(key)) for key in baseline["made"].keys() | ended["made"].keys()
            if baseline["made"].get(key) != ended["made"].get(key)}
    assert not made, f"I1: other numbers of [creates, deletes] (without, with): {made}"


def run_case(case, index, baseline):
    """{id, row, hits, verdict, …} of one case, never an exception."""
    row = rows.load()[case.row][index]
    began = time.monotonic()
    told = {"id": case.id, "row": case.row, "index": index, "scenario": case.scenario, "client": case.client, "hits": 0, "reached": True, "error": None, "report": None}
    world = None
    try:
        with worlds.World(cluster(), case.client, f"{case.seed}/{case.id}", f"chaos-{case.row}", row.arguments, row.prepare,
                          bool(case.scenario) and scenarios.ALL[case.scenario].fleet) as world:
            try:
                if case.scenario:
                    ended = run_scenario(world, scenarios.ALL[case.scenario](), lambda: row.arm(world, case), row.disarm and (lambda: row.disarm(world, case)))
                    compare(case.scenario, ended, baseline)
                    # I5: what comes on top is a handful of repeats for each fault.
                    allowed = baseline["writes"] * 2 + 12 * world.injected() + 10
                    assert ended["writes"] <= allowed, f"I5: {ended['writes']} writes for {world.injected()} faults, {baseline['writes']} without"
                else:
                    row.arm(world, case)
                # Two reconciles in quick succession may become one, and with them their status writes: then there is no N-th write.
                told["reached"] = world.injected() > 0
                assert told["reached"] or (callable(row.points) and case.n > baseline["writes"] * 0.7), "no fault was injected"
            except Exception as error:
                told["error"] = str(error) or repr(error)
                told["report"] = f"{traceback.format_exc()}\n{world.report()}"
            told["hits"] = world.injected()
    except Exception as error:  # setting up
        told["error"] = told["error"] or repr(error)
        told["report"] = told["report"] or traceback.format_exc()
    told["seconds"] = time.monotonic() - began
    return told


# ---- all runs

def learn_all(pool, names):
    """{scenario: end state, counts, and the paths that differ by nature}, by two runs of each."""
    runs = {name: [pool.submit(learn, name, client) for client in rows.CLIENTS] for name in names}
    return {name: baseline(name, *[future.result() for future in futures]) for name, futures in runs.items()}


def baseline(name, one, other):
    """What two fault-free runs of a scenario have in common."""
    assert one["made"] == other["made"], f"two fault-free runs of {name} made different objects: {one['made']} / {other['made']}"
    by_nature = sorted(differences(one["state"], other["state"]))
    say(f"{name}: {one['writes']} and {other['writes']} writes without faults, {one['seconds']:.1f} s; differs by nature: {', '.join(by_nature) or 'nothing'}")
    return {**one, "by_nature": by_nature, "writes": max(one["writes"], other["writes"])}


def documented(table):
    """Whether docs/reliability.md names the functions of each row."""
    lines = (REPO / "docs" / "reliability.md").read_text().splitlines()
    for number, entries in table.items():
        line = next((line for line in lines if line.startswith(f"| {number} |")), "")
        for row in entries:
            assert row.arm.__module__ in line and re.search(rf"[`.]{row.arm.__name__}`", line), f"docs/reliability.md: row {number} lacks {row.arm.__name__}"


def up():
    rig = [sys.executable, str(settings.RIG_PROGRAM)]
    subprocess.run([str(REPO / "scripts" / "install-deps.sh"), str(REPO / "tests/cluster/packages.txt"), str(REPO / "tests/cluster/rig/packages.txt")], check=True)
    subprocess.run([*rig, "up", "--node", "fake", "--bare", "--dir", str(settings.RIG)], check=True, stdout=subprocess.DEVNULL)
    kube = cluster()
    kube.install_crds()
    kube.apply_folder("manifests", skip=("Deployment", "CustomResourceDefinition"))
    kube.apply(TINY_RUNTIME)
    worlds.prepare(kube)


def down():
    for folder in (settings.RIG, worlds.STALE_RIG):
        if folder.exists():
            subprocess.run([sys.executable, str(settings.RIG_PROGRAM), "down", "--dir", str(folder)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def verdicts(results, table):
    """[(row, index, name, scenarios, cases, hits, red)]"""
    found = collections.defaultdict(list)
    for result in results:
        found[result["row"], result["index"]].append(result)
    out = []
    for (number, index), cases in sorted(found.items()):
        out.append({"row": number, "name": table[number][index].name, "scenarios": sorted({c["scenario"] or "own" for c in cases}), "cases": sum(1 for c in cases if c["reached"]),
                    "faults": sum(c["hits"] for c in cases), "red": [c["id"] for c in cases if c["error"]],
                    "red_by_client": {client: sum(1 for c in cases if c["error"] and c["client"] == client) for client in rows.CLIENTS}})
    return out


def write_table(found, results, seed, seconds):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "table.json").write_text(json.dumps({"seed": seed, "seconds": seconds, "rows": found,
                                                "cases": [{k: v for k, v in r.items() if k != "report"} for r in results]}, indent=1))
    lines = ["| row | fault | scenarios | runs | faults injected | verdict |", "|---|---|---|---|---|---|"]
    for row in found:
        verdict = f"RED: {', '.join(row['red'])}" if row["red"] else "green"
        lines.append(f"| {row['row']} | {row['name']} | {', '.join(row['scenarios'])} | {row['cases']} | {row['faults']} | {verdict} |")
    lines.append(f"\n{sum(r['faults'] for r in found)} faults injected in {len(results)} runs, {seconds:.0f} s, seed {seed}.")
    for client in rows.CLIENTS:
        mine = [r for r in results if r["client"] == client]
        lines.append(f"{client}: {len(mine)} runs, {sum(r['hits'] for r in mine)} faults, {sum(1 for r in mine if r['error'])} red.")
    (OUT / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def named(identity, pattern):
    """ROW/SCENARIO/N/CLIENT; what is left out at the end, and *, are any."""
    return all(wanted in ("*", found) for wanted, found in zip(pattern.split("/"), identity.split("/")))


def save_failure(result):
    folder = OUT / "failed"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (result["id"].replace("/", "-") + ".txt")
    path.write_text(f"{result['id']}\n{result['error']}\n\n{result['report']}\n")
    say(f"RED {result['id']}: {result['error'][:600]}\n  (all there is: {path})")


def main():
    parser = argparse.ArgumentParser(description="the fault matrix")
    parser.add_argument("--short", action="store_true", help="every row at least once")
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")], help="these only")
    parser.add_argument("--case", action="append", help="these only, as the table names them: ROW/SCENARIO/N/CLIENT")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=4 * os.cpu_count())
    parser.add_argument("--keep", action="store_true", help="leave the cluster")
    parser.add_argument("--leave", action="store_true", help="leave the namespaces, which go with the cluster")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else int(time.time()) % 100000
    worlds.LEAVE = arguments.leave
    say(f"seed {seed}")
    table = rows.load()
    documented(table)
    began = time.monotonic()
    shutil.rmtree(OUT / "failed", ignore_errors=True)
    if not settings.OPERATOR.exists():
        sys.exit(f"{settings.OPERATOR} is not there: make build")
    was_up = subprocess.run([sys.executable, str(settings.RIG_PROGRAM), "status", "--dir", str(settings.RIG)], stdout=subprocess.DEVNULL).returncode == 0
    try:
        up()
        results = run(arguments, table, seed)
    finally:
        worlds.clean()
        if not (arguments.keep or was_up):
            down()
    found = verdicts(results, table)
    write_table(found, results, seed, time.monotonic() - began)
    for result in results:   # once more at the end: of a long log people see the end
        if result["error"]:
            say(f"RED {result['id']}: {result['error'][:600]}")
    missing = sorted(set(table) - {row["row"] for row in found}) if not (arguments.rows or arguments.case) else []
    assert not missing, f"rows without a run: {missing}"
    return 1 if any(row["red"] for row in found) else 0


class Runs:
    """All runs, so many at a time. Stories of their own need no baseline, and wait more than they compute: the longest come first, and no more than half of the
    workers are at them as long as there is anything else, which is the fault-free runs and then the scenarios with faults."""

    def __init__(self, pool, table, workers):
        self.pool, self.table, self.workers = pool, table, workers
        self.stories, self.others = collections.deque(), collections.deque()
        self.running = {}   # {future: (what it is called, is it a story, function of its result, when it began)}

    def tell_stories(self, cases, ended):
        for case, index in sorted(cases, key=lambda entry: not self.table[entry[0].row][entry[1]].long):
            self.stories.append((case.id, ended, run_case, (case, index, None)))

    def learn(self, names, once, learned):
        """`learned(baselines)` when all are known. Those of `once` have nothing to be compared with: that they pass is all there is to know."""
        runs, baselines = {name: {} for name in names}, {}

        def ended(name, client, result):
            runs[name][client] = result
            if name in once:
                say(f"{name}: {result['writes']} writes without faults, {result['seconds']:.1f} s")
            elif len(runs[name]) == len(rows.CLIENTS):
                baselines[name] = baseline(name, *(runs[name][one] for one in rows.CLIENTS))
            if len(baselines) == len(names - once) and all(runs.values()):
                learned(baselines)
        for name in names:
            for client in rows.CLIENTS[:1 if name in once else None]:
                self.others.append((f"{name}/{client} without faults", functools.partial(ended, name, client), learn, (name, client)))

    def play(self, cases, baselines, ended):
        for case, index in cases:
            self.others.append((case.id, ended, run_case, (case, index, baselines[case.scenario])))

    def all(self):
        """Until nothing is left to run, with a word on it at least every ten seconds."""
        said = 0
        while self._begin():
            done = concurrent.futures.wait(self.running, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED).done
            for future in done:
                _, _, ended, _ = self.running.pop(future)
                ended(future.result())
            if time.monotonic() - said > 9:
                said = time.monotonic()
                oldest = sorted((began, name) for name, _, _, began in self.running.values())[:3]
                say(f"{len(self.running)} runs under way, {len(self.stories) + len(self.others)} to come; for {', '.join(f'{said - began:.0f} s {name}' for began, name in oldest)}")

    def _begin(self):
        """Whether anything runs."""
        while (self.stories or self.others) and len(self.running) < self.workers:
            telling = sum(story for _, story, _, _ in self.running.values())
            story = bool(self.stories) and (telling < max(1, self.workers // 2) or not self.others)
            name, ended, function, given = (self.stories if story else self.others).popleft()
            self.running[self.pool.submit(function, *given)] = name, story, ended, time.monotonic()
        return self.running


def run(arguments, table, seed):
    chosen = [(number, index, row) for number, entries in sorted(table.items()) for index, row in enumerate(entries)
              if not arguments.rows or number in arguments.rows]
    wanted = [int(case.split("/")[0]) for case in arguments.case or []]
    chosen = [entry for entry in chosen if not wanted or entry[0] in wanted]
    names = {name: None for name in scenarios.ALL if any(name in row.scenarios for _, _, row in chosen)
             and (not arguments.case or any(named(f"{row}/{name}", case) for case in arguments.case for row in wanted))}.keys()
    once = names - {name for _, _, row in chosen for name, _ in row.short} if arguments.short else set()
    results = []

    def cases(stories, baselines):
        found = [(case, index) for _, index, row in chosen if stories != bool(row.scenarios) for case in row.cases(baselines, seed, arguments.short)]
        return [(case, index) for case, index in found if not arguments.case or any(named(case.id, one) for one in arguments.case)]

    def ended(result):
        results.append(result)
        if result["error"]:
            save_failure(result)
        if len(results) % 50 == 0:
            say(f"{len(results)} runs, {sum(r['hits'] for r in results)} faults, {sum(1 for r in results if r['error'])} red")

    with concurrent.futures.ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("fork")) as pool:
        runs = Runs(pool, table, arguments.workers)
        runs.tell_stories(cases(True, {}), ended)
        runs.learn(names, once, lambda baselines: runs.play(cases(False, baselines), baselines, ended))
        runs.all()
    return results


if __name__ == "__main__":
    sys.exit(main())
