#include "operator/app/operator.h"

#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <random>
#include <utility>

#include "operator/fetch/credentials.h"
#include "operator/kube/config.h"
#include "operator/kube/credentials.h"
#include "operator/runtime/log.h"
#include "reconcilers/model/observe.h"
#include "reconcilers/model/plan.h"
#include "reconcilers/runtimes/update.h"

namespace mo::app {
namespace {

constexpr const char* kUserAgent = "model-operator/" MODEL_OPERATOR_VERSION;

TimePoint wall_now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

std::string instance() {
  if (const char* pod = std::getenv("POD_NAME"); pod && *pod) return pod;
  char name[256] = "unknown";
  gethostname(name, sizeof name - 1);
  return name;
}

// Installations of several classes in one namespace each have a leader.
ObjectKey lease_of(const RunOptions& options, const std::string& ns) {
  const std::string& cls = options.operator_class;
  return {options.leader_election_namespace.empty() ? ns : options.leader_election_namespace,
          cls.empty() ? "model-operator" : "model-operator-" + cls};
}

// The same after each restart and for all replicas. Without a Lease, as if there were one in the namespace that is looked after.
Installation installation_of(const RunOptions& options, const std::string& ns) {
  std::string name = options.installation;
  if (name.empty()) name = lease_of(options, options.leader_elect || options.ns.empty() ? ns : options.ns).to_string();
  return {name, options.operator_class, options.take_over};
}

model::Settings settings_of(const RunOptions& options, const std::string& ns, audit::Settings audit) {
  Installation installation = installation_of(options, ns);
  audit.installation = installation.name;
  return {options.fetch_image, std::move(installation), std::move(audit)};
}

LeaderOptions leader_options(const RunOptions& options, const std::string& ns) {
  std::random_device random;
  LeaderOptions leader;
  leader.lease = lease_of(options, ns);
  leader.identity = fmt::format("{}_{:08x}{:08x}", instance(), random(), random());
  return leader;
}

evidence::EvidenceOptions evidence_options(const RunOptions& options, evidence::WebAccess web_access) {
  evidence::EvidenceOptions evidence;
  evidence.web_access = std::move(web_access);
  evidence.prometheus_url = options.prometheus_url;
  evidence.web_tokens = options.web_gate_tokens;
  evidence.now = wall_now;
  return evidence;
}

Result<std::unique_ptr<kube::HttpTransport>> make_transport(
    const RunOptions& options, const std::shared_ptr<kube::Credentials>& credentials) {
  if (options.http_client == "curl") return kube::make_curl_transport(credentials);
  return kube::make_cpprest_transport(credentials);
}

// A hanging API server holds up whoever wants /metrics for twice as long.
constexpr std::chrono::seconds kReviewDeadline{5};

// Over a transport of its own: scrapes and reconciles do not wait for each other's connections.
std::unique_ptr<kube::AccessReviews> make_reviews(const RunOptions& options,
                                                  const std::shared_ptr<kube::Credentials>& credentials,
                                                  kube::ClientOptions client) {
  if (!options.metrics_auth || options.metrics_address == "0") return nullptr;
  client.deadline = kReviewDeadline;
  return std::make_unique<kube::AccessReviews>(kube::make_curl_transport(credentials), credentials, std::move(client));
}

// Files whose name no web gate asks for: they were named by the host alone once.
void warn_of_token_files(const std::string& folder) {
  std::error_code none;
  if (folder.empty()) return;
  for (const auto& file : std::filesystem::directory_iterator(folder, none)) {
    const std::string name = file.path().filename();
    if (!name.starts_with('.') && !evidence::is_token_name(name))  // a mounted Secret has entries of its own that begin with ".."
      spdlog::warn("--web-gate-tokens: nobody uses the file {}: name it NAMESPACE_HOST or NAMESPACE_HOST_PORT for gates of that namespace, _HOST or "
                   "_HOST_PORT for those of ClusterModelGateSets", name);
  }
}

Result<audit::Settings> audit_settings(const RunOptions& options) {
  const std::string& key_file = options.audit_key;
  audit::Settings settings;
  settings.keep = options.audit_retention;
  settings.prune_others = options.operator_class.empty();
  if (key_file.empty()) return settings;
  std::ifstream file(key_file, std::ios::binary);
  const std::string pem{std::istreambuf_iterator<char>(file), {}};
  auto key = SigningKey::read(pem);
  if (!key) return fail(key.error().kind, key_file + " " + key.error().message);
  spdlog::info("ModelAudits are signed by key {}", key->id());
  settings.key = std::make_shared<const SigningKey>(std::move(*key));
  return settings;
}

// Few arenas and early trimming: the lists at the start are the largest thing this process ever holds.
void tune_memory() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 256 << 10);
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
}

