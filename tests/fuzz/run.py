#!/usr/bin/env python3
"""Runs the fuzz targets, a few at a time, and says what became of each.

    run.py [--seconds N] [--jobs N] [--seed N] [TARGET…]    all targets, 600 s each, one job a core; `make fuzz` builds first

What a run learns is kept in build/fuzz/learnt/TARGET/ and is where the next one goes on; the seeds in corpus/TARGET/ are never written. An input
that breaks something is in build/fuzz/findings/TARGET/, and the target's output in build/fuzz/TARGET.log. With --seed a run
starts from the corpus alone and tries the same inputs on every machine, so that what turns CI red is the change at hand. To see one again:

    build/fuzz/bin/fuzz-TARGET build/fuzz/findings/TARGET/crash-…
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "fuzz"
# Longer inputs say nothing new and cost time; 0: what libFuzzer takes from the seeds.
MAX_LENGTH = {"values": 200, "config": 2000}
SECONDS_AN_INPUT = 20
MEMORY_MB = 1500


def targets():
    return sorted(file.stem for file in HERE.glob("*.cpp") if f"fuzz_target({file.stem} " in (HERE / "CMakeLists.txt").read_text())


def run(target, seconds, seed):
    learnt, findings = BUILD / ("learnt" if seed is None else "seeded") / target, BUILD / "findings" / target
    if seed is not None:
        shutil.rmtree(learnt, ignore_errors=True)
    learnt.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    dictionary = HERE / "dictionaries" / f"{target}.dict"
    command = [BUILD / "bin" / f"fuzz-{target}", learnt, HERE / "corpus" / target, f"-max_total_time={seconds}", f"-timeout={SECONDS_AN_INPUT}",
               f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={findings}/", "-print_final_stats=1", f"-max_len={MAX_LENGTH.get(target, 0)}"]
    if seed is not None:
        command.append(f"-seed={seed}")
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    environment = {**os.environ, "ASAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-14", "UBSAN_OPTIONS": "print_stacktrace=1",
                   "ASAN_OPTIONS": "detect_stack_use_after_return=0:strict_string_checks=1:malloc_context_size=4:quarantine_size_mb=8"}
    log = BUILD / f"{target}.log"
    began = time.monotonic()
    with open(log, "wb") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=BUILD).returncode
    text = log.read_text(errors="replace")
    number = lambda pattern: int((re.findall(pattern, text) or ["0"])[-1])
    return {"target": target, "ok": code == 0, "log": text, "seconds": time.monotonic() - began, "runs": number(r"number_of_executed_units: (\d+)"),
            "edges": number(r" cov: (\d+)"), "inputs": number(r" corp: (\d+)"), "seed": number(r"INFO: Seed: (\d+)")}


def show(result):
    print(f"{result['target']:10}{result['seconds']:>8.0f}{result['runs']:>11}{result['edges']:>8}{result['inputs']:>8}  "
          f"{'held' if result['ok'] else 'BROKEN'}  (seed {result['seed']})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    options = parser.parse_args()
    chosen = options.targets or targets()
    if unknown := set(chosen) - set(targets()):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(targets())}")
    print(f"{'target':10}{'seconds':>8}{'inputs run':>11}{'edges':>8}{'kept':>8}")
    broken = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, target, options.seconds, options.seed) for target in chosen]):
            show(done.result())
            if not done.result()["ok"]:
                broken.append(done.result())
    for result in broken:
        print(f"\n---- {result['target']}: build/fuzz/{result['target']}.log, input in build/fuzz/findings/{result['target']}/\n")
        progress = re.compile(r"^(#\d+|\tNEW_FUNC|INFO)")
        print("\n".join([line for line in result["log"].splitlines() if not progress.match(line)][:60]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
