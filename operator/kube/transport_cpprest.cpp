// HttpTransport on cpprestsdk. The only file that includes it (it takes seconds to compile) and the one place
// that knows its traps:
//
// - Its thread pool is one for the process. We give it no threads and run its io_service on one of ours, with
// a catch around it: what it
//   throws out of a handler (bad_alloc after a bad chunk size) would end the process otherwise.
// - Requests are started and cancelled on that thread: cancelling from another one races with its TLS writes.
// - Nothing may block on that thread. It only copies bytes into an Inbox; the caller's thread cuts lines and
// calls the sink.
// - It has no deadline for a whole exchange and may never complete a request: the caller's thread waits with
// deadlines of its
//   own, then cancels and leaves.
// - It loads and trusts the system's CAs beside ours at every connection: we replace the store, and name no
// files to load.
// - It sends a request again by itself when a pooled connection dies, writes too, unless the body cannot be
// rewound: ours cannot.
// - Its error codes mislead ("Operation not permitted" for a killed server): we go by its texts, which name
// the phase.
#define _TURN_OFF_PLATFORM_STRING
#include <cpprest/astreambuf.h>
#include <cpprest/http_client.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "operator/core/time.h"
#include "operator/kube/credentials.h"
#include "operator/kube/lines.h"
#include "operator/kube/request_check.h"
#include "operator/kube/transport.h"

namespace mo::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using web::http::client::http_client;
using web::http::client::http_client_config;

constexpr size_t inbox_limit = 1u << 20;  // then the connection is not read until the caller has caught up
constexpr std::chrono::minutes library_timeout{10};  // only behind ours; 0 would fail at once

// ---- The process-wide part
// -----------------------------------------------------------------------------------------

// Where the system's CAs are, as the environment said before we emptied it.
struct SystemRoots {
  std::string file, folder;
};

const SystemRoots& start_library() {
  static const SystemRoots roots = [] {
    const auto named = [](const char* variable, const char* otherwise) {
      const char* value = std::getenv(variable);
      return std::string(value && *value ? value : otherwise);
    };
    SystemRoots found{named(X509_get_default_cert_file_env(), X509_get_default_cert_file()),
                      named(X509_get_default_cert_dir_env(), X509_get_default_cert_dir())};
    ::setenv(X509_get_default_cert_file_env(), "", 1);
    ::setenv(X509_get_default_cert_dir_env(), "", 1);
    crossplat::threadpool::initialize_with_threads(0);
    return found;
  }();
  return roots;
}

// Runs the library's io_service on a thread of ours while any transport lives. Thread-safe.
class Engine {
 public:
  // One for all transports, since the library has one io_service for the process.
  static std::shared_ptr<Engine> shared() {
    static std::mutex mutex;
    static std::weak_ptr<Engine> current;
    const std::lock_guard lock(mutex);
    auto engine = current.lock();
    if (!engine) current = engine = std::make_shared<Engine>();
    return engine;
  }

  Engine()
      : roots(start_library()),
        service_(crossplat::threadpool::shared_instance().service()),
        work_(service_) {
    service_.restart();
    thread_ = std::jthread([this] { run(); });
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() {
    work_.reset();
    // What was cancelled a moment ago gets the time to fold up; what never completes does not hold us.
    for (int i = 0; i < 50 && !ended_; ++i) std::this_thread::sleep_for(milliseconds(2));
    service_.stop();
    thread_.join();
  }

  template <class Task>
  void post(Task task) {
    boost::asio::post(service_, std::move(task));
  }

  const SystemRoots& roots;

 private:
  void run() {
    for (;;) {
      try {
        service_.run();
        ended_ = true;
        return;
      } catch (...) {
        // Its request never completes and its caller's deadline ends it. All others go on.
      }
    }
  }

  boost::asio::io_service& service_;
  std::optional<boost::asio::io_service::work> work_;
  std::atomic<bool> ended_{false};
  std::jthread thread_;
};

// ---- Between the library's thread and the caller's
// ---------------------------------------------------------------------

// What the library's thread leaves for the caller's. Thread-safe; outlives the call if the library still
// holds it.
class Inbox {
 public:
  // On the library's thread.
  void put_head(HttpResponse head) {
    const std::lock_guard lock(mutex_);
    head_ = std::move(head);
    touch();
  }
  // The task is done once there is room for more.
  pplx::task<size_t> put_bytes(const uint8_t* data, size_t count) {
    // A chunk size of -1 comes here as 2^64-1 bytes that nobody read.
    if (count > SIZE_MAX / 2) return pplx::task_from_exception<size_t>(std::length_error("bad chunk size"));
    const std::lock_guard lock(mutex_);
    if (left_) return pplx::task_from_exception<size_t>(std::runtime_error("nobody waits for this"));
    bytes_.append(reinterpret_cast<const char*>(data), count);
    touch();
    if (bytes_.size() < inbox_limit) return pplx::task_from_result(count);
    room_.emplace(pplx::task_completion_event<size_t>(), count);
    return pplx::create_task(room_->first);
  }
  void finish(std::exception_ptr problem) {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    problem_ = problem;
    touch();
  }

