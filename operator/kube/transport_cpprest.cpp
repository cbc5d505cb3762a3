// HttpTransport on cpprestsdk: the calls. The library's traps are known here, in cpprest_engine.h (its
// thread), cpprest_stream.h (bytes to and fro) and cpprest_tls.h; nothing else includes it, since it takes
// seconds to compile.
//
// - Requests are started and cancelled on the library's thread: cancelling from another one races with its
//   TLS writes.
// - It has no deadline for a whole exchange and may never complete a request: the caller's thread waits with
//   deadlines of its own, then cancels and leaves.
// - Its error codes mislead ("Operation not permitted" for a killed server): we go by its texts, which name
//   the phase.
#include <cpprest/http_client.h>

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>
#include <optional>

#include "operator/core/time.h"
#include "operator/kube/body_reader.h"
#include "operator/kube/cpprest_engine.h"
#include "operator/kube/cpprest_stream.h"
#include "operator/kube/cpprest_tls.h"
#include "operator/kube/credentials.h"
#include "operator/kube/request_check.h"
#include "operator/kube/transport.h"

namespace mo::kube {
namespace {

using cpprest::Engine;
using cpprest::Inbox;
using std::chrono::steady_clock;
using web::http::client::http_client;
using web::http::client::http_client_config;

constexpr std::chrono::minutes library_timeout{10};  // only behind ours; 0 would fail at once

const char* phase_of(const std::string& what, bool has_head) {
  static constexpr std::array<std::pair<const char*, const char*>, 10> phases{{
      {"resol", "connect"},
      {"connect to any", "connect"},
      {"SSL handshake", "connect"},
      {"proxy", "connect"},
      {"write request", "send"},
      {"rewind", "headers"},
      {"status line", "headers"},
      {"Retrieving message chunk", "body"},
      {"response body", "body"},
      {"response part", "body"},
  }};
  for (const auto& [text, phase] : phases) {
    if (what.find(text) != std::string::npos) return phase;
  }
  return has_head ? "body" : "headers";
}

Error transport_error(const std::string& what, bool has_head) {
  return Error{ErrorKind::Transport, std::string(phase_of(what, has_head)) + ": " + what, 0, {}, {}};
}

Error error_from(std::exception_ptr problem, bool has_head) {
  try {
    std::rethrow_exception(problem);
  } catch (const std::exception& e) {
    return transport_error(e.what(), has_head);
  } catch (...) {
    return transport_error("unknown exception", has_head);
  }
}

HttpResponse head_of(const web::http::http_response& response) {
  HttpResponse head;
  head.status = response.status_code();
  for (const auto& [name, value] : response.headers()) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    head.headers.emplace_back(std::move(lower), value);
  }
  return head;
}

// Throws web::uri_exception if the target is no URI.
web::http::http_request message_of(const HttpRequest& request, const std::shared_ptr<Inbox>& inbox,
                                   const std::string& host, bool packed) {
  web::http::http_request message(request.method);
  message.set_request_uri(web::uri(request.target));
  for (const auto& [name, value] : request.headers) message.headers().add(name, value);
  if (!host.empty()) message.headers().add("Host", host);  // the library takes the name to verify from here
  if (packed) message.headers().add("Accept-Encoding", "gzip");
  if (request.method != "GET" && request.method != "HEAD") {
    message.set_body(cpprest::request_stream(request.body), request.body.size(),
                     "application/octet-stream");  // unless the headers say what it is
  }
  message.set_response_stream(cpprest::response_stream(inbox));
  return message;
}

class CpprestTransport final : public HttpTransport {
 public:
  explicit CpprestTransport(std::shared_ptr<Credentials> credentials)
      : credentials_(std::move(credentials)), engine_(Engine::shared()) {
    const web::uri server(credentials_->config().server);
    const std::string& name = credentials_->config().tls_server_name;
    sni_ = !cpprest::is_ip(name.empty() ? server.host() : name);
  }

  Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop) override {
    return call(request, nullptr, stop);
  }
  Result<HttpResponse> stream(const HttpRequest& request, const LineSink& sink,
                              std::stop_token stop) override {
    return call(request, &sink, stop);
  }

