// What the operator serves: /metrics, and the kubelet's probes.
#include <spdlog/spdlog.h>

#include <utility>

#include "operator/app/operator.h"

namespace mo::app {
namespace {

// A plan takes milliseconds. A worker that is at one for so long will not come back: the kubelet starts the operator anew.
constexpr std::chrono::seconds kLongestPlanning{60};

}  // namespace

Result<void> Operator::serve() {
  auto start = [](const std::string& text, serve::Handler handler, serve::Guard guard,
                  serve::Tls tls) -> Result<std::unique_ptr<serve::HttpServer>> {
    if (text == "0") return nullptr;
    const auto address = serve::parse_address(text);
    if (!address) return fail(address.error());
    auto server = serve::HttpServer::start(*address, std::move(handler), {}, std::move(guard), std::move(tls));
    if (!server) return fail(server.error().kind, text + ": " + server.error().message);
    return server;
  };
  serve::Guard guard;
  if (reviews_) {
    metrics_guard_ = std::make_unique<serve::TokenGuard>(
        [this](const std::string& token, std::stop_token stop) { return review(token, stop); });
    guard = [this](std::string authorization, serve::Decided decided) {
      metrics_guard_->ask(std::move(authorization), std::move(decided));
    };
  }
  auto tls = metrics_tls();
  if (!tls) return fail(tls.error().kind, "--metrics-cert-dir: " + tls.error().message);
  auto metrics = start(
      options_.metrics_address,
      [this](std::string_view path) {
        if (path != "/metrics")
          return serve::Reply{404, "text/plain; charset=utf-8", "not found; the path is /metrics\n"};
        return serve::Reply{200, "text/plain; version=0.0.4; charset=utf-8", metrics_.text()};
      },
      std::move(guard), std::move(*tls));
  if (!metrics) return fail(metrics.error().kind, "--metrics-address: " + metrics.error().message);
  auto health = start(
      options_.health_address, [this](std::string_view path) { return this->health(path); }, {}, {});
  if (!health) return fail(health.error().kind, "--health-address: " + health.error().message);
  metrics_server_ = std::move(*metrics);
  health_server_ = std::move(*health);
  return {};
}

Result<serve::Tls> Operator::metrics_tls() {
  if (!options_.metrics_tls && !options_.metrics_cert_dir.empty())
    return fail(ErrorKind::Invalid, "--metrics-tls=false uses no certificate; remove one of the two flags");
  if (!options_.metrics_tls || options_.metrics_address == "0") return serve::Tls();
  if (options_.metrics_cert_dir.empty()) {
    auto own = serve::make_context(serve::self_signed(std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())));
    if (!own) return fail(own.error());
    return serve::Tls([context = std::move(*own)] { return context; });
  }
  auto folder = serve::CertificateFiles::open(serve::CertificateFiles::in(options_.metrics_cert_dir), [](const std::string& problem) {
    spdlog::warn("--metrics-cert-dir: {}; /metrics goes on with the certificate of before", problem);
  });
  if (!folder) return fail(folder.error());
  certificates_ = std::move(*folder);
  return serve::Tls([this] { return certificates_->current(); });
}

Result<serve::Access> Operator::review(const std::string& token, std::stop_token stop) {
  const auto verdict = reviews_->may_get("/metrics", token, stop);
  if (!verdict) {
    if (verdict.error().kind != ErrorKind::Cancelled)
      spdlog::warn("cannot ask who may read /metrics: {}; the ServiceAccount needs create on tokenreviews and "
                   "subjectaccessreviews, or switch this off by --metrics-auth=false",
                   verdict.error().message);
    return fail(verdict.error());
  }
  if (!verdict->authenticated) return serve::Access::Unauthenticated;
  if (verdict->allowed) return serve::Access::Granted;
  spdlog::info("{} may not get /metrics: bind the ClusterRole model-operator-metrics-reader to it", verdict->user);
  return serve::Access::Forbidden;
}

serve::Reply Operator::health(std::string_view path) {
  const std::string type = "text/plain; charset=utf-8";
  if (path == "/healthz") {
    const auto planning = controller_.longest_planning();
    if (!planning || planning->taken < kLongestPlanning) return {200, type, "ok\n"};
    // The kubelet tells the status code alone.
    const std::string problem = "planning for Model " + planning->model.ns + "/" + planning->model.name + " has taken " +
                                format_duration(std::chrono::duration_cast<Duration>(planning->taken));
    spdlog::critical("not alive: {}", problem);
    return {503, type, problem + "\n"};
  }
  if (path != "/readyz") return {404, type, "not found; the paths are /healthz and /readyz\n"};
  if (stopping_) return {503, type, "stopping\n"};
  std::string text;
  if (!confined_) text = "waiting for proof that admission policies confine this ServiceAccount\n";
  for (const std::string& problem : informers_.problems()) text += problem + "\n";
  if (!text.empty()) return {503, type, text};
  return {200, type, "ok\n"};
}

}  // namespace mo::app
