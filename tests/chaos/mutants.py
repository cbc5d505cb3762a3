#!/usr/bin/python3
"""Shows that each row can fail: for each, a line of the operator which, broken on purpose, turns it red.

    mutants.py [--rows 1,2] [--keep]
    mutants.py --check                 only whether each of these lines is still there

All breakages are compiled into one program, in a worktree of their own, each behind a name that the environment switches on: so one build serves all. Then
the row's runs named here are made with its breakage on, and at least one of them has to be red; with none on, the first of them has to be green.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[1]
TREE = REPO / "build" / "chaos" / "mutants"
sys.path[:0] = [str(HERE), str(HERE.parent)]
os.environ["MODELOPS_TEST_OPERATOR"] = str(TREE / "build" / "release" / "bin" / "model-operator")

from breakages import Breakage, build, sources  # noqa: E402

# (row, what is broken, file, the text as it is, the text with the breakage, runs of which one has to be red). Without texts: the breakage of that
# description which stands elsewhere in the list.
MUTANTS = [
    (1, "a run that is on record is not begun after a crash", "reconcilers/training/run_jobs.cpp",
     "if (!there && uid.empty()) return make_job(part);", "if (!there && uid.empty() && !BROKEN) return make_job(part);", ["1/retraining/1", "1/retraining/2"]),
    (2, "a run that is on record is not begun after a crash", "reconcilers/training/run_jobs.cpp", None, None, ["2/retraining/1", "2/retraining/2", "2/retraining/3"]),
    (2, "retraining that is taken away begins its numbers anew", "reconcilers/training/taken_away.cpp",
     "api::RetrainingStatus& s = out.status = o.model->status.retraining;",
     "api::RetrainingStatus& s = out.status = o.model->status.retraining;\n  if (BROKEN) s.run_number = 0;", ["2/takenaway/3"]),
    (3, "what may not have been made is made under another name", "operator/runtime/executor.cpp",
     "    if (!result) return failed(for_good(action, result.error()));\n",
     "    if (!result) {\n      if (BROKEN && apply && apply->uid.empty() && result.error().kind == ErrorKind::Transport) {\n"
     "        Apply again = *apply;\n        again.target.key.name += \"-again\";\n        Json body = Json::parse(again.body);\n"
     "        body[\"metadata\"][\"name\"] = again.target.key.name;\n        again.body = body.dump();\n        (void)act(again, stop);\n      }\n"
     "      return failed(for_good(action, result.error()));\n    }\n",
     ["3/first/2", "3/first/3", "3/retraining/2"]),
    (3, "the Job of a gate that is watched is named after the step", "reconcilers/rollout/advance_gates.cpp",
     '"background/" + std::to_string(s().attempt)', '"background/" + std::to_string(BROKEN ? s().step_index : s().attempt)', ["3/watched/12"]),
    (4, "a run that is on record is not begun after a crash", "reconcilers/training/run_jobs.cpp", None, None, ["4/retraining/1", "4/retraining/2"]),
    (5, "workers are stopped in the middle of a reconcile", "operator/runtime/controller.cpp",
     "work(*model, wall_now(), hard_stop.get_token());", "work(*model, wall_now(), BROKEN ? stop : hard_stop.get_token());", ["5/canary/1", "5/canary/2", "5/canary/3"]),
    (6, "actions come before the statuses that decide them", "reconcilers/model/plan.cpp",
     "    act();\n",
     "    act();\n    if (BROKEN)\n      std::stable_partition(plan_.actions.begin(), plan_.actions.end(),\n"
     "                            [](const Action& a) { return !std::holds_alternative<WriteStatus>(a); });\n", ["6/rollback/1", "6/canary/1"]),
    (7, "the first list may come from any cache", "operator/runtime/watcher.cpp",
     "    options.send_initial_events = true;\n", "    options.send_initial_events = true;\n    if (BROKEN) options.resource_version = \"0\";\n", ["7/own/1", "7/own/3"]),
    (8, "a watch that was cut begins anew from any cache", "operator/runtime/watcher.cpp",
     "    options.resource_version = start->resource_version;\n", "    options.resource_version = BROKEN ? \"0\" : start->resource_version;\n", ["8/own/1", "8/own/3"]),
    (8, "a watch that was cut begins anew from any cache", "operator/store/store.h",   # which would not believe it
     "if (before) {\n", "if (before && !BROKEN) {\n", []),
    (9, "own writes are not read back", "operator/runtime/executor.cpp",
     "    store.upsert(std::move(*object));\n", "    if (!BROKEN) store.upsert(std::move(*object));\n", ["9/first/1", "9/first/2"]),
    (10, "a deletion removes whatever bears that name", "operator/store/store.h",
     "if (it == objects_.end() || (!uid.empty() && it->second->meta.uid != uid)) return false;",
     "if (it == objects_.end() || (!BROKEN && !uid.empty() && it->second->meta.uid != uid)) return false;", ["10/own/1", "10/own/2"]),
    (11, "what an earlier Model of that name owned counts as this one's", "reconcilers/model/observe.cpp",
     "if (object->meta.controller_uid != o.model->meta.uid && !adopted(", "if (!BROKEN && object->meta.controller_uid != o.model->meta.uid && !adopted(", ["11/own/1"]),
    (12, "what a watch has told of approvals is believed", "reconcilers/rollout/advance_governance.cpp",
     "tally = governance::tally(question, approvals, now_, &*read);", "tally = governance::tally(question, approvals, now_, BROKEN ? nullptr : &*read);", ["12/own/1"]),
    (13, "each generation is a change of the version", "reconcilers/model/intent.cpp",
     "const bool another = !spec_.name.empty() && spec_.name != s().spec_version;",
     "const bool another = !spec_.name.empty() && (spec_.name != s().spec_version || (BROKEN && m_.meta.generation > s().spec_generation && !s().spec_version.empty()));", ["13/own/1", "13/own/3"]),
    (13, "each generation is a change of the version", "reconcilers/model/intent.cpp",
     "if (version == s().stable_version && !asks_for_another_template(version)) return close_intent(\"Succeeded\", \"\", \"\");",
     "if (version == s().stable_version && !asks_for_another_template(version) && !BROKEN) return close_intent(\"Succeeded\", \"\", \"\");", []),
    (14, "the second write to a paused rollout lets it go on", "reconcilers/rollout/advance.cpp",
     '  if (wants("Paused"))\n', '  if (wants("Paused") && !(BROKEN && in_.rollout.meta.generation > 2))\n', ["14/own/1"]),
    (15, "what a list does not name stays", "operator/store/store.h",
     "if (listed.count(it->first) || newer) {", "if (listed.count(it->first) || newer || BROKEN) {", ["15/own/5", "15/own/6", "15/own/7", "15/own/8"]),
    (16, "a Job that disappeared is made again", "reconcilers/training/run_jobs.cpp",
     "    return {Is::Failed, \"Job \" + job_name + \" disappeared", "    if (BROKEN) return make_job(part);\n"
     "    return {Is::Failed, \"Job \" + job_name + \" disappeared", ["16/own/1", "16/own/2"]),
    (17, "an older event overwrites what is held", "operator/store/store.h",
     "if (!rv_less(held, ptr->meta.resource_version)) return false;", "if (BROKEN ? held == ptr->meta.resource_version : !rv_less(held, ptr->meta.resource_version)) return false;", ["17/canary/1", "17/retraining/1"]),
    (17, "what was told before is taken for the past", "operator/runtime/watch_machine.cpp",
     "  if (rv_less(resource_version_, line.resource_version)) resource_version_ = line.resource_version;\n",
     "  if (BROKEN && !rv_less(resource_version_, line.resource_version)) return Step{Effect::BackInTime, GoOn{}, {}};\n"
     "  if (rv_less(resource_version_, line.resource_version)) resource_version_ = line.resource_version;\n", ["17/watched/1"]),
    (18, "a 410 in a stream is passed over", "operator/runtime/watcher.cpp",
     "      return failed(error_of(*event));\n", "      if (BROKEN) return watch::GoOn{};\n      return failed(error_of(*event));\n", ["18/first/1"]),
    (19, "after a 410 on page two it pages again", "operator/runtime/watch_machine.cpp", "    whole_list_ = true;\n", "    whole_list_ = !BROKEN;\n", ["19/canary/1"]),
    (20, "silence is borne for ever", "operator/kube/client.cpp",
     "request.idle_deadline = options.idle_deadline;", "request.idle_deadline = options.idle_deadline * (BROKEN ? 1000 : 1);", ["20/own/1"]),
    (21, "silence is borne for ever", "operator/kube/client.cpp", None, None, ["21/own/1", "21/own/2"]),
    (22, "after a cut it goes on from the present", "operator/runtime/watch_machine.cpp",
     "  if (state_ != State::Probing) return {};\n  cut_ = false;\n",
     "  if (state_ != State::Probing) return {};\n  cut_ = false;\n  if (BROKEN) resource_version_ = probed.resource_version;\n", ["22/own/1", "22/own/2"]),
    (23, "an event that cannot be read is passed over", "operator/runtime/watcher.cpp",
     "  if (!event) return failed(event.error());\n", "  if (!event) return BROKEN ? watch::Command(watch::GoOn{}) : failed(event.error());\n", ["23/first/1", "23/first/2"]),
    (24, "a watch that fails again and again does not wait longer", "operator/runtime/watch_machine.cpp",
     "backoff(options_, failures_, random)", "backoff(options_, BROKEN ? 1 : failures_, random)", ["24/own/1"]),
    (24, "that lists are answered is good news of a watch", "operator/runtime/watcher.cpp",
     "  return step(watch::Probed{meta->resource_version});\n",
     "  if (BROKEN) note([](WatchHealth& health) { health.heard(now()); });\n  return step(watch::Probed{meta->resource_version});\n", ["24/own/1"]),
    (25, "an event of unknown type ends the watch", "operator/runtime/watcher.cpp",
     "    case watch::Line::Type::Bookmark:\n    case watch::Line::Type::Unknown:\n      break;\n",
     "    case watch::Line::Type::Unknown:\n      if (BROKEN) return failed(Error{ErrorKind::Malformed, \"unknown\", 0, {}, {}});\n      break;\n"
     "    case watch::Line::Type::Bookmark:\n      break;\n", ["25/first/1"]),
    (26, "a conflict is not tried again", "operator/runtime/executor.cpp",
     "outcome.kind = apply && apply->uid.empty() ? in_the_way(model, target) : Outcome::Kind::Conflict;",
     "outcome.kind = BROKEN ? Outcome::Kind::Cancelled : apply && apply->uid.empty() ? in_the_way(model, target) : Outcome::Kind::Conflict;", ["26/first/1", "26/canary/1"]),
    (27, "Retry-After holds nobody back", "operator/runtime/controller.cpp",
     "if (retry_after > Duration{0}) parts_", "if (retry_after > Duration{0} && !BROKEN) parts_", ["27/first/1"]),
    (28, "a server's error is not tried again", "operator/runtime/executor.cpp",
     "    case ErrorKind::Malformed:\n      outcome.kind = Outcome::Kind::Retry;",
     "    case ErrorKind::Malformed:\n      outcome.kind = BROKEN ? Outcome::Kind::Cancelled : Outcome::Kind::Retry;", ["28/first/1", "28/canary/1"]),
    (29, "an API server that is behind is not asked again", "operator/runtime/watch_machine.cpp",
     "resource_version_too_large(error)) cut_ = true;\n",
     "resource_version_too_large(error)) cut_ = true;\n  if (BROKEN && resource_version_too_large(error)) return wait(Next::Watch, now, random, Duration(3600'000));\n",
     ["29/canary/1"]),
    (30, "one worker for all Models", "operator/app/operator.cpp",
     "controller_.run(options_.workers, stop);", "controller_.run(BROKEN ? 1 : options_.workers, stop);", ["30/own/1"]),
    (31, "a body that was sent is sent again on another connection", "operator/kube/curl_exchange.h",
     "  int on_seek(curl_off_t offset) const {\n",
     "  int on_seek(curl_off_t offset) {\n    if (BROKEN && offset == 0) {\n      sent_ = 0;\n      return CURL_SEEKFUNC_OK;\n    }\n", ["31/canary/3/curl", "31/retraining/3/curl"]),
    (32, "what was refused is not tried again", "operator/runtime/controller.cpp",
     "      parts_.queue.retry(model, std::max(retry_after, outcome.fresh_refusal ? Duration{0} : kRefusedWait));\n",
     "      if (!BROKEN) parts_.queue.retry(model, std::max(retry_after, outcome.fresh_refusal ? Duration{0} : kRefusedWait));\n", ["32/first/1"]),
    (32, "Jobs come before what serves, refused or not", "reconcilers/model/plan.cpp",
     "    for (auto part = parts.begin(); part != refused; ++part) append(", "    if (BROKEN) std::reverse(parts.begin(), parts.end());\n"
     "    for (auto part = parts.begin(); part != refused; ++part) append(", ["32/own/1", "32/own/2"]),
    (33, "a token is read once", "operator/kube/credentials.cpp",
     "  if (!due(token_read_at_, now, times_.token_lifetime)) return token_;\n",
     "  if (!due(token_read_at_, now, times_.token_lifetime) || (BROKEN && !token_.empty())) return token_;\n", ["33/own/1"]),
    (34, "certificates are read once", "operator/kube/credentials.cpp",
     "  if (tls_ && !due(tls_checked_at_, now, times_.file_check)) return tls_;\n",
     "  if (tls_ && (BROKEN || !due(tls_checked_at_, now, times_.file_check))) return tls_;\n", ["34/own/1", "34/own/2"]),
    (34, "any server is believed", "operator/kube/transport_curl.cpp",
     "    if (config.insecure_skip_tls_verify) {\n", "    if (config.insecure_skip_tls_verify || BROKEN) {\n", ["34/own/2/curl"]),
    (35, "what may not be read is taken for empty", "operator/runtime/watch_machine.cpp",
     "  if (options_.optional && may_not) {\n", "  if ((options_.optional || BROKEN) && may_not) {\n", ["35/own/3", "35/own/5"]),
    (36, "what is to be made may be there already", "operator/runtime/executor.cpp",
     "makes ? kMustNotExist :", "makes && !BROKEN ? kMustNotExist :", ["36/own/11", "36/own/12"]),
    (37, "a Lease has run out when its time says so", "operator/runtime/leader.cpp",
     "  const std::string mark = seen.holder +",
     "  if (BROKEN) {\n    const auto renewed = parse_time(seen.renew_time);\n"
     "    return renewed && std::chrono::system_clock::now() - *renewed > seen.duration;\n  }\n  const std::string mark = seen.holder +", ["37/own/3"]),
    (38, "status names a rollout that never was", "reconcilers/model/status.cpp",
     "if (is_or_will_be(f_.rollout_name)) shown", "if (is_or_will_be(f_.rollout_name) || (BROKEN && !f_.rollout_name.empty())) shown", ["38/own/2"]),
    (39, "an object that cannot be read ends its watch", "operator/runtime/watcher.cpp",
     "  if (taken) return;\n", "  if (taken) return;\n  if (BROKEN) throw std::runtime_error(\"unreadable\");\n", ["39/own/9", "39/own/10"]),
    (40, "a Model that is being deleted is looked after", "reconcilers/model/plan.cpp",
     "if (observed.model->meta.deleting) return serving::", "if (observed.model->meta.deleting && !BROKEN) return serving::", ["40/own/1"]),
    (41, "a state of the past is taken for an older one", "operator/runtime/watcher.cpp",
     "if (step.effect == watch::Effect::BackInTime && options_.back_in_time)", "if (step.effect == watch::Effect::BackInTime && options_.back_in_time && !BROKEN)", ["41/own/1"]),
]


# ---- what is broken, in its places

def in_places():
    return [Breakage(what, file, old, new) for _, what, file, old, new, _ in MUTANTS if old is not None]


# ---- runs with one of them

def run_broken(name, case, index, baseline):
    import run
    os.environ["MODELOPS_BROKEN"] = name
    try:
        return run.run_case(case, index, baseline)
    finally:
        del os.environ["MODELOPS_BROKEN"]


def main():
    parser = argparse.ArgumentParser(description="each row can fail")
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--keep", action="store_true", help="leave the cluster")
    parser.add_argument("--workers", type=int, default=4 * os.cpu_count())
    parser.add_argument("--check", action="store_true", help="only whether each line that is to be broken is there")
    arguments = parser.parse_args()
    if arguments.check:
        sources(in_places())
        return 0
    build(TREE, in_places(), "model-operator")
    import run   # finds the other folders
    import rows
    import scenarios
    table = rows.load()
    seed = 1
    try:
        run.up()
        with concurrent.futures.ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("fork")) as pool:
            chosen = [mutant for mutant in MUTANTS if not arguments.rows or mutant[0] in arguments.rows]
            named = {pattern.split("/")[1] for mutant in chosen for pattern in mutant[5]}
            baselines = run.learn_all(pool, [name for name in scenarios.ALL if name in named])
            jobs, control = [], {}
            for mutant in chosen:
                cases = [(case, index) for index, row in enumerate(table[mutant[0]]) for case in row.cases(baselines, seed)
                         if any(run.named(case.id, pattern) for pattern in mutant[5])]
                for case, index in cases:
                    jobs.append((mutant, pool.submit(run_broken, mutant[1], case, index, baselines.get(case.scenario))))
                if not cases:   # a second place of one breakage
                    continue
                case, index = cases[0]
                control.setdefault(mutant[0], pool.submit(run_broken, "nothing", case, index, baselines.get(case.scenario)))
            results = {}
            for mutant, job in jobs:
                result = job.result()
                run.say(f"{result['id']} {'red' if result['error'] else 'GREEN'}, with broken: {mutant[1]}")
                results.setdefault((mutant[0], mutant[1]), []).append(result)
            sound = [future.result() for future in control.values()]
    finally:
        run.worlds.clean()
        if not arguments.keep:
            run.down()
    return tell(results, sound, table, arguments)


def tell(results, sound, table, arguments):
    lines = ["| row | broken | runs | red | first red |", "|---|---|---|---|---|"]
    for (row, what), told in sorted(results.items()):
        red = [t for t in told if t["error"]]
        first = f"{red[0]['id']}: {red[0]['error'].splitlines()[0][:110]}" if red else "STAYED GREEN"
        lines.append(f"| {row} | {what} | {len(told)} | {len(red)} | {first} |")
    wrong = [f"{t['id']}: {t['error'].splitlines()[0][:200]}" for t in sound if t["error"]]
    lines.append(f"\nWith nothing broken: {len(sound)} runs, {len(wrong)} red. {' '.join(wrong)}")
    without = sorted(set(arguments.rows or table) - {row for row, _ in results})
    if without:
        lines.append(f"Rows without a breakage: {', '.join(map(str, without))}.")
    out = REPO / "build" / "chaos"
    (out / "mutants.md").write_text("\n".join(lines) + "\n")
    (out / "mutants.json").write_text(json.dumps([{"broken": what, **t} for (_, what), told in results.items() for t in told], indent=1))
    print("\n".join(lines))
    return 0 if not wrong and all(any(t["error"] for t in told) for told in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
