#!/usr/bin/python3
"""Checks what people copy: queries, digests and links in the documents, samples and examples. Says what is wrong and exits 1.

- A selector of a gate names the namespace: else pods of another namespace count in the gate.
- No query turns "no data" into a zero.
- Each digest in README.md is that of the ConfigMap's content beside it.
- Each relative link leads to a file, and each #anchor to a heading.
"""

import hashlib
import pathlib
import re
import subprocess
import sys

import yaml

REPO = pathlib.Path(__file__).resolve().parent.parent
SAMPLES = ("manifests/", "examples/", "demo/", "model-server/", "images/", "docs/")
# One PromQL selector, with placeholders inside: requests_total{namespace="{{namespace}}", code!="200"}
SELECTOR = re.compile(r"\w+\{(?:[^{}]|\{\{\w+\}\})*\}")
OF_A_VERSION = re.compile(r"\{\{(candidate|stable)\}\}")
ZERO = re.compile(r"(?<!… )or vector\(")   # "… or vector(0)" is how the documents speak of it
LINK = re.compile(r"\]\(([^)\s]+)\)")


def tracked():
    """The files of the repository that people read or copy."""
    names = subprocess.run(["git", "ls-files", "*.md", "*.yaml", "--cached", "--others", "--exclude-standard"],
                           cwd=REPO, check=True, text=True, capture_output=True).stdout.split()
    return [name for name in names if name.startswith(SAMPLES) or ("/" not in name and name.endswith(".md"))]


def wrong_queries(text):
    for number, line in enumerate(text.splitlines(), 1):
        for selector in SELECTOR.findall(line):
            if OF_A_VERSION.search(selector) and 'namespace="{{namespace}}"' not in selector:
                yield f'{number}: {selector} does not name the namespace; add namespace="{{{{namespace}}}}"'
        if ZERO.search(line):
            yield f"{number}: `or vector(…)` makes \"no data\" a number; divide by all requests instead"


def yaml_blocks(text):
    return re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)


def whole_example(text):
    """The README's first example: a file for `kubectl apply -f`."""
    return next(list(yaml.safe_load_all(block)) for block in yaml_blocks(text) if "kind: ConfigMap" in block)


def wrong_digests(documents):
    data = {f"configmap://{d['metadata']['name']}/{key}": value for d in documents if d["kind"] == "ConfigMap" for key, value in d["data"].items()}
    for document in documents:
        artifact = document.get("spec", {}).get("artifact")
        if not artifact:
            continue
        digest = "sha256:" + hashlib.sha256(data[artifact["uri"]].encode()).hexdigest()
        if artifact["digest"] != digest:
            yield f"{document['metadata']['name']}: the digest of {artifact['uri']} is {digest}"


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(name, text):
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (REPO / name).parent / path if path else REPO / name
        if not target.exists():
            yield f"the link {link} leads nowhere"
        elif anchor and anchor not in anchors(target.read_text()):
            yield f"the link {link} names no heading"


def main():
    mistakes = []
    for name in tracked():
        text = (REPO / name).read_text()
        mistakes += [f"{name}:{mistake}" for mistake in wrong_queries(text)]
        if name.endswith(".md"):
            mistakes += [f"{name}: {mistake}" for mistake in dead_links(name, text)]
    mistakes += [f"README.md: {mistake}" for mistake in wrong_digests(whole_example((REPO / "README.md").read_text()))]
    if mistakes:
        sys.exit("\n".join(mistakes))
    print("queries, digests and links of the documents and samples are right")


if __name__ == "__main__":
    main()
