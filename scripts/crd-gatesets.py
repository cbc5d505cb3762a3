#!/usr/bin/python3
"""Write crds/modelgatesets.yaml and crds/clustermodelgatesets.yaml, and the gates and monitors in crds/modelpolicies.yaml, which are those of crds/models.yaml, or with --check say whether
they are stale (exit code 1). A CRD cannot refer to another one's schema, so that of a gate and of a monitor is copied, word for word. In a ClusterModelGateSet they may be required besides."""

import argparse
import pathlib
import sys

# The rule that keeps `required` out of other gates and monitors, and the one that takes its place for gates of a ClusterModelGateSet.
FORBIDDEN = "- rule: '!has(self.required)'"
REQUIRED = """\
- rule: '!has(self.required) || !self.required || !self.dryRun'
  message: a gate that is required has consequences; remove required or dryRun
  messageExpression: '"gate \\"" + self.name + "\\" is required, so it has consequences; remove required or dryRun"'
"""
REPO = pathlib.Path(__file__).resolve().parent.parent
KINDS = {
    "ModelGateSet": ("Namespaced", "mgs", "gates and monitors that the Models of one namespace share"),
    "ClusterModelGateSet": ("Cluster", "cmgs", "gates and monitors that the Models of all namespaces share"),
}
CRD = """\
# The kind {kind}. Made by scripts/crd-gatesets.py, its gates and monitors from models.yaml; do not edit by hand.
# It has no status: the ModelRollouts and Models that use it say what is wrong with it.
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {plural}.modelops.dev
  labels:
    app.kubernetes.io/name: model-operator
    app.kubernetes.io/component: crd
    app.kubernetes.io/part-of: model-operator
spec:
  group: modelops.dev
  scope: {scope}
  names:
    kind: {kind}
    listKind: {kind}List
    plural: {plural}
    singular: {singular}
    shortNames: [{short}]
    categories: [modelops]
  versions:
  - name: v1alpha1
    served: true
    storage: true
    additionalPrinterColumns:
    - name: Description
      type: string
      description: What they are for
      jsonPath: .spec.description
    - name: Age
      type: date
      jsonPath: .metadata.creationTimestamp
    schema:
      openAPIV3Schema:
        type: object
        description: {kind} holds {meaning}. They name it under spec.rollout.gateSets and spec.monitorSets.
        required: [spec]
        properties:
          apiVersion:
            type: string
            description: Always modelops.dev/v1alpha1.
          kind:
            type: string
            description: Always {kind}.
          metadata:
            type: object
          spec:
            type: object
            description: Desired state.
            x-kubernetes-validations:
            - rule: has(self.gates) || has(self.monitors)
              message: the set is empty; give it gates, monitors or both
            properties:
              description:
                type: string
                description: What they are for, in a sentence or two.
                maxLength: 1024
{gates}{monitors}"""


def indent_of(line):
    return len(line) - len(line.lstrip())


def under(lines, key):
    """The lines of the first entry `key` among those at the least depth of `lines`, with it."""
    depth = min(indent_of(line) for line in lines)
    start = next(i for i, line in enumerate(lines) if indent_of(line) == depth and line.strip() == f"{key}:")
    end = next((i for i in range(start + 1, len(lines)) if indent_of(lines[i]) <= depth), len(lines))
    return lines[start:end]


def may_be_required(lines, rule):
    start = next(i for i, line in enumerate(lines) if line.strip() == FORBIDDEN)
    depth = indent_of(lines[start])
    end = next(i for i in range(start + 1, len(lines)) if indent_of(lines[i]) <= depth)
    return lines[:start] + [" " * depth + line for line in rule.splitlines()] + lines[end:]


def of_model(depth, *keys):
    """The schema of that field of Model.spec, its first line indented by `depth`."""
    lines = (REPO / "crds" / "models.yaml").read_text().splitlines()
    lines = lines[next(i for i, line in enumerate(lines) if line.strip() == "openAPIV3Schema:"):]
    found = under(lines, "openAPIV3Schema")
    for key in ("properties", "spec", "properties", *keys):
        found = under(found[1:], key)
    shift = indent_of(found[0]) - depth
    return [line[shift:] for line in found]


def gates(depth, scope):
    found = of_model(depth, "rollout", "properties", "gates")
    if scope == "Cluster":
        found = may_be_required(found, REQUIRED)
    return "".join(line + "\n" for line in found)


def monitors(depth, scope):
    found = of_model(depth, "monitors")
    if scope == "Cluster":
        found = may_be_required(found, "")
    return "".join(line + "\n" for line in found)


def between(text, what, lines):
    """`text` with these between the comments that say so."""
    begin, end = (f"              # {what}: {edge}\n" for edge in ("scripts/crd-gatesets.py writes from here", "to here"))
    before, rest = text.split(begin)
    return before + begin + lines + end + rest.split(end)[1]


def policies():
    """crds/modelpolicies.yaml with its gates and monitors as they should be."""
    text = between((REPO / "crds" / "modelpolicies.yaml").read_text(), "gates", gates(14, "Namespaced"))
    return between(text, "monitors", monitors(14, "Namespaced"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is stale")
    arguments = parser.parse_args()
    texts = {"modelpolicies": policies()}
    for kind, (scope, short, meaning) in KINDS.items():
        singular = kind.lower()
        texts[f"{singular}s"] = CRD.format(kind=kind, scope=scope, short=short, meaning=meaning, singular=singular, plural=f"{singular}s", gates=gates(14, scope),
                                              monitors=monitors(14, scope))
    for plural, text in texts.items():
        file = REPO / "crds" / f"{plural}.yaml"
        if not arguments.check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            sys.exit(f"{file.relative_to(REPO)} does not agree with crds/models.yaml: run scripts/crd-gatesets.py")


if __name__ == "__main__":
    main()
