// Namespaces, of which ModelPolicies ask labels.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/api/types.h"

namespace mo::api {

using Labels = std::map<std::string, std::string>;

// Metadata only.
struct Namespace {
  ObjectMeta meta;
  Labels labels;
};

// metav1.LabelSelector; one that asks for nothing matches all.
struct LabelSelector {
  struct Expression {
    std::string key, op;  // In | NotIn | Exists | DoesNotExist
    std::vector<std::string> values;
  };
  Labels match_labels;
  std::vector<Expression> expressions;
  bool matches(const Labels& labels) const;
};

}  // namespace mo::api