// Calls `work` every 15 seconds, with the number of the time.
void now_and_then(std::stop_token stop, const std::function<void(int)>& work) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  for (int time = 1; !never.wait_for(lock, stop, std::chrono::seconds(15), [&] { return stop.stop_requested(); }); ++time)
    work(time);
}

// Of what is known from other kinds, of answers and of own writes nothing tells any more what never was. The next process knows only
// what there is.
void end_and_forget(Kind kind) {
  spdlog::critical("the API server went back in time, as its {} tell: etcd was restored from a backup; ending at once to begin anew",
                   info(kind).plural);
  std::_Exit(1);
}

}  // namespace

Operator::Operator(const RunOptions& options, audit::Settings audit, evidence::WebAccess web_access, std::unique_ptr<kube::HttpTransport> transport,
                   std::shared_ptr<kube::Credentials> credentials, const std::string& ns)
    : options_(options),
      settings_(settings_of(options, ns, std::move(audit))),
      probe_namespace_(options.ns.empty() ? ns : options.ns),
      answers_([this](const ObjectKey& model) { queue_.add(model); }),
      metrics_(MODEL_OPERATOR_VERSION, sources()),
      client_options_{.version = MODEL_OPERATOR_VERSION,
                      .observer = [this](std::string_view verb, std::string_view plural, int status,
                                         double seconds) { metrics_.api_call(verb, plural, status, seconds); }},
      reviews_(make_reviews(options, credentials, client_options_)),
      client_(kube::make_client(std::move(transport), std::move(credentials), client_options_)),
      events_(*client_, instance()),
      plain_http_(kube::make_plain_curl_transport({kUserAgent, 0, false, {}})),
      evidence_(answers_, *plain_http_, *client_, evidence_options(options, std::move(web_access))),
      executor_(*client_, stores_, ledger_, refusals_, [this] { return !elector_ || elector_->leading(); }),
      informers_(*client_, stores_, ledger_, queue_,
                 {.ns = options.ns,
                  .watch_runtimes = options.runtimes_file.empty(),
                  .update_runtimes = updates_runtimes(),
                  .back_in_time = end_and_forget}, meters()),
      controller_({.stores = stores_,
                   .queue = queue_,
                   .executor = executor_,
                   .refusals = refusals_,
                   .answers = answers_,
                   .asker = evidence_,
                   .events = events_,
                   .reconcile = reconcile(),
                   .meters = meters()}) {
  if (options_.leader_elect) elector_.emplace(*client_, leader_options(options_, ns));
  if (!options_.runtimes_file.empty())
    runtimes_file_.emplace(options_.runtimes_file, stores_.runtimes, [this] {
      for (const auto& model : stores_.models.all()) queue_.add(model->meta.key);
    });
}

serve::Sources Operator::sources() {
  return {.queue_depth = [this] { return queue_.depth(); },
          .events_dropped = [this] { return events_.dropped(); },
          .leading = [this] { return !elector_ || elector_->leading(); },
          .models_of_others =
              [this] {
                size_t count = 0;
                for (const auto& model : stores_.models.all())
                  count += handling(*model, settings_.installation) == Handling::OfAnother;
                return count;
              },
          .notifications = [this] { return notified(); },
          .audit_export = [this] { return exported(); },
          .stores = &stores_};
}

std::vector<serve::Notified> Operator::notified() const {
  std::vector<serve::Notified> all;
  if (!notifier_) return all;
  for (const auto& counts : notifier_->counts()) {
    all.push_back({counts.target, "sent", counts.sent});
    all.push_back({counts.target, "failed", counts.failed});
    all.push_back({counts.target, "dropped", counts.dropped});
  }
  return all;
}

std::optional<serve::AuditExport> Operator::exported() const {
  if (!exporter_) return {};
  const auto counts = exporter_->counts();
  const Duration age = counts.oldest ? wall_now() - *counts.oldest : Duration(0);
  return serve::AuditExport{counts.records, counts.failed, counts.refused, counts.waiting, std::max(0.0, std::chrono::duration<double>(age).count())};
}

