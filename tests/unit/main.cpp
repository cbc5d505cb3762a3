// Alone in its file: compiling Catch's runner takes longer than most of the tests.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
