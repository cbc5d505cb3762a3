// What the API server does with an object of ours before it stores it: fields that the CRD doesn't know are
// found, defaults are filled in, types, enums and required fields are checked. CEL rules are left to the real
// API server.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operator/core/ids.h"
#include "operator/json/json.h"

namespace mo::sim {

class Schema {
 public:
  // From crds/<plural>.yaml. Read once a process.
  static const Schema& of(Kind kind);

  void fill_defaults(Json& object) const;
  // "status.conditions[0].since is not in the CRD"; empty if all is well.
  std::string complaint(const Json& object) const;

 private:
  friend struct SchemaReader;
  void fill(Json& value) const;
  std::string check(const Json& value, const std::string& path) const;
  std::string check_object(const Json& value, const std::string& path) const;

  std::string type;
  std::string format;
  std::map<std::string, Schema> properties;
  std::shared_ptr<const Schema> items, additional;
  std::vector<std::string> required;
  std::vector<Json> allowed;
  std::shared_ptr<const Json> default_value;
  bool open = false;  // x-kubernetes-preserve-unknown-fields
};

}  // namespace mo::sim
