// What one plan costs in CPU time: of a Model with the smallest template and with the largest one that is allowed. Prints a table; a worker is kept
// from other Models for so long. Then how long small Models wait for a worker while sixteen with the largest templates are planned as well.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "operator/json/pod_template.h"
#include "reconcilers/model/plan.h"
#include "tests/unit/reconcilers_make.h"

namespace {

using namespace mo;

constexpr int kRounds = 200;

// Of this thread: a plan waits for nothing, and other programs on the machine do not count.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// As near to `bytes` as eight containers come with as many variables each as a list may have.
std::string pod_template(size_t bytes) {
  Json containers = Json::array({{{"name", "server"}, {"image", "s"}}});
  const auto filled = [&](size_t count, size_t each) {
    Json all = containers;
    for (size_t c = 0; c < all.size(); ++c)
      for (size_t i = 0; i < count; ++i)
        all[c]["env"].push_back({{"name", "V" + std::to_string(i)}, {"value", std::string(each, 'x')}});
    return Json{{"spec", {{"containers", all}}}}.dump();
  };
  for (int c = 1; c < 8; ++c) containers.push_back({{"name", "side-" + std::to_string(c)}, {"image", "s"}});
  size_t each = 0;
  std::string text = filled(kMaxTemplateEntries, 0);
  while (filled(kMaxTemplateEntries, each + 1).size() <= bytes) text = filled(kMaxTemplateEntries, ++each);
  return text;
}

void measure(const char* what, test::Scene& scene) {
  const Observed& observed = scene.observed();
  std::vector<double> took;
  size_t actions = 0;
  for (int i = 0; i < kRounds; ++i) {
    const double began = cpu_ms();
    const Plan plan = model::plan(observed, test::kNow, test::kSettings);
    took.push_back(cpu_ms() - began);
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

// The longest and the median time until a small Model's plan is ready, in ms, when all wait at once behind the large ones.
void crowd(test::Scene& small, test::Scene& large, int large_ones) {
  constexpr int kSmallOnes = 500, kWorkers = 4;
  const Observed &of_small = small.observed(), &of_large = large.observed();
  std::vector<double> waited(kSmallOnes);
  std::atomic<int> next{0};
  const auto began = std::chrono::steady_clock::now();
  const auto work = [&] {
    for (int i; (i = next++) < large_ones + kSmallOnes;) {
      model::plan(i < large_ones ? of_large : of_small, test::kNow, test::kSettings);
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
      if (i >= large_ones) waited[i - large_ones] = took.count();
    }
  };
  {
    std::vector<std::jthread> workers;
    for (int w = 0; w < kWorkers; ++w) workers.emplace_back(work);
  }
  std::sort(waited.begin(), waited.end());
  std::printf("%3d Models with the largest templates before %d small ones: %8.3f ms median %8.3f ms longest\n", large_ones, kSmallOnes,
              waited[kSmallOnes / 2], waited.back());
}

}  // namespace

int main() {
  const std::string small = R"({"spec":{"containers":[{"name":"server","image":"s"}]}})";
  const std::string large = pod_template(kMaxTemplateBytes);
  const std::string too_large = large + std::string(1 << 20, ' ');
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
  test::Scene few = scene_with(small, ""), many = scene_with(large, large);
  few.serving("m-v1");
  many.serving("m-v1");
  for (const int large_ones : {0, 16}) crowd(few, many, large_ones);
}
