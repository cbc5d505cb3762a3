#!/usr/bin/python3
"""Shows that the explorer can fail: lines of the planner that are broken on purpose, each of which it has to find.

    mutants.py [WORDS]      only those with these words in their description
    mutants.py --check      only whether each of these lines is still there

All breakages are compiled into one program, from a copy of the sources in build/explore, each behind a name that the environment switches on. With none
on, every world that is named here has to be without a violation.
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from breakages import REPO, Breakage, build, sources  # noqa: E402

TREE = REPO / "build" / "explore"
MOST = "60000"

# (what is broken, file, the text as it is, the text with the breakage, a world that it shows in, what the violation says)
MUTANTS = [
    ("a gate that is still measuring lets pass", "reconcilers/rollout/advance_gates.cpp",
     "if (!pass_gate(*gate, attempt())) all = false;", "if (!pass_gate(*gate, attempt()) && !BROKEN) all = false;", "a canary that fails", "I2"),
    ("traffic turns to a candidate that is not ready", "reconcilers/serving/serve.cpp",
     "if (state_.candidate_ready_for(100)) return Selected::Candidate;", "if (BROKEN || state_.candidate_ready_for(100)) return Selected::Candidate;",
     "a candidate that is never ready", "rule 6"),
    ("old pods go as soon as the Service has turned", "reconcilers/serving/serve.cpp",
     "given_up || state_.routed ? std::nullopt", "BROKEN || given_up || state_.routed ? std::nullopt", "a canary that succeeds", "rule 6"),
    ("stable is cut before the candidate carries its part", "reconcilers/serving/capacity.cpp",
     "  if (goal.stable < stable.wanted &&\n", "  if (!BROKEN && goal.stable < stable.wanted &&\n", "two pods", "rule 6"),
    ("actions come before the statuses that decide them", "reconcilers/model/plan.cpp",
     "    act();\n",
     "    act();\n    if (BROKEN)\n      std::stable_partition(plan_.actions.begin(), plan_.actions.end(),\n"
     "                            [](const Action& a) { return !std::holds_alternative<WriteStatus>(a); });\n", "a canary that succeeds", "I2"),
    ("what an earlier Model of that name owned counts as this one's", "reconcilers/model/observe.cpp",
     "if (object->meta.controller_uid != o.model->meta.uid && !adopted(", "if (!BROKEN && object->meta.controller_uid != o.model->meta.uid && !adopted(",
     "a Model deleted", "I4"),
    ("a rollout is known by its name alone", "reconcilers/model/intent.cpp",
     "return r.meta.key.name == i.rollout && r.version == i.version && !anew;",
     "return r.meta.key.name == i.rollout && (BROKEN || (r.version == i.version && !anew));", "written, deleted", "at rest"),
    ("a rollout that somebody deleted was never made", "reconcilers/model/intent.cpp",
     "if (const auto r = carrier()) intent().rollout_uid = r->meta.uid;",
     "if (const auto r = carrier(); r && !BROKEN) intent().rollout_uid = r->meta.uid;", "aborted or deleted", "at rest"),
    ("a Service that is not given back is left behind", "reconcilers/serving/adopt.cpp",
     "    if (!m_.adopt) take_along();\n", "    if (!BROKEN && !m_.adopt) take_along();\n", "adopted", "at rest: it is not as it was"),
    ("what a watch has told of approvals is believed", "reconcilers/rollout/advance_governance.cpp",
     "tally = governance::tally(question, approvals, now_, &*read);", "tally = governance::tally(question, approvals, now_, BROKEN ? nullptr : &*read);",
     "an approval, its revocation", "policy"),
    ("who wrote the change may approve it", "reconcilers/governance/approvals.cpp",
     'if (q_.record.separate_author) return "the author', 'if (q_.record.separate_author && !BROKEN) return "the author', "an approval, its revocation", "policy"),
    ("nobody looks again after a write", "reconcilers/model/plan.cpp",
     "    if (look_again_) plan_.requeue_after", "    if (BROKEN) plan_.at_once = false;\n    if (look_again_) plan_.requeue_after", "a first version", "at rest"),
]


def in_places():
    return [Breakage(*mutant[:4]) for mutant in MUTANTS]


def explore(world, broken=""):
    run = subprocess.run([TREE / "build/release/bin/explore", "--most", MOST, "--world", world], capture_output=True, text=True,
                         env={**os.environ, "MODELOPS_BROKEN": broken})
    verdicts = [line[3:] for line in run.stdout.split("\n") if line.startswith("=> ")]
    return run.returncode, verdicts[0] if verdicts else ""


def main():
    words = sys.argv[1] if len(sys.argv) > 1 else ""
    if words == "--check":
        sources(in_places())
        return
    chosen = [m for m in MUTANTS if words in m[0]]
    build(TREE, in_places(), "explore")
    failures = 0
    for world in sorted({m[4] for m in chosen}):
        code, verdict = explore(world)
        failures += code != 0
        print(f"{'ok' if code == 0 else 'WRONG':6} nothing is broken: {world}: {verdict or 'no violation'}", flush=True)
    for what, _, _, _, world, says in chosen:
        code, verdict = explore(world, what)
        found = code == 1 and verdict.startswith(says)
        failures += not found
        print(f"{'ok' if found else 'MISSED':6} {what}: {verdict or 'not found'}", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
