"""Where the cluster tests find what they need. Everything can be pointed elsewhere by the environment."""

import os
import pathlib
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
RIG_PROGRAM = REPO / "tests" / "cluster" / "rig" / "rig.py"
# The folder of the rig (rig.py --dir): not the one of the demo, where another operator may be at work.
RIG = pathlib.Path(os.environ.get("MODELOPS_TEST_RIG") or REPO / ".cluster-test").resolve()
KUBECONFIG = RIG / "kubeconfig"
KUBECTL = RIG / "bin" / "kubectl"
OPERATOR = pathlib.Path(os.environ.get("MODELOPS_TEST_OPERATOR") or REPO / "build" / "release" / "bin" / "model-operator").resolve()
# Logs of operators, and what the processes of one test run tell each other.
STATE = RIG / "tests"

OPERATOR_IMAGE = "localhost/model-operator:dev"
TINY_IMAGE = "localhost/tiny:test"
SYSTEM_NAMESPACE = "model-operator-system"

sys.path.insert(0, str(RIG_PROGRAM.parent))


def prometheus_url():
    return (RIG / "prometheus.url").read_text().strip()
