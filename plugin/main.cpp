// Wiring and nothing else.
#include <cstdio>
#include <exception>
#include <iostream>

#include "plugin/commands.h"
#include "plugin/session.h"

int main(int argc, char** argv) {
  try {
    return mo::plugin::run({argv + 1, argv + argc}, std::cin, std::cout, std::cerr, {});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return mo::plugin::kTrouble;
  }
}
