"""One certificate authority per rig, its certificates, and kubeconfigs made of them."""

import base64
import json

from riglib.layout import NODE_IP, NODE_NAME
from riglib.util import run

CLIENTS = {  # file name: (user, group)
    "admin": ("rig-admin", "system:masters"),
    "kcm": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "apiserver-kubelet": ("kube-apiserver-kubelet-client", "system:masters"),
    "prometheus": ("rig-prometheus", ""),
    "gateway": ("rig-gateway", ""),
    "kwok": ("rig-kwok", "system:masters"),
}
OPENSSL_CONF = """\
[req]
distinguished_name = dn
prompt = no
[dn]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = clientAuth,serverAuth
[server]
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


def create(layout):
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
             "kubernetes.default.svc.cluster.local"]
    addresses = ["127.0.0.1", "10.96.0.1", NODE_IP]
    sans = ",".join([f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses])
    (layout.pki / "openssl.cnf").write_text(OPENSSL_CONF.format(names=sans))
    _certificate(layout, "ca", "/CN=rig-ca", "ca")
    _certificate(layout, "apiserver", "/CN=kube-apiserver", "server", signer="ca")
    for name, (user, group) in CLIENTS.items():
        subject = (f"/O={group}" if group else "") + f"/CN={user}"
        _certificate(layout, name, subject, "leaf", signer="ca")
    run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
         "-out", layout.pki / "sa.key"])
    run(["openssl", "pkey", "-in", layout.pki / "sa.key", "-pubout", "-out", layout.pki / "sa.pub"])


def _certificate(layout, name, subject, section, signer=None):
    pki = layout.pki
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-days", "3650", "-subj", subject, "-config", pki / "openssl.cnf", "-extensions", section,
               "-keyout", pki / f"{name}.key", "-out", pki / f"{name}.crt"]
    if signer:
        command += ["-CA", pki / f"{signer}.crt", "-CAkey", pki / f"{signer}.key"]
    run(command)


def kubeconfig(layout, client, server):
    def data(name):
        return base64.b64encode((layout.pki / name).read_bytes()).decode()
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "rig",
        "clusters": [{"name": "rig", "cluster": {"server": server, "certificate-authority-data": data("ca.crt")}}],
        "users": [{"name": client, "user": {"client-certificate-data": data(f"{client}.crt"),
                                            "client-key-data": data(f"{client}.key")}}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": client}}],
    }, indent=2) + "\n"