  // On the caller's thread.
  enum class News { Some, Deadline, Stopped };
  // Waits until the head is there and bytes or the end are (`head_alone`: or neither); fills `bytes` with
  // what came.
  News wait(steady_clock::time_point until, const std::stop_token& stop, std::string& bytes,
            bool head_alone) {
    std::optional<std::pair<pplx::task_completion_event<size_t>, size_t>> room;
    {
      std::unique_lock lock(mutex_);
      const bool news = changed_.wait_until(
          lock, stop, until, [&] { return finished_ || (head_ && (head_alone || !bytes_.empty())); });
      if (stop.stop_requested()) return News::Stopped;
      if (!news) return News::Deadline;
      bytes.clear();
      bytes.swap(bytes_);
      room.swap(room_);
    }
    if (room) room->first.set(room->second);  // without the lock: it may start the next put_bytes
    return News::Some;
  }
  // After this nothing is taken any more. Whoever waits for room is let go.
  void leave() {
    std::optional<std::pair<pplx::task_completion_event<size_t>, size_t>> room;
    {
      const std::lock_guard lock(mutex_);
      left_ = true;
      bytes_ = {};
      room.swap(room_);
    }
    if (room) room->first.set(room->second);
  }
  std::optional<HttpResponse> head() const {
    const std::lock_guard lock(mutex_);
    return head_;
  }
  bool finished() const {
    const std::lock_guard lock(mutex_);
    return finished_ && bytes_.empty();
  }
  std::exception_ptr problem() const {
    const std::lock_guard lock(mutex_);
    return problem_;
  }
  steady_clock::time_point last_news() const {
    const std::lock_guard lock(mutex_);
    return last_news_;
  }

 private:
  void touch() {
    last_news_ = steady_clock::now();
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<HttpResponse> head_;
  std::string bytes_;
  std::optional<std::pair<pplx::task_completion_event<size_t>, size_t>> room_;
  bool finished_ = false, left_ = false;
  std::exception_ptr problem_;
  steady_clock::time_point last_news_ = steady_clock::now();
};

// All that a stream buffer must have and neither of ours needs.
class BareBuffer : public concurrency::streams::details::streambuf_state_manager<uint8_t> {
 public:
  using concurrency::streams::details::streambuf_state_manager<uint8_t>::streambuf_state_manager;
  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return static_cast<pos_type>(traits::eof()); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override {
    return static_cast<pos_type>(traits::eof());
  }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return static_cast<pos_type>(traits::eof());
  }
  // The library closes a buffer whose task failed and waits for that on its only thread; its own close() has
  // a continuation to run there first, and neither would ever end. These are done at once.
  pplx::task<void> close(std::ios_base::openmode mode) override {
    if (mode & std::ios_base::in) m_stream_can_read = false;
    if (mode & std::ios_base::out) m_stream_can_write = false;
    return pplx::task_from_result();
  }
  pplx::task<void> close(std::ios_base::openmode mode, std::exception_ptr problem) override {
    if (!m_currentException) m_currentException = problem;
    return close(mode);
  }
  bool acquire(uint8_t*&, size_t&) override { return false; }
  void release(uint8_t*, size_t) override {}

 protected:
  pplx::task<int_type> _putc(uint8_t) override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<size_t> _putn(const uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }
  pplx::task<int_type> _bumpc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<int_type> _ungetc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<size_t> _getn(uint8_t*, size_t) override { return pplx::task_from_result<size_t>(0); }
  size_t _scopy(uint8_t*, size_t) override { return 0; }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  uint8_t* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}
};

// Where the library writes an answer's body.
class ResponseBuffer final : public BareBuffer {
 public:
  explicit ResponseBuffer(std::shared_ptr<Inbox> inbox)
      : BareBuffer(std::ios_base::out), inbox_(std::move(inbox)) {}

 private:
  pplx::task<size_t> _putn(const uint8_t* data, size_t count) override {
    return inbox_->put_bytes(data, count);
  }
  pplx::task<int_type> _putc(uint8_t byte) override {
    return inbox_->put_bytes(&byte, 1).then([byte](size_t) -> int_type { return byte; });
  }
  const std::shared_ptr<Inbox> inbox_;
};

