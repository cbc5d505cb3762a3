#!/usr/bin/python3
"""Holds what lists kinds by hand against the registry, operator/core/kinds.h. Says what is missing and exits 1."""

import pathlib
import re
import sys

import yaml

REPO = pathlib.Path(__file__).resolve().parent.parent
ROW = re.compile(r'ROW\((\w+), \w+, \w+, "([^"]*)", "(\w+)", "(\w+)",\s*"(\w+)",\s*(\w+), (\w+), (\w+)\)')


def registry():
    text = (REPO / "operator/core/kinds.h").read_text().replace("\\\n", "")
    text = re.sub(r"\s+", " ", text[text.index("#define MODEL_OPERATOR_STORED_KINDS"):text.index("#define MODEL_OPERATOR_OTHER_KINDS")])
    rows = [dict(zip(("name", "group", "version", "plural", "kind", "scope", "watched", "present"), row)) for row in ROW.findall(text)]
    assert len(rows) == text.count("ROW("), "a row of the registry cannot be read"
    return rows


def documents(path):
    return [d for d in yaml.safe_load_all((REPO / path).read_text()) if d]


def may_watch(path, row):
    rules = [rule for document in documents(path) for rule in document.get("rules", [])]
    return any(row["group"] in rule.get("apiGroups", []) and row["plural"] in rule.get("resources", []) and "watch" in rule["verbs"] for rule in rules)


def missing(row):
    if not may_watch("manifests/rbac/operator.yaml", row):
        yield f"manifests/rbac/operator.yaml: the operator may not watch {row['plural']}"
    if row["scope"] == "Namespaced" and not may_watch("manifests/namespaced/role.yaml", row):
        yield f"manifests/namespaced/role.yaml: the operator may not watch {row['plural']}"
    if row["group"] != "modelops.dev":
        return
    crd = REPO / "crds" / f"{row['plural']}.yaml"
    if not crd.exists():
        yield f"crds/{row['plural']}.yaml is not there"
        return
    spec = documents(crd.relative_to(REPO))[0]["spec"]
    if (spec["names"]["kind"], spec["scope"]) != (row["kind"], {"Cluster": "Cluster"}.get(row["scope"], "Namespaced")):
        yield f"{crd.relative_to(REPO)}: kind or scope is not that of the registry"
    if crd.name not in documents("crds/kustomization.yaml")[0]["resources"]:
        yield f"crds/kustomization.yaml does not list {crd.name}"
    for path, wanted in (("scripts/crd-docs.py", f'"{row["plural"]}"'), ("manifests/argocd/kustomization.yaml", f"modelops.dev_{row['kind']}="),
                         ("manifests/rbac/people.yaml", row["plural"]), ("tests/cluster/kube.py", f'"{row["kind"]}":')):
        if wanted not in (REPO / path).read_text():
            yield f"{path} does not name {wanted}"


def main():
    rows = registry()
    mistakes = [mistake for row in rows for mistake in missing(row)]
    if mistakes:
        sys.exit("\n".join(mistakes))
    print(f"kinds: CRDs, rights and lists agree with the {len(rows)} rows of the registry")


main()
