"""What a Prometheus of the tests has to know of queries that come together (operator/evidence/together.h)."""

import re

LABEL = "modelops_query"
ONE = re.compile(r'label_replace\(\((.*?)\n\), "' + LABEL + r'", "(\d+)", "", ""\)', re.DOTALL)


def queries_of(text):
    """[(labels of its series, query)] of all that the text asks."""
    found = ONE.findall(text) if text.startswith("label_replace((") else []
    return [({LABEL: place}, query) for query, place in found] or [({}, text)]
