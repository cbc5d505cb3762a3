// `reproduce`: makes a version again, by a TrainingRun that is told what the run of that version was told, and compares
// what comes out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/core/decimal.h"
#include "plugin/lineage.h"
#include "plugin/session.h"

namespace mo::plugin {

struct Reproducing {
  std::string version = {};
  std::string run = {};    // a TrainingRun that was started so before: it is compared, and none is started
  bool wait = false;  // until the run is over, and compare then
  std::optional<Duration> timeout = {};
  std::optional<Decimal> within = {};  // by how much figures may differ and still be the same; empty: not at all
  bool only_show = false;         // nothing is sent
  bool dry_run = false;           // nothing is stored: the session's client writes so
  std::string output = {};             // empty | json
};

// kDone: the run was started; or it made the same bits, or figures that differ by no more than `within`. kNo: it did not.
// kNotYet: it is not over.
int reproduce(Session& session, const Reproducing& asked);

// ---- pure ----

// The TrainingRun that makes `version` again, as `run` made it. Refuses where nobody knows how that was.
Result<Json> again(const Json& version, const Json& run);

// The kind that a TrainingRun of this Model has to name in spec.workload; empty: it trains by Jobs.
std::string kind_to_name(const Json& model);

struct Comparison {
  bool same_bits = false;
  bool same_figures = false;            // all of them, none differing by more than was allowed
  std::optional<Decimal> farthest;      // by how much the figures differ at most; nothing where they cannot be compared
  std::vector<Difference> differences;  // of artifact, code, data, image and figures; first what the version says
  std::string sentence;
};
// `run` is over. Refuses if it made nothing.
Result<Comparison> compare(const Json& version, const Json& run, const std::optional<Decimal>& within);

}  // namespace mo::plugin
