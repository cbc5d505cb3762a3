// Names of things in the API, as types.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "operator/core/kinds.h"

namespace mo {

// Namespace and name of one object; the namespace is empty for cluster-scoped kinds.
struct ObjectKey {
  std::string ns;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
  std::string to_string() const { return ns.empty() ? name : ns + "/" + name; }
};

// The kinds that the operator reads or writes.
enum class Kind {
#define MO_ROW(name, ...) name,
  MODEL_OPERATOR_STORED_KINDS(MO_ROW) MODEL_OPERATOR_OTHER_KINDS(MO_ROW)
#undef MO_ROW
};
// Those that stores hold, in the order of the registry.
inline constexpr Kind kStoredKinds[] = {
#define MO_ROW(name, ...) Kind::name,
    MODEL_OPERATOR_STORED_KINDS(MO_ROW)
#undef MO_ROW
};

enum class Scope { Namespaced, Cluster };
enum class Watched { All, Ours, Names, Not };  // the whole kind, those with our label, metadata only
enum class Present { Always, Maybe };          // Maybe: not in every cluster

// How a kind is addressed: "apps/v1", "deployments", "Deployment".
struct KindInfo {
  const char* group;  // "" for the core group
  const char* version;
  const char* plural;
  const char* kind;
  bool namespaced;
  Watched watched = Watched::Not;
  Present present = Present::Always;
  bool ours() const { return std::string_view(group) == "modelops.dev"; }
  std::string api_version() const {
    return *group ? std::string(group) + "/" + version : std::string(version);
  }
};
const KindInfo& info(Kind kind);

struct ObjectRef {
  Kind kind{};
  ObjectKey key;
  auto operator<=>(const ObjectRef&) const = default;
  std::string to_string() const;  // "Deployment payments/fraud-v1"
};

// resourceVersions are decimal numbers without bound: the longer is the later, else compare the bytes.
// Empty is earlier than all.
bool rv_less(const std::string& a, const std::string& b);

}  // namespace mo

template <>
struct std::hash<mo::ObjectKey> {
  size_t operator()(const mo::ObjectKey& k) const noexcept {
    return std::hash<std::string>{}(k.ns) * 31 + std::hash<std::string>{}(k.name);
  }
};
