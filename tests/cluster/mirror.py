"""A gateway that mirrors requests, as Gateway API's HTTPRouteRequestMirror says, for those that don't. It takes up the HTTPRoutes that name it and answers
`ask()` by their last rule, reaching the Services through the API server."""

import json
import random
import threading
import time

import settings
from kube import ApiError, Kube

GROUP = "gateway.networking.k8s.io/v1"


class MirrorGateway:
    def __init__(self, case, features=("HTTPRouteRequestMirror",)):
        self.case, self.namespace, self.name = case, case.namespace, "mirror"
        self.of_class = f"mirror-{case.namespace}"
        self.features = features
        self.copies = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)

    def __enter__(self):
        kube = self.case.kube
        kube.apply({"apiVersion": GROUP, "kind": "GatewayClass", "metadata": {"name": self.of_class}, "spec": {"controllerName": "modelops.dev/tests"}})
        kube.patch("GatewayClass", self.of_class, {"status": {"conditions": [self._condition("Accepted", 1)],
                                                              "supportedFeatures": [{"name": f} for f in self.features]}}, subresource="status")
        kube.apply({"apiVersion": GROUP, "kind": "Gateway", "metadata": {"name": self.name},
                    "spec": {"gatewayClassName": self.of_class, "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}}, self.namespace)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()
        self.case.kube.delete("GatewayClass", self.of_class)

    def ask(self, path, question):
        """One caller's request: the answer."""
        kube, body = self.case.kube, json.loads(question)
        rule = kube.get("HTTPRoute", "m", self.namespace)["spec"]["rules"][-1]
        backends = [b for b in rule["backendRefs"] if b["weight"]]
        chosen = random.choices(backends, [b["weight"] for b in backends])[0]
        answer = kube.ask(chosen["name"], self.namespace, path, body)
        for filter_ in rule.get("filters", []):
            assert filter_["type"] == "RequestMirror", filter_
            try:
                kube.ask(filter_["requestMirror"]["backendRef"]["name"], self.namespace, path, body)  # its answer is nobody's
                self.copies += 1
            except ApiError as error:
                assert error.code == 503, error  # no proxy knows its pods yet: no caller minds
        return answer

    def _main(self):
        kube = Kube(settings.KUBECONFIG)
        while not self._stop.wait(0.05):
            for route in kube.list("HTTPRoute", self.namespace):
                generation = route["metadata"]["generation"]
                seen = [p["conditions"][0]["observedGeneration"] for p in route.get("status", {}).get("parents", [])]
                if seen == [generation] or not any(p["name"] == self.name for p in route["spec"]["parentRefs"]):
                    continue
                parent = {"parentRef": {"name": self.name}, "controllerName": "modelops.dev/tests",
                          "conditions": [self._condition("Accepted", generation), self._condition("ResolvedRefs", generation)]}
                try:
                    kube.patch("HTTPRoute", route["metadata"]["name"], {"status": {"parents": [parent]}}, self.namespace, "status")
                except ApiError as error:
                    assert error.code in (404, 409), error

    @staticmethod
    def _condition(name, generation):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {"type": name, "status": "True", "reason": name, "message": "", "lastTransitionTime": now, "observedGeneration": generation}
