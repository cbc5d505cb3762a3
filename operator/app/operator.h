// The operator as one object: which part is given to which.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>

#include "operator/app/options.h"
#include "operator/core/result.h"
#include "operator/evidence/evidence.h"
#include "operator/export/exporter.h"
#include "operator/kube/access_review.h"
#include "operator/kube/client.h"
#include "operator/runtime/confinement.h"
#include "operator/runtime/controller.h"
#include "operator/notify/notifier.h"
#include "operator/runtime/events.h"
#include "operator/runtime/executor.h"
#include "operator/runtime/informers.h"
#include "operator/runtime/leader.h"
#include "operator/runtime/queue.h"
#include "operator/runtime/runtimes_file.h"
#include "operator/serve/http_server.h"
#include "operator/serve/metrics.h"
#include "operator/serve/tls.h"
#include "operator/serve/token_guard.h"
#include "operator/store/answers.h"
#include "operator/store/ledger.h"
#include "operator/store/refusals.h"
#include "operator/store/store.h"
#include "reconcilers/model/plan.h"

namespace mo::app {

class Operator {
 public:
  // `ns`: where our Lease lives unless the options name another namespace.
  Operator(const RunOptions& options, audit::Settings audit, evidence::WebAccess web_access, std::unique_ptr<kube::HttpTransport> transport,
           std::shared_ptr<kube::Credentials> credentials, const std::string& ns);

  // Blocks until `stop`. 0 after a clean stop, 1 if it could not start. Losing the Lease ends the process.
  int run(std::stop_token stop);

 private:
  Result<void> serve();
  Result<serve::Tls> metrics_tls();
  Result<void> read_runtimes();
  Result<void> read_notifications();
  bool wait_for_stores(std::stop_token stop);
  bool lead(std::stop_token stop);
  void work(std::stop_token stop);
  void hand_over();
  serve::Reply health(std::string_view path);
  Result<serve::Access> review(const std::string& token, std::stop_token stop);
  Meters meters();
  serve::Sources sources();
  std::vector<serve::Notified> notified() const;
  std::optional<serve::AuditExport> exported() const;
  Result<void> prepare_export();
  bool updates_runtimes() const;
  Reconcile reconcile();
  bool confine(std::stop_token stop);

  // Whom each Model that we leave alone belongs to, so that it is told once. Thread-safe.
  class Others {
   public:
    // Whether that was not known; `handled_by` empty: the Model is none of them.
    bool is_news(const ObjectKey& model, const std::string& handled_by);

   private:
    std::mutex mutex_;
    std::unordered_map<ObjectKey, std::string> known_;
  };

  const RunOptions options_;
  const model::Settings settings_;
  const std::string probe_namespace_;  // where the operator proves that it is confined
  Others others_;
  Stores stores_;
  Ledger ledger_;
  Refusals refusals_;
  WorkQueue queue_;
  AnswerBook answers_;
  serve::Metrics metrics_;
  kube::ClientOptions client_options_;
  std::unique_ptr<kube::AccessReviews> reviews_;  // null: everybody may read /metrics
  std::unique_ptr<kube::Client> client_;
  EventSender events_;
  std::unique_ptr<kube::HttpTransport> plain_http_;  // to addresses that users wrote
  std::unique_ptr<notify::Notifier> notifier_;       // null: nobody is told
  std::unique_ptr<kube::HttpTransport> export_http_;  // to an S3 store with a CA of its own; null: plain_http_ goes there
  std::unique_ptr<audit::Exporter> exporter_;        // null: audit records stay where they are
  evidence::Evidence evidence_;
  std::optional<LeaderElector> elector_;
  Executor executor_;
  Informers informers_;
  std::optional<RuntimesFile> runtimes_file_;
  Controller controller_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> confined_{false};  // or not asked to be
  std::unique_ptr<serve::CertificateFiles> certificates_;  // of /metrics; null: none was given
  // Threads last: they end before what they use.
  std::unique_ptr<serve::TokenGuard> metrics_guard_;
  std::unique_ptr<serve::HttpServer> metrics_server_, health_server_;
  std::jthread runtimes_thread_, lease_thread_;
};

// Everything from flags to exit code.
int run(const RunOptions& options, std::stop_token stop);

}  // namespace mo::app