 private:
  // Two, because asking for packed answers is a setting of the client; streams are not packed. Made anew when
  // the CA or the client certificate changes, since pooled connections were opened with the old ones.
  struct Clients {
    std::shared_ptr<const TlsMaterial> tls;
    std::shared_ptr<http_client> packed, streaming;
  };

  // Cancels the request on the library's thread and tells the Inbox that nobody reads it, however the call
  // ends.
  class Departure {
   public:
    Departure(Engine& engine, std::shared_ptr<Inbox> inbox, pplx::cancellation_token_source cancel)
        : engine_(engine), inbox_(std::move(inbox)), cancel_(std::move(cancel)) {}
    Departure(const Departure&) = delete;
    Departure& operator=(const Departure&) = delete;
    ~Departure() {
      const bool complete = inbox_->finished();
      inbox_->leave();
      if (!complete) engine_.post([cancel = cancel_] { cancel.cancel(); });
    }

   private:
    Engine& engine_;
    const std::shared_ptr<Inbox> inbox_;
    const pplx::cancellation_token_source cancel_;
  };

  Result<HttpResponse> call(const HttpRequest& request, const LineSink* sink, const std::stop_token& stop) {
    const auto deadline = steady_clock::now() + request.deadline;
    if (auto fine = check_request(request); !fine) return fail(fine.error());
    // The library looks at a pooled connection only by writing to it. As long as not all headers were written
    // no byte of the body was, so the server has nothing complete to execute; a write without a body would
    // be.
    const bool repeatable = request.method == "GET" || request.method == "HEAD" || !request.body.empty();
    for (bool second = false;; second = true) {
      auto response = attempt(request, sink, deadline, stop);
      if (response || second || !repeatable) return response;
      if (response.error().message.find("write request headers") == std::string::npos) return response;
    }
  }

  Result<HttpResponse> attempt(const HttpRequest& request, const LineSink* sink,
                               steady_clock::time_point deadline, const std::stop_token& stop) {
    if (stop.stop_requested()) return fail(ErrorKind::Cancelled, "cancelled");
    const auto client = client_for(sink != nullptr);
    if (!client) return fail(client.error());
    const auto inbox = std::make_shared<Inbox>();
    pplx::cancellation_token_source cancel;
    try {
      start(*client, message_of(request, inbox, credentials_->config().tls_server_name, sink == nullptr),
            inbox, cancel);
    } catch (const std::exception& e) {  // of web::uri
      return fail(ErrorKind::Invalid, e.what());
    }
    const Departure departure(*engine_, inbox, cancel);
    auto response = read(request, sink, *inbox, deadline, stop);
    if (!response && response.error().message.find("rewind") != std::string::npos) drop_pool();
    return response;
  }

  // A story: when the library gives up a request that it cannot rewind, it puts a connection into its pool
  // that was never connected, and the next request gets that one.
  void drop_pool() {
    const std::lock_guard lock(mutex_);
    clients_ = {};
  }

  void start(std::shared_ptr<http_client> client, web::http::http_request message,
             const std::shared_ptr<Inbox>& inbox, const pplx::cancellation_token_source& cancel) {
    engine_->post(
        [client = std::move(client), message = std::move(message), inbox, token = cancel.get_token()] {
          try {
            client->request(message, token).then([inbox](pplx::task<web::http::http_response> answered) {
              try {
                const web::http::http_response response = answered.get();
                inbox->put_head(head_of(response));
                response.content_ready().then(
                    [inbox](pplx::task<web::http::http_response> ended) { note_end(*inbox, ended); });
              } catch (...) {
                inbox->finish(std::current_exception());
              }
            });
          } catch (...) {
            inbox->finish(std::current_exception());
          }
        });
  }

  // Also looks at the exception, which unseen would end the process.
  static void note_end(Inbox& inbox, const pplx::task<web::http::http_response>& ended) {
    try {
      ended.get();
      inbox.finish(nullptr);
    } catch (...) {
      inbox.finish(std::current_exception());
    }
  }

