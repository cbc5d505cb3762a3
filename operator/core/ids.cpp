#include "operator/core/ids.h"

namespace mo {

const KindInfo& info(Kind kind) {
  static constexpr KindInfo kModel{"modelops.dev", "v1alpha1", "models", "Model", true};
  static constexpr KindInfo kVersion{"modelops.dev", "v1alpha1", "modelversions", "ModelVersion", true};
  static constexpr KindInfo kRollout{"modelops.dev", "v1alpha1", "modelrollouts", "ModelRollout", true};
  static constexpr KindInfo kRuntime{"modelops.dev", "v1alpha1", "modelruntimes", "ModelRuntime", false};
  static constexpr KindInfo kGateSet{"modelops.dev", "v1alpha1", "modelgatesets", "ModelGateSet", true};
  static constexpr KindInfo kClusterGateSet{"modelops.dev", "v1alpha1", "clustermodelgatesets",
                                            "ClusterModelGateSet", false};
  static constexpr KindInfo kModelPolicy{"modelops.dev", "v1alpha1", "modelpolicies", "ModelPolicy", false};
  static constexpr KindInfo kModelApproval{"modelops.dev", "v1alpha1", "modelapprovals", "ModelApproval", true};
  static constexpr KindInfo kDeployment{"apps", "v1", "deployments", "Deployment", true};
  static constexpr KindInfo kService{"", "v1", "services", "Service", true};
  static constexpr KindInfo kRoute{"gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", true};
  static constexpr KindInfo kGateway{"gateway.networking.k8s.io", "v1", "gateways", "Gateway", true};
  static constexpr KindInfo kGatewayClass{"gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", false};
  static constexpr KindInfo kSlice{"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true};
  static constexpr KindInfo kAutoscaler{"autoscaling", "v2", "horizontalpodautoscalers",
                                        "HorizontalPodAutoscaler", true};
  static constexpr KindInfo kJob{"batch", "v1", "jobs", "Job", true};
  static constexpr KindInfo kPod{"", "v1", "pods", "Pod", true};
  static constexpr KindInfo kConfigMap{"", "v1", "configmaps", "ConfigMap", true};
  static constexpr KindInfo kLease{"coordination.k8s.io", "v1", "leases", "Lease", true};
  static constexpr KindInfo kEvent{"events.k8s.io", "v1", "events", "Event", true};
  switch (kind) {
    case Kind::Model:
      return kModel;
    case Kind::ModelVersion:
      return kVersion;
    case Kind::ModelRollout:
      return kRollout;
    case Kind::ModelRuntime:
      return kRuntime;
    case Kind::ModelGateSet:
      return kGateSet;
    case Kind::ClusterModelGateSet:
      return kClusterGateSet;
    case Kind::ModelPolicy:
      return kModelPolicy;
    case Kind::ModelApproval:
      return kModelApproval;
    case Kind::Deployment:
      return kDeployment;
    case Kind::Service:
      return kService;
    case Kind::HttpRoute:
      return kRoute;
    case Kind::Gateway:
      return kGateway;
    case Kind::GatewayClass:
      return kGatewayClass;
    case Kind::EndpointSlice:
      return kSlice;
    case Kind::HorizontalPodAutoscaler:
      return kAutoscaler;
    case Kind::Job:
      return kJob;
    case Kind::Pod:
      return kPod;
    case Kind::ConfigMap:
      return kConfigMap;
    case Kind::Lease:
      return kLease;
    case Kind::Event:
      return kEvent;
  }
  __builtin_unreachable();
}

std::string ObjectRef::to_string() const { return std::string(info(kind).kind) + " " + key.to_string(); }

bool rv_less(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return a.size() < b.size();
  return a < b;
}

}  // namespace mo
