// Wiring and nothing else.
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "plugin/commands.h"
#include "plugin/fields.h"

namespace {

std::optional<mo::plugin::Terminal> terminal() {
  if (!isatty(STDOUT_FILENO)) return {};
  const char* no_colour = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  const bool dumb = kind && std::string(kind) == "dumb";
  return mo::plugin::Terminal{
      .colour = !(no_colour && *no_colour) && !dumb, .size = [] {
        winsize size{};
        const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
        return known ? std::pair<int, int>(size.ws_row, size.ws_col) : std::pair(50, 200);
      }};
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> args(argv + 1, argv + argc);
    const mo::plugin::Console console{std::cin, std::cout, std::cerr, terminal()};
    const bool completes = std::string_view(argv[0]).ends_with("kubectl_complete-model");
    return completes ? mo::plugin::run_completion(args, console) : mo::plugin::run(args, console);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", mo::plugin::printable(std::string(e.what())).c_str());
    return mo::plugin::kTrouble;
  }
}
