// SIM_SHARD=1/2 runs the first half of the scenarios, 2/2 the others: for machines with several cores.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

namespace {

// Catch's filter that matches these names and no others.
std::string filter_of(const std::vector<Catch::TestCase>& tests, int shard, int shards) {
  std::string filter;
  for (size_t i = 0; i < tests.size(); ++i) {
    if (static_cast<int>(i) % shards != shard - 1) continue;
    std::string name;
    for (const char c : tests[i].name) {
      if (c == ',' || c == '[' || c == '"' || c == '\\') name += '\\';
      name += c;
    }
    filter += (filter.empty() ? "" : ",") + name;
  }
  return filter;
}

}  // namespace

int main(int argc, char** argv) {
  Catch::Session session;
  if (const int wrong = session.applyCommandLine(argc, argv)) return wrong;
  if (const char* text = std::getenv("SIM_SHARD")) {
    int shard = 0, shards = 0;
    if (std::sscanf(text, "%d/%d", &shard, &shards) != 2 || shard < 1 || shard > shards) {
      std::fprintf(stderr, "SIM_SHARD=%s: write it as 1/2\n", text);
      return 2;
    }
    session.configData().testsOrTags = {filter_of(Catch::getAllTestCasesSorted(session.config()), shard, shards)};
  }
  return session.run();
}
