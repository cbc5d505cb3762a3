#!/usr/bin/python3
"""Runs test suites, which are targets of the Makefile, one after the other.

    suites.py NAME SUITE… [--beside SUITE…]      NAME: what all of them together are called

Suites that mostly wait for a cluster leave processors idle: those after `--beside` run meanwhile, one after the other too, and give way to the others (nice).
Their output is in build/suites/SUITE.log and is shown when one ends. Whoever is silent for ten seconds is spoken for. After a failure nothing more begins.
Each suite's time is noted, and that of all (suite-times.py).
"""

import pathlib
import subprocess
import sys
import threading
import time

REPO = pathlib.Path(__file__).resolve().parent.parent
LOGS = REPO / "build" / "suites"
TIMES = REPO / "scripts" / "suite-times.py"
MAKE = ["make", "--no-print-directory"]
SILENCE = 9
WAY = 3          # how far those beside give way, as `nice` counts: a cluster has many threads, and who got a twentieth of a processor would run into limits
LAST_LINES = {True: 6, False: 200}   # of a suite that ran beside, by whether it passed


def note(name, seconds, lock=threading.Lock()):
    with lock:   # it reads the file and writes it anew
        subprocess.run([sys.executable, TIMES, "add", name, f"{seconds:.0f}"], check=True)


class Screen:
    """One output for all. What a suite prints appears as it comes, half lines too."""

    def __init__(self):
        self.lock, self.last, self.half = threading.Lock(), time.monotonic(), False

    def put(self, data):
        with self.lock:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            self.last, self.half = time.monotonic(), not data.endswith(b"\n")

    def say(self, text):
        self.put(b"\n" * self.half + f"=== {text}\n".encode())

    def silent(self):
        with self.lock:
            return time.monotonic() - self.last > SILENCE


class Lane:
    """Suites one after the other."""

    def __init__(self, screen, suites, beside):
        self.screen, self.suites, self.beside = screen, suites, beside
        self.now = self.began = None
        self.took, self.failed = [], []

    def run(self, others):
        for suite in self.suites:
            if any(lane.failed for lane in others):
                return
            self.now, self.began = suite, time.monotonic()
            self.screen.say(f"{suite}{' begins beside' if self.beside else ''}")
            passed = self._beside(suite) if self.beside else self._before_all(suite)
            took, self.now = time.monotonic() - self.began, None
            self.screen.say(f"{suite}: {took:.0f} s{'' if passed else ', FAILED'}")
            self.took.append(f"{suite} {took:.0f} s")
            if not passed:
                self.failed.append(suite)
                return
            note(suite, took)

    def _before_all(self, suite):
        process = subprocess.Popen([*MAKE, suite], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while data := process.stdout.read1(1 << 16):
            self.screen.put(data)
        return process.wait() == 0

    def _beside(self, suite):
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"{suite}.log"
        with open(log, "wb") as out:
            passed = subprocess.run(["nice", "-n", str(WAY), *MAKE, suite], cwd=REPO, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT).returncode == 0
        lines = log.read_text(errors="replace").splitlines()
        self.screen.say(f"{suite} {'passed' if passed else 'FAILED'}; the end of {log.relative_to(REPO)}:")
        self.screen.put("".join(f"    {line}\n" for line in lines[-LAST_LINES[passed]:]).encode())
        return passed

    def word(self):
        """What it is at: the suite, since when, and of those that nobody sees the last line."""
        suite, began = self.now, self.began
        if not suite:
            return ""
        text = f"{suite} {time.monotonic() - began:.0f} s"
        log = LOGS / f"{suite}.log"
        if self.beside and log.exists():
            last = next((line.strip() for line in reversed(log.read_text(errors="replace").splitlines()) if line.strip()), "")
            text += f" ({last[:90]})" if last else ""
        return text


def main():
    called, arguments = sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]
    at = arguments.index("--beside") if "--beside" in arguments else len(arguments)
    if not arguments[:at] or any(name.startswith("-") for name in arguments[:at] + arguments[at + 1:]):
        sys.exit(__doc__)
    screen, began = Screen(), time.monotonic()
    lanes = [Lane(screen, suites, beside) for suites, beside in ((arguments[:at], False), (arguments[at + 1:], True))]
    threads = [threading.Thread(target=lane.run, args=(lanes,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.join(0.5)
        if screen.silent():
            screen.say("; ".join(filter(None, (lane.word() for lane in lanes))) or "…")
    took, failed = time.monotonic() - began, [suite for lane in lanes for suite in lane.failed]
    if not failed:
        note(f"make {called}", took)
    screen.say(f"{'FAILED: ' + ', '.join(failed) if failed else 'all passed'} in {took:.0f} s: {', '.join(part for lane in lanes for part in lane.took)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
