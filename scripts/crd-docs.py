#!/usr/bin/python3
"""Write docs/api-reference.md from the CRDs, or with --check say whether it is stale (exit code 1)."""

import argparse
import pathlib
import sys

import yaml

REPO = pathlib.Path(__file__).resolve().parent.parent
CRDS = ("models", "modelversions", "modelrollouts", "trainingruns", "modelruntimes", "modelgatesets", "clustermodelgatesets", "modelpolicies", "modelapprovals", "modelaudits")
REFERENCE = REPO / "docs" / "api-reference.md"
HEAD = """\
# API reference: modelops.dev/v1alpha1

Made from `crds/` by `scripts/crd-docs.py`; do not edit by hand. `kubectl explain model.spec` and so on say the same.

A field is written as its path from the object's root. `[]` means every item of a list, `{}` every value of a map. Rules that span
fields are listed under the field that holds them.
"""


def kind_of(schema):
    """The type as a person would say it."""
    kind = schema.get("type", "any")
    if kind == "array":
        return "list of " + kind_of(schema["items"]) + "s"
    if kind == "object" and "additionalProperties" in schema:
        return "map of " + kind_of(schema["additionalProperties"]) + "s"
    if kind == "object" and schema.get("x-kubernetes-preserve-unknown-fields"):
        return "object (open)"
    if schema.get("format") == "date-time":
        return "time"
    return kind


def bounds(schema):
    """What the schema itself demands beyond the type."""
    words = []
    if "enum" in schema:
        words.append("one of " + ", ".join(f"`{value}`" for value in schema["enum"]))
    if "minimum" in schema and "maximum" in schema:
        words.append(f"{schema['minimum']} to {schema['maximum']}")
    elif "minimum" in schema:
        words.append(f"at least {schema['minimum']}")
    for key, text in (("minItems", "at least {} items"), ("maxItems", "at most {} items"),
                      ("maxProperties", "at most {} entries"), ("maxLength", "at most {} characters")):
        if schema.get(key, 0) > 1 or key == "maxItems" and key in schema:
            words.append(text.format(schema[key]))
    if schema.get("minLength") or schema.get("minItems") == 1:
        words.append("not empty")
    if schema.get("x-kubernetes-list-type") == "set":
        words.append("no duplicates")
    if schema.get("x-kubernetes-list-type") == "map":
        words.append("one per " + " and ".join(schema["x-kubernetes-list-map-keys"]))
    return "; ".join(words)


def default_of(schema):
    if "default" not in schema:
        return ""
    value = schema["default"]
    if isinstance(value, dict):
        value = "{" + ", ".join(f"{k}: {v}" for k, v in value.items()) + "}"
    return f"`{value}`"


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ").strip()


def fields(schema, path):
    """Every field below `schema`, depth first, as (path, schema, required)."""
    if schema.get("type") == "array":
        yield from fields(schema["items"], path + "[]")
        return
    if "additionalProperties" in schema:
        yield from fields(schema["additionalProperties"], path + "{}")
        return
    for name, child in schema.get("properties", {}).items():
        child_path = f"{path}.{name}" if path else name
        yield child_path, child, name in schema.get("required", [])
        yield from fields(child, child_path)


def rules(schema, path):
    """Every CEL rule at or below `schema`, as (path, message)."""
    for rule in schema.get("x-kubernetes-validations", []):
        yield path, rule["message"]
    if schema.get("type") == "array":
        yield from rules(schema["items"], path + "[]")
    if "additionalProperties" in schema:
        yield from rules(schema["additionalProperties"], path + "{}")
    for name, child in schema.get("properties", {}).items():
        yield from rules(child, f"{path}.{name}" if path else name)


def table(schema, path):
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, child, required in fields(schema, path):
        limits = bounds(child)
        meaning = child.get("description", "") + (f" ({limits})" if limits else "")
        kind = kind_of(child) + (", required" if required else "")
        lines.append(f"| `{name}` | {cell(kind)} | {cell(default_of(child))} | {cell(meaning)} |")
    return lines


def columns(version):
    shown = [c for c in version["additionalPrinterColumns"] if not c.get("priority")]
    wide = [c for c in version["additionalPrinterColumns"] if c.get("priority")]

    def words(some):
        return ", ".join(f"{c['name'].upper()} (`{c['jsonPath']}`)" for c in some)

    return f"`kubectl get` prints {words(shown)}" + (f"; `-o wide` adds {words(wide)}" if wide else "") + "."


def without_gates(schema):
    """Gates are told once, at Model."""
    gates = schema["properties"]["spec"]["properties"].get("gates")
    if gates:
        gates["description"] += " Each is as `spec.rollout.gates[]` of a [Model](#model), with the same rules."
        gates["items"] = {"type": "object"}


def chapter(crd):
    spec = crd["spec"]
    names = spec["names"]
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    without_gates(schema)
    scope = "cluster-scoped" if spec["scope"] == "Cluster" else "namespaced"
    lines = [f"## {names['kind']}", "", schema["description"], "",
             f"`{names['plural']}`, short `{names['shortNames'][0]}`, {scope}, category `{names['categories'][0]}`."]
    if "scale" in version.get("subresources", {}):
        lines.append(f"`kubectl scale` sets `{version['subresources']['scale']['specReplicasPath'].lstrip('.')}`.")
    for field in version.get("selectableFields", []):
        lines.append(f"Field selector: `{field['jsonPath'].lstrip('.')}`.")
    lines += ["", columns(version), ""]
    for part in ("spec", "status"):
        if part not in schema["properties"]:
            continue
        child = schema["properties"][part]
        lines += [f"### {names['kind']} {part}", "", child["description"]]
        if "default" in child:
            lines += ["", f"Default: {default_of(child)}."]
        lines += ["", *table(child, part), ""]
    found = list(rules(schema, ""))
    if found:
        lines += [f"### {names['kind']} rules", "", "What the API server refuses, and the words it says so with.", ""]
        lines += [f"- `{path or 'the object'}`: {message}." for path, message in found]
        lines.append("")
    return lines


def render():
    lines = [HEAD]
    for name in CRDS:
        lines += chapter(yaml.safe_load((REPO / "crds" / f"{name}.yaml").read_text()))
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the reference is stale")
    arguments = parser.parse_args()
    text = render()
    if not arguments.check:
        REFERENCE.parent.mkdir(exist_ok=True)
        REFERENCE.write_text(text)
    elif not REFERENCE.exists() or REFERENCE.read_text() != text:
        sys.exit("docs/api-reference.md does not agree with crds/: run scripts/crd-docs.py")


if __name__ == "__main__":
    main()
