#include "reconcilers/training/trials.h"

#include <set>

namespace mo::training {
namespace {

constexpr size_t kMostParameters = 10;  // as the CRDs have it for each of the two

using Choices = std::map<std::string, std::vector<std::string>>;

constexpr double kCountable = 1e15;
constexpr int kMostDraws = 100'000;

double product_of(const Choices& choices) {
  double product = 1;
  for (const auto& [name, values] : choices) product *= static_cast<double>(values.size());
  return product;
}

std::string number(double product) {
  return product > kCountable ? "more than 1000000000000000" : std::to_string(static_cast<int64_t>(product));
}

Parameters pick(const Choices& choices, const std::vector<size_t>& at) {
  Parameters picked;
  size_t i = 0;
  for (const auto& [name, values] : choices) picked[name] = values[at[i++]];
  return picked;
}

// Every combination, the last name's values changing first.
std::vector<Parameters> grid(const Choices& choices) {
  std::vector<Parameters> all;
  std::vector<size_t> at(choices.size(), 0);
  std::vector<size_t> sizes;
  for (const auto& [name, values] : choices) sizes.push_back(values.size());
  while (true) {
    all.push_back(pick(choices, at));
    size_t i = at.size();
    while (i > 0 && ++at[i - 1] == sizes[i - 1]) at[--i] = 0;
    if (i == 0) return all;
  }
}

std::vector<Parameters> draw(const Choices& choices, size_t count, int64_t seed) {
  auto state = static_cast<uint64_t>(seed);
  std::set<std::vector<size_t>> seen;
  std::vector<Parameters> all;
  for (int tries = 0; all.size() < count && tries < kMostDraws; ++tries) {
    std::vector<size_t> at;
    for (const auto& [name, values] : choices) at.push_back(next_random(state) % values.size());
    if (seen.insert(at).second) all.push_back(pick(choices, at));
  }
  return all;
}

}  // namespace

uint64_t next_random(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

Result<std::vector<Parameters>> expand(const std::optional<api::Trials>& trials, const Parameters& fixed, int64_t seed) {
  if (!trials) return std::vector<Parameters>{fixed};
  Choices choices;
  for (const auto& [name, values] : trials->parameters)
    if (!values.empty()) choices[name] = values;
  for (const auto& [name, value] : fixed) choices[name] = {value};
  if (choices.size() > kMostParameters)
    return fail(ErrorKind::Invalid, "spec.retraining.trials.parameters and the TrainingRun's spec.parameters name " + std::to_string(choices.size()) +
                                        " parameters together; at most " + std::to_string(kMostParameters) + " are allowed; remove some");
  const double product = product_of(choices);
  const bool random = trials->sample == api::Trials::Sample::Random;
  if (random && product > trials->count) return draw(choices, static_cast<size_t>(std::min(trials->count, api::kMostTrials)), seed);
  if (product > api::kMostTrials)
    return fail(ErrorKind::Invalid, "spec.retraining.trials.parameters multiply to " + number(product) + " trials, but at most " +
                                        std::to_string(api::kMostTrials) +
                                        " are run; leave values out, or use sample: Random with a count");
  return grid(choices);
}

}  // namespace mo::training
