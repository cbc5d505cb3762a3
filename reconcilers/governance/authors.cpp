#include "reconcilers/governance/authors.h"

#include <algorithm>

namespace mo::governance {
namespace {

constexpr size_t kAuthors = 16;  // beyond it the change counts as unsigned

bool among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void note_author(const api::Model& model, api::ModelStatus& status) {
  if (model.meta.generation == status.observed_generation) return;
  auto& authors = status.spec_authors;
  const std::string who = authors.size() < kAuthors ? model.about.changed_by : "";
  if (!among(authors, who)) authors.push_back(who);
}

std::vector<std::string> authors_of(const Observed& observed, const api::ModelStatus& status, const api::ModelRollout& rollout,
                                    const api::GovernanceRecord& record) {
  std::vector<std::string> authors;
  const auto add = [&](const std::string& who) {
    if (!among(authors, who)) authors.push_back(who);
  };
  if (record.separate_author) {
    // Whatever brings the rollout, it takes the template that they wrote.
    for (const std::string& who : status.spec_authors) add(who);
    if (rollout.origin == "retraining" || rollout.origin == "monitor" || rollout.origin == api::kOriginRuntime)
      add(api::kOperatorAuthor);  // admission lets nobody else write that label
    else if (rollout.origin != "spec")
      add(rollout.changed_by);
  }
  if (const auto version = observed.version(rollout.version)) add(version->changed_by);
  if (among(authors, "")) authors.clear();
  return authors;
}

}  // namespace mo::governance
