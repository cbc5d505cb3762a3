// Scenarios as test cases: each in the fixed order and in random ones.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/sim/sim.h"

namespace mo::sim {
namespace {

constexpr size_t kTraceShown = 120;
// As many as take a few seconds.
#if !defined(__OPTIMIZE__)
constexpr int kSeeds = 1;
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kSeeds = 5;
#else
constexpr int kSeeds = 20;
#endif

int number_from(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : otherwise;
}

std::string trace_of(const World& world) {
  const char* shown = std::getenv("SIM_TRACE");
  const size_t most = shown ? static_cast<size_t>(std::atoi(shown)) : kTraceShown;
  std::string text;
  const size_t from = world.trace.size() > most ? world.trace.size() - most : 0;
  for (size_t i = from; i < world.trace.size(); ++i) text += world.trace[i] + "\n";
  return text;
}

void run_once(const std::function<void(Sim&)>& scenario, size_t variant, std::optional<uint32_t> seed) {
  auto sim = std::make_unique<Sim>();
  std::string failure;
  try {
    scenario(*sim);
    sim->run(seed);
  } catch (const Violation& v) {
    failure = v.what();
  }
  if (failure.empty()) return;
  FAIL((seed ? "SIM_SEED=" + std::to_string(*seed) : std::string("fixed order (SIM_SEED=fixed)"))
       << ", variant " << variant << ", step " << sim->steps << "\n"
       << trace_of(sim->world) << "=> " << failure);
}

}  // namespace

void explore(const std::function<void(Sim&)>& scenario) {
  explore(1, [&](Sim& s, size_t) { scenario(s); });
}

void explore(size_t variants, const std::function<void(Sim&, size_t)>& scenario) {
  const auto run = [&](size_t variant, std::optional<uint32_t> seed) {
    run_once([&](Sim& s) { scenario(s, variant); }, variant, seed);
  };
  const char* only = std::getenv("SIM_SEED");
  const bool fixed = !only || std::string(only) == "fixed";
  for (size_t variant = 0; fixed && variant < variants; ++variant) run(variant, {});
  if (only && !fixed)
    run(static_cast<size_t>(std::atoi(only)) % variants, static_cast<uint32_t>(std::atoi(only)));
  const int seeds = only ? 0 : number_from("SIM_SEEDS", kSeeds);
  for (int seed = 1; seed <= seeds; ++seed)
    run(static_cast<size_t>(seed) % variants, static_cast<uint32_t>(seed));
  SUCCEED();
}

}  // namespace mo::sim
