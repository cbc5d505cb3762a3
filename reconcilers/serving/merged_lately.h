// For render.cpp alone.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "operator/core/plan.h"
#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo::serving {

// What a few templates came to last, by all that it follows from. Thousands of Models share some runtimes, and to read, check and merge one
// costs as much as the rest of a plan. Of one thread; large ones are not kept.
class MergedLately {
 public:
  const Result<Json>* find(const std::string& runtime, const RawJson& base, const RawJson& overlay) const {
    for (const Entry& entry : entries_)
      if (entry.runtime == runtime && entry.base == base && entry.overlay == overlay) return &entry.merged;
    return nullptr;
  }

  void keep(const std::string& runtime, const RawJson& base, const RawJson& overlay, const Result<Json>& merged) {
    if (base.size() + overlay.size() > kLargest) return;
    if (entries_.size() == kMost) entries_.erase(entries_.begin());
    entries_.push_back({runtime, base, overlay, merged});
  }

 private:
  static constexpr size_t kMost = 4, kLargest = 8u << 10;
  struct Entry {
    std::string runtime;
    RawJson base, overlay;
    Result<Json> merged;
  };
  std::vector<Entry> entries_;
};

}  // namespace mo::serving
