// What dashboards and alerts ask of model servers is what the model server exports. What they ask of the operator: serve_dashboards_test.cpp.
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "model-server/telemetry.h"

TEST_CASE("dashboards and alerts ask for metrics that the model server exports", "[dashboards]") {
  model_server::Telemetry telemetry("fraud", "fraud-v1");
  telemetry.request(200, std::chrono::milliseconds(1));
  telemetry.prediction("yes");
  telemetry.feedback({1, 1, 1});
  const std::string text = "\n" + telemetry.text();
  std::string queries;
  for (const char* folder : {"dashboards", "alerts"})
    for (const auto& file : std::filesystem::directory_iterator(std::string(MO_SOURCE_DIR) + "/manifests/" + folder)) {
      std::stringstream content;
      content << std::ifstream(file.path()).rdbuf();
      queries += content.str();
    }
  const std::regex wanted("\\bmodel_(?!operator_)[a-z_]+\\b");
  std::set<std::string> asked;
  for (std::sregex_iterator it(queries.begin(), queries.end(), wanted), end; it != end; ++it) asked.insert(it->str());
  CHECK(asked.size() >= 4);
  for (const std::string& name : asked) {
    INFO(name);
    const bool exported = text.find("\n" + name + "{") != std::string::npos || text.find("\n" + name + " ") != std::string::npos;
    CHECK(exported);
  }
}
