"""The demo on somebody's cluster asks before it writes. A program of ours stands for kubectl, and has on record what it was asked.

    python3 demo/test_cluster.py        (seconds, no cluster)
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
NODE = {"metadata": {"labels": {"kubernetes.io/hostname": "n1"}}, "spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
KUBECTL = r"""#!/bin/sh
echo "$*" >> "$RECORD"
while IFS='|' read -r words answer; do
  case "$*" in *"$words"*) printf '%s\n' "$answer"; exit 0;; esac
done < "$ANSWERS"
case "$*" in "auth can-i"*) echo yes;; esac
"""
FINE = {"--raw /version": '{"gitVersion": "v1.36.0"}', "get nodes": json.dumps({"items": [NODE]}), "get storageclass": '{"items": []}'}
READS = ("get ", "config ", "auth can-i ")


class OwnCluster(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.record = self.folder / "record"
        self.record.touch()
        (self.folder / "kubectl").write_text(KUBECTL)
        (self.folder / "kubectl").chmod(0o755)

    def check(self, answers, argument="--check", **environment):
        """(exit code, what the demo said), and it has only read."""
        (self.folder / "answers").write_text("".join(f"{words}|{answer}\n" for words, answer in answers.items()))
        done = subprocess.run([sys.executable, HERE / "demo.py", argument], text=True, capture_output=True, env={
            **{k: v for k, v in os.environ.items() if not k.startswith("DEMO_")}, "PATH": f"{self.folder}:{os.environ['PATH']}", "KUBECONFIG": "/somebody/s",
            "RECORD": str(self.record), "ANSWERS": str(self.folder / "answers"), "DEMO_LOAD": "cat {}", "PYTHONDONTWRITEBYTECODE": "1", **environment})
        for asked in self.record.read_text().splitlines():
            self.assertTrue(asked.startswith(READS), asked)
        return done.returncode, done.stdout + done.stderr

    def test_a_fitting_cluster(self):
        code, said = self.check(FINE)
        self.assertEqual(code, 0, said)
        self.assertIn("retraining part is left out", said)

    def test_no_way_for_images_is_told_and_nobody_asked(self):
        code, said = self.check(FINE, DEMO_LOAD="")
        self.assertEqual(code, 1)
        self.assertIn("DEMO_REGISTRY", said)
        self.assertEqual(self.record.read_text(), "")

    def test_missing_rights_are_named(self):
        code, said = self.check({**FINE, "can-i create clusterroles": "no", "can-i delete namespaces": "no"})
        self.assertEqual(code, 1)
        self.assertIn("you may not create clusterroles.rbac.authorization.k8s.io", said)
        self.assertIn("you may not delete namespaces", said)
        self.assertIn("has changed nothing", said)

    def test_an_installation_of_somebody_else_is_left_alone(self):
        code, said = self.check({**FINE, "get crd": "customresourcedefinition.apiextensions.k8s.io/models.modelops.dev"})
        self.assertEqual(code, 1)
        self.assertIn("a model-operator is installed here", said)

    def test_what_an_earlier_demo_left_is_no_obstacle(self):
        code, said = self.check({**FINE, "get crd": "customresourcedefinition.apiextensions.k8s.io/models.modelops.dev",
                                 "get namespace -l modelops.dev/demo=true": "namespace/modelops-demo"})
        self.assertEqual(code, 0, said)

    def test_removing_takes_nothing_where_no_demo_was(self):
        code, said = self.check(FINE, "--remove")
        self.assertEqual(code, 0, said)
        self.assertIn("no demo here", said)

    def test_a_node_of_another_architecture(self):
        code, said = self.check({**FINE, "get nodes": '{"items": []}'})
        self.assertEqual(code, 1)
        self.assertIn("amd64", said)


if __name__ == "__main__":
    unittest.main()
