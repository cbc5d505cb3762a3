#!/usr/bin/env python3
"""Keeps includes inside the modules that each module may see, and third-party libraries inside the modules that own them."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

MAY_SEE = {
    "operator/core": [],
    "operator/json": ["operator/core"],
    "operator/cel": ["operator/core", "operator/json"],
    "operator/audit": ["operator/core", "operator/json"],
    "operator/yaml": ["operator/core", "operator/json"],
    "operator/api": ["operator/core", "operator/json"],
    "operator/store": ["operator/core", "operator/api"],
    "operator/kube": ["operator/core"],
    "operator/runtime": ["operator/core", "operator/json", "operator/yaml", "operator/api", "operator/store", "operator/kube"],
    "operator/evidence": ["operator/core", "operator/json", "operator/cel", "operator/yaml", "operator/api", "operator/store", "operator/kube"],
    "operator/notify": ["operator/core", "operator/json", "operator/yaml", "operator/kube"],
    "operator/export": ["operator/core", "operator/json", "operator/audit", "operator/api", "operator/store", "operator/kube", "operator/fetch"],
    "operator/serve": ["operator/core", "operator/api", "operator/store"],
    "operator/fetch": ["operator/core", "operator/json", "operator/kube"],
    "report/live": ["operator/core", "operator/json", "operator/yaml", "operator/kube", "operator/evidence", "report"],
    "report": ["operator/core", "operator/json"],
    "operator/site": ["operator/core", "operator/json", "operator/kube", "operator/runtime", "operator/serve", "report", "report/live"],
    "reconcilers": ["operator/core", "operator/json", "operator/cel", "operator/audit", "operator/api", "operator/store"],
    "model-server": [],
    "plugin": ["operator/core", "operator/json", "operator/cel", "operator/audit", "operator/yaml", "operator/api", "operator/store", "operator/kube", "operator/fetch", "operator/runtime",
               "operator/evidence", "reconcilers", "report", "report/live"],
}
# Inside reconcilers/: which subject may know which. model/ puts them together and is known to none.
SUBJECTS = {
    "common": [],
    "audit": ["common", "rollout"],
    "measure": ["common"],
    "version": ["common"],
    "lifecycle": ["common", "serving"],
    "serving": ["audit", "common"],
    "governance": ["common", "rollout", "serving"],
    "rollout": ["common", "governance", "measure", "serving"],
    "history": ["common", "rollout"],
    "training": ["common", "measure", "rollout", "serving"],
    "monitors": ["common", "measure", "serving", "training"],
    "runtimes": ["common", "rollout", "serving", "training"],
}
OWNED = {  # library header prefix: modules that may include it
    "cpprest/": ["operator/kube"],
    "pplx/": ["operator/kube"],
    "curl/": ["operator/kube"],
    "archive": ["operator/fetch"],
    "openssl/": ["operator/core", "operator/kube", "operator/fetch", "operator/serve"],
    "simdjson": ["operator/api"],
    "yaml-cpp/": ["operator/kube", "operator/yaml"],
    "prometheus/": ["operator/serve", "model-server", "operator/app"],
    "re2/": ["plugin"],
    "boost/beast": ["operator/serve", "model-server"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def module_of(path: str):
    return next((module for module in MAY_SEE if path == module or path.startswith(module + "/")), None)


def subject_may_see(path: str, header: str) -> bool:
    if not (path.startswith("reconcilers/") and header.startswith("reconcilers/")):
        return True
    subject, other = path.split("/")[1], header.split("/")[1]
    return subject in (other, "model") or other in SUBJECTS[subject]


def main() -> int:
    wrong = []
    for top in ("operator", "reconcilers", "model-server", "plugin", "report"):
        for file in sorted((ROOT / top).rglob("*")):
            if file.suffix not in (".h", ".cpp"):
                continue
            rel = file.relative_to(ROOT).as_posix()
            module = module_of(rel)
            for kind, header in INCLUDE.findall(file.read_text()):
                owners = next((modules for prefix, modules in OWNED.items() if header.startswith(prefix)), None)
                if kind == "<" and owners is not None and not any(rel.startswith(o + "/") for o in owners):
                    wrong.append(f"{rel}: <{header}> belongs in {', '.join(owners)}")
                seen = module_of(header)
                if kind == '"' and not subject_may_see(rel, header):
                    wrong.append(f"{rel}: {rel.split('/')[1]} may not include {header}")
                if kind == '"' and module and seen and seen != module and seen not in MAY_SEE[module]:
                    wrong.append(f"{rel}: {module} may not include {header}")
    print("\n".join(wrong) or "includes: every module includes only what it may")
    return 1 if wrong else 0


sys.exit(main())