// Where the library reads a request's body, once.
class RequestBuffer final : public BareBuffer {
 public:
  explicit RequestBuffer(std::string body) : BareBuffer(std::ios_base::in), body_(std::move(body)) {}

 private:
  pplx::task<size_t> _getn(uint8_t* into, size_t room) override {
    const size_t take = std::min(room, body_.size() - taken_);
    std::copy_n(body_.data() + taken_, take, into);
    taken_ += take;
    return pplx::task_from_result(take);
  }
  const std::string body_;
  size_t taken_ = 0;
};

// ---- TLS
// ---------------------------------------------------------------------------------------------------------------

bool is_ip(const std::string& host) {
  boost::system::error_code problem;
  boost::asio::ip::make_address(host, problem);
  return !problem;
}

void add_cas(X509_STORE* store, const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  int count = 0;
  for (;; ++count) {
    const std::unique_ptr<X509, decltype(&X509_free)> cert(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
    if (!cert) break;
    X509_STORE_add_cert(store, cert.get());
  }
  ERR_clear_error();  // the end of the text
  if (count == 0) throw std::runtime_error("the certificate authority holds no PEM certificate");
}

// Called by the library for each new connection.
void set_up_tls(boost::asio::ssl::context& context, const TlsMaterial& tls, const SystemRoots& roots) {
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(), &X509_STORE_free);
  if (!store) throw std::bad_alloc();
  if (tls.ca.empty()) {
    X509_STORE_load_locations(store.get(), roots.file.c_str(), roots.folder.c_str());
    ERR_clear_error();
  } else {
    add_cas(store.get(), tls.ca);
  }
  SSL_CTX_set1_cert_store(context.native_handle(), store.get());
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  if (tls.cert.empty()) return;
  context.use_certificate_chain(boost::asio::buffer(tls.cert));
  context.use_private_key(boost::asio::buffer(tls.key), boost::asio::ssl::context::pem);
}

// ---- Calls
// -------------------------------------------------------------------------------------------------------------

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
    const auto buffer = std::make_shared<RequestBuffer>(request.body);
    message.set_body(concurrency::streams::streambuf<uint8_t>(buffer).create_istream(), request.body.size(),
                     "application/octet-stream");  // unless the headers say what it is
  }
  message.set_response_stream(
      concurrency::streams::streambuf<uint8_t>(std::make_shared<ResponseBuffer>(inbox)).create_ostream());
  return message;
}

// What one call does with the answer, on the caller's thread.
class Reader {
 public:
  Reader(const HttpRequest& request, const LineSink* sink) : request_(request) {
    if (sink) splitter_.emplace(*sink);
  }

  // Whether to go on. `head` is the answer's; an Error ends the call.
  Result<bool> take(int status, std::string_view bytes) {
    if (splitter_ && status / 100 == 2) {
      switch (splitter_->feed(bytes)) {
        case LineSplitter::Fed::More:
          return true;
        case LineSplitter::Fed::SinkEnded:
          return false;
        case LineSplitter::Fed::TooLong:
          return fail(ErrorKind::Malformed, "body: a line is longer than 16 MiB");
      }
    }
    const size_t most = splitter_ ? max_error_body_bytes : request_.max_body;
    if (body_.size() + bytes.size() > most) {
      if (!splitter_)
        return fail(ErrorKind::Malformed, "body: longer than " + std::to_string(most) + " bytes");
      body_.append(bytes.substr(0, most - body_.size()));
      return false;  // enough of an error text
    }
    body_.append(bytes);
    return true;
  }
  bool inside_line() const { return splitter_ && splitter_->inside_line(); }
  std::string take_body() { return std::move(body_); }

 private:
  const HttpRequest& request_;
  std::optional<LineSplitter> splitter_;
  std::string body_;
};

class CpprestTransport final : public HttpTransport {
 public:
  explicit CpprestTransport(std::shared_ptr<Credentials> credentials)
      : credentials_(std::move(credentials)), engine_(Engine::shared()) {
    const web::uri server(credentials_->config().server);
    const std::string& name = credentials_->config().tls_server_name;
    sni_ = !is_ip(name.empty() ? server.host() : name);
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
    Reader reader(request, sink);
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
      if (head->status / 100 == 2 && reader.inside_line()) {
        return fail(ErrorKind::Transport, "body: the stream ended in the middle of a line");
      }
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
        set_up_tls(context, *tls, engine->roots);
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
  try {
    return std::make_unique<CpprestTransport>(std::move(credentials));
  } catch (const std::exception& e) {  // of web::uri
    return fail(ErrorKind::Invalid,
                "cpprestsdk does not take this server or proxy address: " + std::string(e.what()));
  }
}

}  // namespace mo::kube
