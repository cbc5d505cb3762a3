// Calls over libcurl, wherever they go. For its transports alone.
//
// Each call drives a multi handle of its own on the caller's thread, so a call can be woken at once
// (curl_multi_wakeup) and no thread is needed; a multi handle keeps its connections, and finished ones wait
// in a pool.
#pragma once

#include <chrono>
#include <stop_token>

#include "operator/core/result.h"
#include "operator/kube/curl_exchange.h"
#include "operator/kube/curl_handle.h"
#include "operator/kube/idle_pool.h"
#include "operator/kube/transport.h"

namespace mo::kube::curl {

// The calls that both transports share; they differ in how a session is told where to go. Thread-safe, with
// the errors that HttpTransport names; what a sink throws comes out of call().
class Calls {
 public:
  virtual ~Calls() = default;

 protected:
  Result<HttpResponse> call(const HttpRequest& request, Exchange::Mode mode, const LineSink* lines,
                            const ChunkSink* chunks, const std::stop_token& stop);

  void let_go_of_idle() { pool_.let_go(); }

  // Sets URL, TLS and proxy. Called on the caller's thread, by several at once.
  virtual Result<void> set_peer(CURL* easy, const HttpRequest& request, Slist& headers, Slist& extra) = 0;

 private:
  static constexpr size_t max_idle_sessions = 32;
  static constexpr std::chrono::seconds idle_session_limit{30};  // servers keep connections longer

  IdlePool<Session> pool_{max_idle_sessions, idle_session_limit};
};

}  // namespace mo::kube::curl
