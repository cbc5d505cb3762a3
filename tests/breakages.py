"""Lines of the operator that are broken on purpose, to show that a test can fail: all compiled into one program, from a copy of the sources, each
behind a name that the environment variable MODELOPS_BROKEN switches on."""

import os
import pathlib
import subprocess
import sys
import typing

REPO = pathlib.Path(__file__).resolve().parents[1]

HEADER = """#pragma once
#include <cstdlib>
#include <cstring>
// True if this breakage is switched on.
inline bool broken(const char* name) {
  static const char* chosen = std::getenv("MODELOPS_BROKEN");
  return chosen && std::strcmp(chosen, name) == 0;
}
"""
INCLUDE = '#include "operator/core/broken.h"\n'


class Breakage(typing.NamedTuple):
    what: str   # its name
    file: str
    old: str    # the text as it is; once in the file
    new: str    # with the breakage, where BROKEN is


def sources(breakages):
    """{file: text} of the tree as it is here, uncommitted changes included, with every breakage in its place."""
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=REPO, check=True, capture_output=True, text=True).stdout.split("\n")
    texts = {file: (REPO / file).read_bytes() for file in files if file and (REPO / file).is_file()}
    stale = []
    for what, file, old, new in breakages:
        text = texts.get(file, b"").decode()
        if text.count(old) != 1:
            stale.append(f"{file}: {what!r} wants a text that is there {text.count(old)} times: {old!r}")
            continue
        text = text.replace(old, new.replace("BROKEN", f'broken("{what}")'))
        texts[file] = (text if INCLUDE in text else text.replace("#include", INCLUDE + "#include", 1)).encode()
    if stale:
        sys.exit("\n".join(stale))
    return {**texts, "operator/core/broken.h": HEADER.encode()}


def build(tree, breakages, target):
    """In `tree`, as a release."""
    for file, text in sources(breakages).items():
        path = tree / file
        if not path.is_file() or path.read_bytes() != text:   # what has not changed is not built again
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
    subprocess.run(["cmake", "--preset", "release"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "--preset", "release", "-j", str(os.cpu_count()), "--target", target], cwd=tree, check=True, stdout=subprocess.DEVNULL)
