"""A knowledge graph: people write parts.ttl; the stage `train` closes it (what a part of a part is) and publishes it as N-Triples, sorted, so that the same
facts are the same bytes. It is good if it answers the questions whose answers are known."""

import json
import os
import pathlib
import urllib.parse
import urllib.request

import rdflib

import modelops_job as job

HERE = pathlib.Path(__file__).parent
P = rdflib.Namespace("https://parts.example/")


def source():
    return rdflib.Graph().parse(HERE / "parts.ttl", format="turtle")


def questions():
    return json.loads((HERE / "questions.json").read_text())


def validate():
    graph = source()
    loose = [part for part in set(graph.objects(None, P.has)) if not any(graph.triples((part, None, None)))]
    return {"rows": str(len(graph)), "loose_parts": str(len(loose)), "questions": str(len(questions()))}


def train():
    graph = source()
    for whole in set(graph.subjects(P.has, None)):
        for part in graph.transitive_objects(whole, P.has):
            if part != whole:
                graph.add((whole, P.contains, part))
    content = "".join(f"{s.n3()} {p.n3()} {o.n3()} .\n" for s, p, o in sorted(graph)).encode()
    return {"metrics": figures(graph), "artifact": job.store(content, "nt", "rdf"),
            "lineage": {"data": [job.data("parts", (HERE / "parts.ttl").read_bytes(), len(source()))]}}


def names(found):
    return sorted(str(value).removeprefix(P) for value in found)


def figures(graph):
    right = sum(names(row[0] for row in graph.query(q["ask"], initNs={"p": P})) == q["expect"] for q in questions())
    return {"answered": right / len(questions()), "triples": str(len(graph))}


def evaluate():
    candidate, champion = [path and rdflib.Graph().parse(path, format="nt") for path in job.candidate_and_champion()]
    return {"metrics": figures(candidate), **({"championMetrics": figures(champion)} if champion else {})}


def monitor():
    """What serves, asked the same questions."""
    right = 0
    for q in questions():
        query = urllib.parse.urlencode({"query": f"PREFIX p: <{P}> {q['ask']}"})
        with urllib.request.urlopen(f"{os.environ['MODELOPS_STABLE_URL']}/sparql?{query}", timeout=30) as answer:
            rows = json.load(answer)["results"]["bindings"]
        right += names(row["x"]["value"] for row in rows) == q["expect"]
    return {"answered": right / len(questions())}


job.run(validate=validate, train=train, evaluate=evaluate, monitor=monitor)
