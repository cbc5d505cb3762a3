#include "operator/site/server.h"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "operator/site/readers.h"
#include "operator/kube/config.h"
#include "operator/kube/credentials.h"
#include "operator/runtime/log.h"
#include "report/html.h"
#include "report/live/history.h"
#include "report/live/prices.h"
#include "report/live/reading.h"
#include "report/pages.h"
#include "report/tables.h"

namespace mo::site {
namespace {

using serve::Reply;
using serve::Request;
using Answer = std::function<void(Reply)>;

constexpr size_t kWaiting = 64;  // requests of each lane; one more is answered with 503
constexpr int kThreads = 2;      // of each lane
// All readers may come from one address, that of the proxy in front.
// It passes on what browsers send, cookies among it.
const serve::Limits kLimits{.connections = 512, .per_peer = 512, .header_bytes = 24 << 10};
constexpr std::chrono::seconds kReviewDeadline{5};
constexpr std::chrono::minutes kResourcesRetried{1};
constexpr std::chrono::minutes kResourcesKept{5};  // Deployments are large, and what they ask for changes seldom
constexpr const char* kPlain = "text/plain; charset=utf-8";

TimePoint wall_now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

// Nothing runs, nothing comes from elsewhere, nobody frames it, no cache keeps what one reader saw.
Reply guarded(Reply reply, bool shared = false) {
  reply.headers = {{"Content-Security-Policy",
                    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cross-Origin-Resource-Policy", "same-origin"},
                   {"Cross-Origin-Opener-Policy", "same-origin"},
                   {"Cache-Control", shared ? "public, max-age=300" : "no-store"}};
  return reply;
}
Reply said(int status, const std::string& text) { return guarded({status, kPlain, text + "\n"}); }
Reply page(std::string html, int status = 200) { return guarded({status, "text/html; charset=utf-8", std::move(html)}); }

Reply table_reply(const report::Portfolio& p, const std::string& file) {
  const size_t dot = file.rfind('.');
  const auto table = dot == std::string::npos ? std::nullopt : report::table_of(p, file.substr(0, dot));
  const std::string kind = dot == std::string::npos ? "" : file.substr(dot + 1);
  if (!table || (kind != "csv" && kind != "json")) return page(report::missing_page(), 404);
  if (table->id == "servers" && !p.servers_known) return page(report::missing_page(), 404);  // no rows would say that there are none
  Reply reply = kind == "csv" ? guarded({200, "text/csv; charset=utf-8", report::to_csv(*table)})
                              : guarded({200, "application/json", report::to_json(*table).dump(1) + "\n"});
  reply.headers.emplace_back("Content-Disposition", "attachment; filename=\"" + table->id + "." + kind + "\"");
  return reply;
}

class Server {
 public:
  Server(const ReportOptions& options, const std::shared_ptr<kube::Credentials>& credentials)
      : options_(options),
        client_(kube::make_client(kube::make_curl_transport(credentials), credentials,
                                  {.version = MODEL_OPERATOR_VERSION, .program = "model-operator-report", .observer = {}})),
        readers_(std::make_unique<kube::AccessReviews>(
            kube::make_curl_transport(credentials), credentials,
            kube::ClientOptions{.version = MODEL_OPERATOR_VERSION, .program = "model-operator-report", .observer = {}, .deadline = kReviewDeadline})),
        web_(kube::make_plain_curl_transport({.user_agent = "model-operator-report", .max_redirects = 0, .proxy_from_env = false, .ca_file = {}})),
        history_(source_of(options), *web_) {}

  // Why the options cannot be used.
  static Result<void> check(const ReportOptions& options) {
    for (const std::string& label : options.prometheus_labels)
      if (const auto read = report::read_label(label); !read) return fail(ErrorKind::Invalid, "--prometheus-label " + read.error().message);
    const std::string& url = options.prometheus_url;
    if (!url.empty() && !url.starts_with("http://") && !url.starts_with("https://"))
      return fail(ErrorKind::Invalid, "--prometheus-url must be an http:// or https:// address");
    if (const auto usable = check_access(options); !usable) return usable;
    if (!options.opencost_currency.empty() && url.empty())
      return fail(ErrorKind::Invalid, "--opencost-currency needs --prometheus-url: costs of OpenCost are series of Prometheus");
    if (const auto prices = prices_of(options); !prices) return fail(prices.error());
    return {};
  }

  int run(std::stop_token stop) {
    const auto address = serve::parse_address(options_.address);
    if (!address) return trouble("--address: " + address.error().message);
    serve::Tls tls;  // empty: plain HTTP
    if (!options_.tls.certificate.empty()) {
      auto files = serve::CertificateFiles::open(options_.tls, [](const std::string& problem) { spdlog::warn("{}; what was there before stays", problem); });
      if (!files) return trouble(files.error().message);
      tls = [shared = std::shared_ptr<serve::CertificateFiles>(std::move(*files))] { return shared->current(); };
    }
    auto http = serve::HttpServer::start(*address, [this](Request request, Answer answer) { take(std::move(request), std::move(answer)); }, kLimits, tls);
    if (!http) return trouble("--address " + options_.address + ": " + http.error().message);
    spdlog::info("report on port {}", (*http)->port());
    std::vector<std::jthread> workers;
    for (Lane* lane : {&known_, &strangers_, &charts_})
      for (int i = 0; i < kThreads; ++i) workers.emplace_back([this, lane](std::stop_token done) { work(*lane, done); });
    refresh_until(stop);
    http->reset();
    return 0;
  }

 private:
  struct Task {
    Request request;
    Caller caller;
    Answer answer;
  };
  struct Lane {
    std::deque<Task> tasks;
    std::condition_variable_any wake;
  };

  // Headers that anybody could send would be no access control at all: a proxy is declared whole or not at all.
  static Result<void> check_access(const ReportOptions& options) {
    const auto wrong = [](const char* what) { return fail(ErrorKind::Invalid, what); };
    const serve::TlsFiles& tls = options.tls;
    if (tls.certificate.empty() != tls.key.empty()) return wrong("--tls-cert and --tls-key go together; give both or none");
    if (tls.client_authorities.empty() != options.proxy.names.empty())
      return wrong("--proxy-client-ca and --proxy-name go together: the headers of a proxy count only if that authority signed its certificate, for that name");
    if (!tls.client_authorities.empty() && tls.certificate.empty())
      return wrong("--proxy-client-ca needs TLS: give --tls-cert and --tls-key, since a proxy is known by its client certificate");
    return mo::site::check(options.proxy);
  }

  static int trouble(const std::string& what) {
    spdlog::error(what);
    return 1;
  }

  // ---- reading ----

  void refresh_until(std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    do {
      refresh(stop);
    } while (!never.wait_for(lock, stop, std::chrono::seconds(options_.interval), [&] { return stop.stop_requested(); }));
  }

  void refresh(std::stop_token stop) {
    auto read = report::read_portfolio(*client_, {options_.ns, "", false}, wall_now(), stop);
    if (read) add_prices(*read);
    if (const auto now = std::chrono::steady_clock::now(); read && now >= resources_until_) {
      // Usage may take long to come, and nobody waits for it.
      if (history_.configured()) {
        report::Portfolio known = *read;
        add_resources(known);
        take(std::move(known));
      }
      read_resources(now, stop);
    }
    if (read) add_resources(*read);
    take(std::move(read));
    malloc_trim(0);  // pages of JSON leave holes that nobody else fills
  }

  static Result<std::optional<report::Prices>> prices_of(const ReportOptions& options) {
    std::optional<report::Prices> prices;
    if (!options.prices.empty()) {
      auto read = report::read_price_file(options.prices);
      if (!read) return fail(read.error());
      prices = std::move(*read);
    }
    return report::with_opencost(std::move(prices), options.opencost_currency);
  }

  void add_prices(report::Portfolio& p) {
    // Read anew each time: a mounted ConfigMap changes in place.
    auto prices = prices_of(options_);
    if (prices) p.prices = std::move(*prices);
    else p.gaps.push_back("The prices cannot be read, so costs are unknown: " + prices.error().message);
  }

  void read_resources(std::chrono::steady_clock::time_point now, std::stop_token stop) {
    workloads_ = report::read_workloads(*client_, options_.ns, stop);
    usage_problem_ = workloads_ ? history_.usage(*workloads_, stop) : "";
    const bool unknown = !usage_problem_.empty() && history_.configured();
    resources_until_ = now + (workloads_ && !unknown ? kResourcesKept : kResourcesRetried);
    if (!unknown) return;
    spdlog::warn("what pods use is unknown: {}", usage_problem_);
    usage_problem_ = "Prometheus gave no answer that can be used";  // its address and words are nobody else's
  }

  void add_resources(report::Portfolio& p) {
    p.usage_problem = usage_problem_;
    if (workloads_) report::take_workloads(p, *workloads_);
    else p.gaps.push_back("Deployments could not be read, so resources and costs are unknown: " + workloads_.error().message);
  }

  static report::PrometheusSource source_of(const ReportOptions& options) {
    report::PrometheusSource source{options.prometheus_url, {}, !options.opencost_currency.empty()};
    for (const std::string& label : options.prometheus_labels) source.labels.push_back(*report::read_label(label));
    return source;
  }

  void take(Result<report::Portfolio> read) {
    std::lock_guard lock(mutex_);
    if (read) {
      snapshot_ = std::make_shared<const report::Portfolio>(std::move(*read));
      stale_ = false;
      return;
    }
    if (read.error().kind == ErrorKind::Cancelled) return;
    spdlog::warn("cannot read Models: {}", read.error().message);
    if (!snapshot_ || stale_) return;
    // What was read before is still shown, with its time, and with a word on why it is old.
    auto old = std::make_shared<report::Portfolio>(*snapshot_);
    old->gaps.insert(old->gaps.begin(), "This is as of " + format_time(old->at) + ": the API server could not be read since");
    snapshot_ = std::move(old);
    stale_ = true;
  }

  std::shared_ptr<const report::Portfolio> snapshot() {
    std::lock_guard lock(mutex_);
    return snapshot_;
  }

  // ---- answering ----

  void take(Request request, Answer answer) {
    if (request.path == "/healthz") return answer({200, kPlain, "ok\n"});
    if (request.path == "/readyz") return answer(snapshot() ? Reply{200, kPlain, "ok\n"} : Reply{503, kPlain, "has not read the Models yet\n"});
    if (request.path == "/style.css") return answer(guarded({200, "text/css; charset=utf-8", report::style_sheet()}, true));
    Caller caller = caller_of(request, options_.proxy);
    if (caller.key.empty()) return answer(said(caller.status, caller.problem));
    const bool known = readers_.knows(caller);
    request.headers.clear();
    put(!known ? strangers_ : charted(request.path) ? charts_ : known_, {std::move(request), std::move(caller), std::move(answer)});
  }

  // Pages that Prometheus is asked for hold up no others.
  bool charted(const std::string& path) const { return history_.configured() && path.starts_with("/models/"); }

  void put(Lane& lane, Task task) {
    std::unique_lock lock(mutex_);
    if (lane.tasks.size() >= kWaiting) {
      lock.unlock();
      return task.answer(said(503, "too many requests wait; try again"));
    }
    lane.tasks.push_back(std::move(task));
    lane.wake.notify_one();
  }

  void work(Lane& lane, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (lane.wake.wait(lock, stop, [&lane] { return !lane.tasks.empty(); })) {
      Task task = std::move(lane.tasks.front());
      lane.tasks.pop_front();
      lock.unlock();
      if (auto made = reply(task.request, task.caller, &lane == &charts_, stop)) task.answer(std::move(*made));
      else put(charts_, std::move(task));
      lock.lock();
    }
  }

  // Nothing: the reader may see what they ask for, and it has charts.
  std::optional<Reply> reply(const Request& request, const Caller& caller, bool may_ask, std::stop_token stop) {
    const auto whole = snapshot();
    if (!whole) return said(503, "the Models have not been read yet; try again");
    try {
      const auto view = readers_.view(caller, whole, stop);
      if (!view && view.error().kind == ErrorKind::TooManyRequests) return said(503, view.error().message);
      if (!view) {
        spdlog::warn("cannot ask who may read: {}", view.error().message);
        return said(503, "Kubernetes cannot be asked who you are; try again");
      }
      if (!*view) return said(401, "nobody has that token");
      if (!charted(request.path)) return answer(**view, request.path, request.query);
      if (!may_ask) return std::nullopt;
      return answer(**view, request.path, request.query, [&](const report::Model& model, const report::Span& span) {
        auto figures = history_.figures(model.ns, model.name, span, wall_now(), stop);
        if (!figures.detail.empty()) spdlog::warn("figures of {}/{}: {}", model.ns, model.name, figures.detail);
        return figures;
      });
    } catch (const std::exception& e) {
      spdlog::error("{}: {}", request.path, e.what());
      return said(500, "the page could not be made");
    }
  }

  const ReportOptions options_;
  const std::unique_ptr<kube::Client> client_;
  Readers readers_;
  const std::unique_ptr<kube::PlainTransport> web_;
  report::History history_;
  // Of the reading thread.
  Result<std::vector<report::Workload>> workloads_ = std::vector<report::Workload>();
  std::string usage_problem_;
  std::chrono::steady_clock::time_point resources_until_{};
  std::mutex mutex_;  // guards what follows
  std::shared_ptr<const report::Portfolio> snapshot_;
  bool stale_ = false;
  Lane known_, strangers_, charts_;  // who has yet to be asked about holds up nobody who is known, and Prometheus no other page
};

}  // namespace

Reply answer(const report::Portfolio& p, const std::string& path, const std::string& query, const FiguresOf& figures) {
  if (path == "/") return page(report::portfolio_page(p, report::filter_of(query)));
  if (path == "/delivery") return page(report::delivery_page(p));
  if (path == "/compliance") return page(report::compliance_page(p));
  if (path == "/resources") return page(report::resources_page(p));
  if (path == "/activity") return page(report::activity_page(p));
  constexpr std::string_view models = "/models/", data = "/data/";
  if (path.starts_with(data)) return table_reply(p, path.substr(data.size()));
  if (path.starts_with(models)) {
    const std::string rest = path.substr(models.size());
    const size_t slash = rest.find('/');
    const report::Model* model = slash == std::string::npos ? nullptr : p.model(rest.substr(0, slash), rest.substr(slash + 1));
    if (model && figures) {
      const report::Figures known = figures(*model, report::span_of(report::filter_of(query).span));
      return page(report::model_page(p, *model, &known));
    }
    if (model) return page(report::model_page(p, *model));
  }
  return page(report::missing_page(), 404);
}

namespace {
void add_access_options(CLI::App& report, ReportOptions& options) {
  ProxyRules& proxy = options.proxy;
  report.add_option("--tls-cert", options.tls.certificate, "The site's certificate and those that signed it (PEM); read again when it changes");
  report.add_option("--tls-key", options.tls.key, "The key of --tls-cert (PEM)");
  report.add_option("--proxy-client-ca", options.tls.client_authorities,
                    "The authority that signs client certificates of authenticating proxies and of nobody else (PEM): who comes with one may say in headers whom they speak for");
  report.add_option("--proxy-name", proxy.names, "The common name, DNS name or URI that the proxy's client certificate bears; may be repeated");
  report.add_option("--proxy-user-header", proxy.user_header, "The header in which the proxy names the user")->capture_default_str();
  report.add_option("--proxy-groups-header", proxy.groups_header, "The header in which the proxy names the user's groups; may come more than once")->capture_default_str();
  report.add_option("--proxy-groups-separator", proxy.separator, "What stands between groups in one header")->capture_default_str();
  report.add_option("--proxy-user-prefix", proxy.user_prefix, "Put before the user's name, as the API server does by --oidc-username-prefix");
  report.add_option("--proxy-groups-prefix", proxy.groups_prefix, "Put before each group's name, as the API server does by --oidc-groups-prefix");
}
}  // namespace

void add_report_command(CLI::App& app, std::function<void(const ReportOptions&)> chosen) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* report = app.add_subcommand("report", "Serve the report on all Models as a web site, to whoever may read them, until SIGTERM");
  report->add_option("--kubeconfig", options->kubeconfig, "Kubeconfig file (default: $KUBECONFIG, else in-cluster)");
  report->add_option("--namespace", options->ns, "Report on this namespace only (default: all)");
  report->add_option("--address", options->address, "Where the site is served: by HTTPS with --tls-cert, by HTTP without")->capture_default_str();
  add_access_options(*report, *options);
  report->add_option("--interval", options->interval, "Seconds between readings of the cluster")->check(CLI::Range(5, 3600))->capture_default_str();
  report
      ->add_option("--prometheus-url", options->prometheus_url,
                   "Where Prometheus is, for figures over time and what pods use: http://prometheus:9090")
      ->envname("PROMETHEUS_URL");
  report->add_option("--prometheus-label", options->prometheus_labels,
                     "A label that only the series of this cluster have: cluster=prod-eu");
  report->add_option("--prices", options->prices, "A file of prices: currency, cpuHour, memoryGiBHour, deviceHour (YAML or JSON)");
  report->add_option("--opencost-currency", options->opencost_currency, "Take costs from the OpenCost series in Prometheus, in this currency: USD");
  report->add_option("--log-format", options->log_format, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  report->add_option("--log-level", options->log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}))
      ->capture_default_str();
  report->callback([options, chosen = std::move(chosen)] { chosen(*options); });
}

int run_report(const ReportOptions& options, std::stop_token stop) {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 256 << 10);
  log::set_up(options.log_format, options.log_level);
  auto places = kube::ConfigPlaces::from_environment();
  places.kubeconfig = options.kubeconfig;
  auto config = kube::load_config(places);
  if (!config) {
    spdlog::error(config.error().message);
    return 1;
  }
  if (const auto usable = Server::check(options); !usable) {
    spdlog::error(usable.error().message);
    return 1;
  }
  return Server(options, std::make_shared<kube::Credentials>(std::move(*config))).run(stop);
}

}  // namespace mo::site
