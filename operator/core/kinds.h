// The registry of kinds: one row each. From it follow the enum and its names (core/ids), KindOf (api/parse), stores and their visitor
// (store), the counters (serve/metrics), what `kubectl model plan` lists (plugin/plan) and the simulator's API server.
//
// A kind that is stored needs besides its row: the struct and its parse<T>() (api), models_of() (store) and its watch (runtime/informers),
// which says whom an event wakes. `make verify` holds CRDs, rights and lists in manifests against these rows.
#pragma once

// Enum, C++ type in mo::api, member of Stores, group, version, plural, kind, scope, watched, present.
//   scope:   Namespaced | Cluster
//   watched: All | Ours (those with our label) | Names (metadata only)
//   present: Always | Maybe (not in every cluster)
#define MODEL_OPERATOR_STORED_KINDS(ROW)                                                                                                  \
  ROW(Model, Model, models, "modelops.dev", "v1alpha1", "models", "Model", Namespaced, All, Always)                                       \
  ROW(ModelVersion, ModelVersion, versions, "modelops.dev", "v1alpha1", "modelversions", "ModelVersion", Namespaced, All, Always)         \
  ROW(ModelRollout, ModelRollout, rollouts, "modelops.dev", "v1alpha1", "modelrollouts", "ModelRollout", Namespaced, All, Always)         \
  ROW(TrainingRun, TrainingRun, runs, "modelops.dev", "v1alpha1", "trainingruns", "TrainingRun", Namespaced, All, Maybe)                  \
  ROW(ModelRuntime, ModelRuntime, runtimes, "modelops.dev", "v1alpha1", "modelruntimes", "ModelRuntime", Cluster, All, Always)            \
  ROW(ModelGateSet, ModelGateSet, gate_sets, "modelops.dev", "v1alpha1", "modelgatesets", "ModelGateSet", Namespaced, All, Maybe)         \
  ROW(ClusterModelGateSet, ClusterModelGateSet, cluster_gate_sets, "modelops.dev", "v1alpha1", "clustermodelgatesets",                    \
      "ClusterModelGateSet", Cluster, All, Maybe)                                                                                         \
  ROW(ModelPolicy, ModelPolicy, policies, "modelops.dev", "v1alpha1", "modelpolicies", "ModelPolicy", Cluster, All, Maybe)                \
  ROW(ModelApproval, ModelApproval, approvals, "modelops.dev", "v1alpha1", "modelapprovals", "ModelApproval", Namespaced, All, Maybe)     \
  ROW(ModelAudit, ModelAudit, audits, "modelops.dev", "v1alpha1", "modelaudits", "ModelAudit", Namespaced, Names, Maybe)                  \
  ROW(Namespace, Namespace, namespaces, "", "v1", "namespaces", "Namespace", Cluster, Names, Maybe)                                       \
  ROW(Deployment, Deployment, deployments, "apps", "v1", "deployments", "Deployment", Namespaced, Ours, Always)                           \
  ROW(Service, Service, services, "", "v1", "services", "Service", Namespaced, Ours, Always)                                              \
  ROW(HttpRoute, HttpRoute, routes, "gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", Namespaced, Ours, Maybe)                \
  ROW(EndpointSlice, EndpointSlice, slices, "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", Namespaced, Ours, Always)        \
  ROW(HorizontalPodAutoscaler, Autoscaler, autoscalers, "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler",       \
      Namespaced, Ours, Always)                                                                                                           \
  ROW(Job, Job, jobs, "batch", "v1", "jobs", "Job", Namespaced, Ours, Always)                                                             \
  ROW(Pod, Pod, pods, "", "v1", "pods", "Pod", Namespaced, Ours, Always)                                                                  \
  ROW(ConfigMap, ConfigMap, configmaps, "", "v1", "configmaps", "ConfigMap", Namespaced, Names, Always)

// Those that are read or written one at a time: enum, group, version, plural, kind, scope.
#define MODEL_OPERATOR_OTHER_KINDS(ROW)                                                        \
  ROW(Gateway, "gateway.networking.k8s.io", "v1", "gateways", "Gateway", Namespaced)           \
  ROW(GatewayClass, "gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", Cluster) \
  ROW(Lease, "coordination.k8s.io", "v1", "leases", "Lease", Namespaced)                       \
  ROW(Event, "events.k8s.io", "v1", "events", "Event", Namespaced)                             \
  /* Of a kind that only a Model's spec knows: written by the path that the action names. */   \
  ROW(Workload, "", "", "", "Workload", Namespaced)