Meters Operator::meters() {
  return {.reconciled = [this](std::string_view outcome,
                               double seconds) { metrics_.reconciled(outcome, seconds); },
          .watch_restarted = [this](Kind kind) { metrics_.watch_restarted(kind); },
          .unreadable = [this](Kind kind) { metrics_.unreadable(kind); }};
}

// A runtime has one status, at cluster scope.
bool Operator::updates_runtimes() const { return options_.ns.empty() && options_.operator_class.empty() && options_.runtimes_file.empty(); }

Reconcile Operator::reconcile() {
  return [this](const ObjectKey& key, TimePoint now) {
    if (key.ns.empty()) return updates_runtimes() ? runtimes::plan(runtimes::observe(stores_, key, settings_.installation, now), now) : Plan{};
    const Observed observed = model::observe(stores_, ledger_, answers_, refusals_, key);
    Plan plan = model::plan(observed, now, settings_);
    const bool anothers = observed.model && handling(*observed.model, settings_.installation) == Handling::OfAnother;
    if (others_.is_news(key, anothers ? observed.model->status.handled_by : "")) {
      const std::string note = stays_out(*observed.model, settings_.installation);
      log::warn("a Model of another installation", ObjectRef{Kind::Model, key}, {{"note", note}});
      plan.events.push_back({{Kind::Model, key}, observed.model->meta.uid, true, "HandledByAnotherInstallation", note});
    }
    return plan;
  };
}

bool Operator::Others::is_news(const ObjectKey& model, const std::string& handled_by) {
  std::lock_guard lock(mutex_);
  if (handled_by.empty()) return known_.erase(model), false;
  return std::exchange(known_[model], handled_by) != handled_by;
}

Result<void> Operator::read_runtimes() {
  if (!runtimes_file_) return {};
  if (auto read = runtimes_file_->poll(); !read) return read;
  runtimes_thread_ = std::jthread([this](std::stop_token stop) { runtimes_file_->run(stop); });
  return {};
}

