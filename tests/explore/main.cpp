// explore [--most STATES] [--world WORDS]: walks the worlds whose name has these words, each up to that many
// states.
#include <sys/resource.h>

#include <cstdio>
#include <cstring>
#include <ctime>

#include "tests/explore/worlds.h"

namespace {

long megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void print(const mo::explore::Found& found) {
  std::printf("\n");
  for (const std::string& line : found.trace) std::printf("  %s\n", line.c_str());
  std::printf("=> %s\nchoices:", found.violation.c_str());
  for (const std::string& choice : found.recipe) std::printf(" %s", choice.c_str());
  std::printf("\n\n");
}

}  // namespace

int main(int argc, char** argv) {
  size_t most = 100'000'000, states = 0, transitions = 0;
  std::string only;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--most")) most = std::stoul(argv[i + 1]);
    if (!std::strcmp(argv[i], "--world")) only = argv[i + 1];
  }
  size_t violations = 0;
  std::printf("%-48s %9s %11s %5s %8s %3s %6s\n", "world", "states", "transitions", "depth", "terminal",
              "all", "s");
  for (const mo::explore::World& world : mo::explore::worlds()) {
    if (world.name.find(only) == std::string::npos) continue;
    const mo::explore::Found found = mo::explore::explore(world, most);
    std::printf("%-48s %9zu %11zu %5zu %8zu %3s %6.1f\n", world.name.c_str(), found.states, found.transitions,
                found.depth, found.terminal, found.complete ? "yes" : "no", found.seconds);
    states += found.states;
    transitions += found.transitions;
    if (!found.violation.empty()) {
      ++violations;
      print(found);
    }
    std::fflush(stdout);
  }
  std::printf("%zu states, %zu transitions, %zu violations; %ld MB, %.0f s of CPU\n", states, transitions,
              violations, megabytes(), static_cast<double>(std::clock()) / CLOCKS_PER_SEC);
  return violations == 0 && states > 0 ? 0 : 1;
}