  static Result<HttpResponse> read(const HttpRequest& request, const LineSink* sink, Inbox& inbox,
                                   steady_clock::time_point deadline, const std::stop_token& stop) {
    BodyReader reader(request, sink, nullptr);
    std::string bytes;
    bool told = !sink || !request.opened;
    for (;;) {
      const auto until = sink ? inbox.last_news() + request.idle_deadline : deadline;
      const auto news = inbox.wait(until, stop, bytes, !told);
      auto head = inbox.head();
      if (news == Inbox::News::Stopped) return fail(ErrorKind::Cancelled, "cancelled");
      if (news == Inbox::News::Deadline) {
        if (sink && steady_clock::now() < inbox.last_news() + request.idle_deadline) continue;
        const std::string what = sink ? "silent for " + format_duration(request.idle_deadline)
                                      : "no complete answer within " + format_duration(request.deadline);
        return fail(transport_error(what, head.has_value()));
      }
      if (head && !told) {
        told = true;
        if (head->status / 100 == 2) request.opened();
      }
      if (head && !bytes.empty()) {
        const auto more = reader.take(head->status, bytes);
        if (!more) return fail(more.error());
        if (!*more) break;
      }
      if (!inbox.finished()) continue;
      if (inbox.problem()) return fail(error_from(inbox.problem(), head.has_value()));
      if (auto whole = reader.end(head->status); !whole) return fail(whole.error());
      break;
    }
    HttpResponse response = *inbox.head();
    response.body = reader.take_body();
    return response;
  }

  Result<std::shared_ptr<http_client>> client_for(bool streaming) {
    std::shared_ptr<const TlsMaterial> tls;
    if (credentials_->config().server.starts_with("https://")) {
      auto current = credentials_->tls();
      if (!current) return fail(current.error());
      tls = *current;
    }
    const std::lock_guard lock(mutex_);
    if (!clients_.packed || clients_.tls != tls)
      clients_ = {tls, make_client(tls, true), make_client(tls, false)};
    return streaming ? clients_.streaming : clients_.packed;
  }

  std::shared_ptr<http_client> make_client(const std::shared_ptr<const TlsMaterial>& tls, bool packed) const {
    const Config& config = credentials_->config();
    http_client_config settings;
    settings.set_timeout(library_timeout);
    settings.set_request_compressed_response(packed);
    settings.set_validate_certificates(!config.insecure_skip_tls_verify);
    settings.set_tlsext_sni_enabled(sni_);
    settings.set_max_redirects(0);
    if (!config.proxy_url.empty()) settings.set_proxy(web::web_proxy(web::uri(config.proxy_url)));
    if (tls) {
      settings.set_ssl_context_callback([tls, engine = engine_.get()](boost::asio::ssl::context& context) {
        cpprest::set_up_tls(context, *tls, engine->roots);
      });
    }
    return std::make_shared<http_client>(web::uri(config.server), settings);
  }

  const std::shared_ptr<Credentials> credentials_;
  const std::shared_ptr<Engine> engine_;
  bool sni_ = true;
  std::mutex mutex_;  // guards clients_
  Clients clients_;
};

}  // namespace

Result<std::unique_ptr<HttpTransport>> make_cpprest_transport(std::shared_ptr<Credentials> credentials) {
  const Config& config = credentials->config();
  if (config.server.find("://[") != std::string::npos) {
    return fail(ErrorKind::Invalid,
                "cpprestsdk cannot reach an IPv6 address (" + config.server + "): use --http-client=curl");
  }
  if (!config.proxy_url.empty() && !config.proxy_url.starts_with("http://")) {
    return fail(ErrorKind::Invalid,
                "cpprestsdk knows http proxies only, not " + config.proxy_url + ": use --http-client=curl");
  }
  // The library joins headers of one name with a comma, which would make one group of two.
  if (const Impersonation& as = config.impersonate; as.groups.size() > 1 || as.extra.size() > 1) {
    return fail(ErrorKind::Invalid,
                "cpprestsdk cannot send several as-groups or as-user-extra: use --http-client=curl");
  }
  try {
    return std::make_unique<CpprestTransport>(std::move(credentials));
  } catch (const std::exception& e) {  // of web::uri
    return fail(ErrorKind::Invalid,
                "cpprestsdk does not take this server or proxy address: " + std::string(e.what()));
  }
}

}  // namespace mo::kube
