// What one plan costs: of a Model with the smallest template and with the largest one that is allowed. Prints a table; a worker is kept
// from other Models for so long.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "operator/json/pod_template.h"
#include "reconcilers/model/plan.h"
#include "tests/unit/reconcilers_make.h"

namespace {

using namespace mo;

constexpr int kRounds = 200;

// `bytes` of template: one container with as many variables as a list may have, others with the rest.
std::string pod_template(size_t bytes) {
  Json containers = Json::array({{{"name", "server"}, {"image", "s"}}});
  std::string text;
  const auto filled = [&](size_t count, size_t each) {
    Json all = containers;
    for (size_t c = 0; c < all.size(); ++c)
      for (size_t i = 0; i < count; ++i)
        all[c]["env"].push_back({{"name", "V" + std::to_string(i)}, {"value", std::string(each, 'x')}});
    return Json{{"spec", {{"containers", all}}}}.dump();
  };
  for (int c = 1; c < 8; ++c) containers.push_back({{"name", "side-" + std::to_string(c)}, {"image", "s"}});
  size_t each = 0;
  text = filled(kMaxTemplateEntries, 0);
  while (filled(kMaxTemplateEntries, each + 1).size() <= bytes) text = filled(kMaxTemplateEntries, ++each);
  return text.size() <= bytes ? text : filled(1, 0);
}

void measure(const char* what, test::Scene& scene) {
  const Observed& observed = scene.observed();
  std::vector<double> took;
  size_t actions = 0;
  for (int i = 0; i < kRounds; ++i) {
    const auto began = std::chrono::steady_clock::now();
    const Plan plan = model::plan(observed, test::kNow, test::kSettings);
    took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
    actions = plan.actions.size();
  }
  std::sort(took.begin(), took.end());
  std::printf("%-44s %8.3f ms median %8.3f ms worst %4zu actions\n", what, took[took.size() / 2], took.back(), actions);
}

test::Scene scene_with(const std::string& runtime, const std::string& overlay) {
  test::Scene scene;
  auto of_runtime = std::make_shared<api::ModelRuntime>(*scene.o.runtimes[0]);
  of_runtime->pod_template = runtime;
  scene.o.runtimes = {of_runtime};
  scene.model.template_overlay = overlay;
  return scene;
}

}  // namespace

int main() {
  const std::string small = R"({"spec":{"containers":[{"name":"server","image":"s"}]}})";
  const std::string large = pod_template(kMaxTemplateBytes);
  const std::string too_large = pod_template(kMaxTemplateBytes) + std::string(1 << 20, ' ');
  std::printf("largest template: %zu bytes\n", large.size());
  struct Row {
    const char* what;
    std::string runtime, overlay;
  };
  const Row rows[] = {{"smallest templates", small, ""},
                      {"largest Model's template", small, large},
                      {"largest runtime's and Model's templates", large, large},
                      {"a template that is too large", small, too_large}};
  for (const Row& row : rows) {
    test::Scene scene = scene_with(row.runtime, row.overlay);
    scene.serving("m-v1");
    measure(row.what, scene);
  }
}
