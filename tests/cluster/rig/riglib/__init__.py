"""The test rig: a real Kubernetes on one machine, without internet or Docker."""
