// Projection: one JSON object of the API server into one narrow struct, without a DOM. Thread-safe (no shared
// state but a thread-local parser, which keeps at most a few hundred kB a thread). Errors are
// ErrorKind::Malformed: the text is not JSON, not an object, or has no metadata.name. Anything else that is
// not what it should be (admission lets it not happen) leaves its field at the default; within the spec of a
// Model, ModelRollout or gate set the first such field is named in `problem`. Null is as good as absent.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/result.h"

namespace mo::api {

// The kinds that stores hold.
template <class T>
struct KindOf;
#define MO_ROW(name, type, ...)               \
  template <>                                 \
  struct KindOf<type> {                       \
    static constexpr Kind value = Kind::name; \
  };
MODEL_OPERATOR_STORED_KINDS(MO_ROW)
#undef MO_ROW

// How well a text and the parser's tables agree; for the test that holds the CRDs against the parser.
struct Coverage {
  std::vector<std::string> unread;  // paths in the text that no table names: "spec.lineage.code"
  std::vector<std::string>
      absent;  // paths that a table names and that the text lacks, though it has the object around them
};

// `json` is one complete object of at most 8 MB; it need not be padded. `coverage` costs time; leave it out.
template <class T>
Result<T> parse(std::string_view json, Coverage* coverage = nullptr);

}  // namespace mo::api
