"""Fixtures of the cluster tests.

`case`        a fresh namespace, with the operator that serves the whole cluster; many at a time
`private`     a fresh namespace with an operator of its own, which sees nothing else and has a Role's rights; the test may kill it
`alone`       a fresh namespace and no operator at all; no other test runs meanwhile
"""

import contextlib
import os
import re
import uuid

import pytest

import operators
import settings
from case import Case

os.environ["KUBECONFIG"] = str(settings.KUBECONFIG)

from kube import Kube  # noqa: E402 - reads KUBECONFIG


@pytest.fixture(scope="session")
def cluster():
    """The API server, as its admin. run.py has installed everything."""
    return Kube(settings.KUBECONFIG)


@pytest.fixture(scope="session")
def shared(cluster):
    settings.STATE.mkdir(parents=True, exist_ok=True)
    return operators.Shared(cluster)


def namespace_of(request, cluster):
    word = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:38].strip("-")
    name = f"{word}-{uuid.uuid4().hex[:6]}"
    cluster.make_namespace(name, {"modelops.dev/test": "true"})
    cluster.wait_for(lambda: cluster.find("ServiceAccount", "default", name), 30, f"namespace {name} has its ServiceAccount")
    return name


@contextlib.contextmanager
def room(request, cluster, shared, kind):
    """A Case in a fresh namespace, for as long as no test of another kind runs."""
    shared.enter(kind, request.node.nodeid)
    try:
        case = Case(cluster, namespace_of(request, cluster), None)
        try:
            yield case
        finally:
            case.close()
            cluster.delete("Namespace", case.namespace)  # its end is not waited for
    finally:
        shared.leave(request.node.nodeid)


@pytest.fixture
def case(request, cluster, shared):
    with room(request, cluster, shared, "shared") as case:
        case.operator = shared.facts()
        yield case


@pytest.fixture
def private(request, cluster, shared):
    with room(request, cluster, shared, "private") as case:
        arguments = [argument.format(namespace=case.namespace) for mark in request.node.iter_markers("operator") for argument in mark.args]
        case.operator = operators.namespaced(cluster, case.namespace, arguments=arguments)
        try:
            case.operator.start()
            yield case
        finally:
            case.operator.end()


@pytest.fixture
def alone(request, cluster, shared):
    with room(request, cluster, shared, f"alone-{request.node.nodeid}") as case:
        yield case


def pytest_configure(config):
    config.addinivalue_line("markers", "operator(*arguments): further flags of a private operator")


def pytest_collection_modifyitems(items):
    """Tests with operators of their own come last, since the shared one has to end for them; the admission tests stay in one process, for their
    fixtures are made once a module."""
    def order(item):
        names = item.fixturenames
        return 2 if "alone" in names else 1 if "private" in names else 0
    items.sort(key=order)
    for item in items:
        if "test_admission" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("admission"))


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):
        settings.STATE.mkdir(parents=True, exist_ok=True)
        for path in (settings.STATE / "room.json",):
            path.unlink(missing_ok=True)


def pytest_sessionfinish(session):
    """The last word on the operators: those of the first process, when all workers have ended."""
    if not hasattr(session.config, "workerinput") and (settings.STATE / "room.json").exists():
        operators.Shared(None).end()