Result<void> Operator::read_notifications() {
  if (options_.notifications.empty()) return {};
  std::ifstream file(options_.notifications);
  if (!file) return fail(ErrorKind::Invalid, "cannot read " + options_.notifications);
  auto targets = notify::read_targets({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  if (!targets) return fail(targets.error().kind, options_.notifications + ": " + targets.error().message);
  notifier_ = std::make_unique<notify::Notifier>(*plain_http_, std::move(*targets));
  events_.on_news([this](const Event& event, const std::string& name) { notifier_->send(event, name); });
  return {};
}

Result<void> Operator::prepare_export() {
  if (options_.audit_export.empty()) {
    if (options_.audit_retention || !options_.audit_export_token.empty() || !options_.audit_export_credentials.empty())
      return fail(ErrorKind::Invalid,
                  "--audit-retention, --audit-export-token and --audit-export-credentials need --audit-export: only exported records are deleted");
    return {};
  }
  const std::string& credentials = options_.audit_export_credentials;
  // A store of one's own may have a CA of its own.
  if (const auto ca = fetch::ca_file(credentials); !credentials.empty() && !ca.empty())
    export_http_ = kube::make_plain_curl_transport({kUserAgent, 0, false, ca.string()});
  auto& http = export_http_ ? *export_http_ : *plain_http_;
  auto sink = audit::make_sink({options_.audit_export, options_.audit_export_token, credentials}, http);
  if (!sink) return fail(sink.error());
  const auto handled = [this](const ObjectKey& key) {
    const auto model = stores_.models.get(key);
    return model ? handling(*model, settings_.installation) == Handling::Ours : settings_.audit.prune_others;
  };
  const audit::Claim claim{settings_.installation.name, handled};
  exporter_ = std::make_unique<audit::Exporter>(*client_, stores_.audits, std::move(*sink), claim, wall_now);
  return {};
}

bool Operator::wait_for_stores(std::stop_token stop) {
  auto next_word = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!stop.stop_requested() && !informers_.synced()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (std::chrono::steady_clock::now() < next_word) continue;
    for (const std::string& problem : informers_.problems()) spdlog::warn("still waiting: {}", problem);
    next_word += std::chrono::seconds(30);
  }
  return !stop.stop_requested();
}

bool Operator::lead(std::stop_token stop) {
  if (!elector_) return true;
  if (!elector_->acquire(stop)) return false;
  lease_thread_ = std::jthread([this](std::stop_token done) {
    if (elector_->hold(done)) return;
    spdlog::critical("lost the Lease: another may lead already, ending at once");
    std::_Exit(1);
  });
  return true;
}

void Operator::work(std::stop_token stop) {
  std::jthread notifications([this](std::stop_token done) {
    if (notifier_) notifier_->run(done);
  });
  std::jthread events([this](std::stop_token done) { events_.run(done); });
  std::jthread exports([this](std::stop_token done) {
    if (exporter_) exporter_->run(done);
  });
  std::jthread housekeeping([this](std::stop_token done) {
    now_and_then(done, [this, done](int time) {
      client_->close_idle();
      plain_http_->close_idle();
      if (export_http_) export_http_->close_idle();
      // What objects leave behind lies between those that stay, where free() gives nothing back: without this the process
      // would stay as large as it was at its busiest.
      if (time % 4 == 0) malloc_trim(0);
      // Policies can be deleted meanwhile. The next process waits for them, as at each start.
      if (time % 20 == 0 && !options_.unconfined && !still_confined(*client_, probe_namespace_, done)) std::_Exit(1);
    });
  });
  spdlog::info("working on {} Models with {} workers", stores_.models.size(), options_.workers);
  controller_.run(options_.workers, stop);
}

// The Lease goes last: from here on nobody writes.
void Operator::hand_over() {
  if (!lease_thread_.joinable()) return;
  lease_thread_.request_stop();
  lease_thread_.join();
  elector_->release();
}

int Operator::run(std::stop_token stop) {
  if (auto read = read_notifications(); !read) {
    spdlog::error("--notifications: {}", read.error().message);
    return 1;
  }
  if (auto prepared = prepare_export(); !prepared) {
    spdlog::error("--audit-export: {}", prepared.error().message);
    return 1;
  }
  if (auto served = serve(); !served) {
    spdlog::error(served.error().message);
    return 1;
  }
  if (auto read = read_runtimes(); !read) {
    spdlog::error("--runtimes-file: {}", read.error().message);
    return 1;
  }
  std::stop_callback on_stop(stop, [this] { stopping_ = true; });
  // Not by `stop`: while the workers finish, the stores stay alive.
  informers_.start({});
  // Before it could lead: a rollout of the operator that is not confined fails while the one before still works.
  confined_ = confine(stop);
  if (confined_ && wait_for_stores(stop)) {
    malloc_trim(0);
    if (lead(stop)) {
      work(stop);
      hand_over();
    }
  }
  informers_.join();
  spdlog::info("stopped");
  return confined_ || stop.stop_requested() ? 0 : 1;
}

bool Operator::confine(std::stop_token stop) {
  if (options_.unconfined) {
    spdlog::warn("--unconfined: not checked whether admission policies confine this account");
    return true;
  }
  return wait_until_confined(*client_, probe_namespace_, stop);
}

int run(const RunOptions& options, std::stop_token stop) {
  tune_memory();
  log::set_up(options.log_format, options.log_level);
  auto places = kube::ConfigPlaces::from_environment();
  places.kubeconfig = options.kubeconfig;
  const auto config = kube::load_config(places);
  if (!config) {
    spdlog::error(config.error().message);
    return 1;
  }
  spdlog::info("model-operator {} for {} ({})", MODEL_OPERATOR_VERSION, config->server, config->source);
  auto credentials = std::make_shared<kube::Credentials>(*config);
  auto transport = make_transport(options, credentials);
  if (!transport) {
    spdlog::error(transport.error().message);
    return 1;
  }
  auto web_access = evidence::WebAccess::parse(options.web_gate_allow);
  if (!web_access) {
    spdlog::error("--web-gate-allow: {}", web_access.error().message);
    return 1;
  }
  web_access->close_server(config->server);
  warn_of_token_files(options.web_gate_tokens);
  auto audit = audit_settings(options);
  if (!audit) {
    spdlog::error("--audit-key: {}", audit.error().message);
    return 1;
  }
  Operator machine(options, std::move(*audit), std::move(*web_access), std::move(*transport), credentials, config->ns);
  return machine.run(stop);
}

}  // namespace mo::app
