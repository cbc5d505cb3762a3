// HttpTransport on libcurl. Each call drives a multi handle of its own on the caller's thread, so a call can
// be woken at once (curl_multi_wakeup) and no thread is needed; a multi handle keeps its connections, and
// finished ones wait in a pool.
#include <curl/curl.h>
#include <signal.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <mutex>
#include <optional>

#include "operator/core/time.h"
#include "operator/kube/credentials.h"
#include "operator/kube/idle_pool.h"
#include "operator/kube/lines.h"
#include "operator/kube/request_check.h"
#include "operator/kube/transport.h"

namespace mo::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds connect_limit{10'000};
constexpr size_t max_idle_sessions = 32;
constexpr std::chrono::seconds idle_session_limit{30};  // servers keep connections longer

// libcurl's own global state; done once for the process, since it must be.
void init_libcurl() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (done != CURLE_OK)
    throw std::runtime_error("libcurl does not start: " + std::string(curl_easy_strerror(done)));
  // A peer that closes while OpenSSL writes must be an error of that call, not the end of the process.
  ::signal(SIGPIPE, SIG_IGN);
}

struct Session {
  CURLM* multi = curl_multi_init();
  CURL* easy = curl_easy_init();
  Session() {
    if (!multi || !easy) throw std::bad_alloc();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 2L);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
};

struct Slist {
  curl_slist* list = nullptr;
  Slist() = default;
  Slist(const Slist&) = delete;
  Slist& operator=(const Slist&) = delete;
  ~Slist() { curl_slist_free_all(list); }
  void add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list, line.c_str());
    if (!longer) throw std::bad_alloc();
    list = longer;
  }
};

// What one call reads, sends and remembers. The C callbacks below get a pointer to it.
class Exchange {
 public:
  enum class Mode { Send, Stream, Download };
  // Why the call ended before libcurl said so.
  enum class Ended { No, Sink, Line, Body, Headers, Threw };

  Exchange(CURL* easy, const HttpRequest& request, Mode mode, const LineSink* lines, const ChunkSink* chunks)
      : easy_(easy), request_(request), mode_(mode), chunks_(chunks), last_byte_(steady_clock::now()) {
    if (lines) splitter_.emplace(*lines);
  }

  size_t on_header(std::string_view line) {
    last_byte_ = steady_clock::now();
    header_bytes_ += line.size();
    if (header_bytes_ > max_header_bytes) return end(Ended::Headers);
    if (line.starts_with("HTTP/")) {  // also after a 100 or a redirect
      response_.headers.clear();
      return line.size();
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return line == "\r\n" || line == "\n" ? on_head(line) : line.size();
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
      value.remove_suffix(1);
    response_.headers.emplace_back(std::move(name), value);
    return line.size();
  }

  // The empty line after the headers.
  size_t on_head(std::string_view line) {
    if (mode_ != Mode::Stream || !request_.opened || status() / 100 != 2) return line.size();
    try {
      request_.opened();
      return line.size();
    } catch (...) {
      thrown_ = std::current_exception();
    }
    return end(Ended::Threw);
  }

  size_t on_body(std::string_view bytes) {
    last_byte_ = steady_clock::now();
    body_bytes_ += bytes.size();
    if (mode_ != Mode::Send && status() / 100 == 2) return hand_over(bytes);
    const size_t most = mode_ == Mode::Send ? request_.max_body : max_error_body_bytes;
    if (response_.body.size() + bytes.size() > most) {
      if (mode_ == Mode::Send) return end(Ended::Body);
      bytes = bytes.substr(0, most - response_.body.size());
      response_.body.append(bytes);
      return end(Ended::Sink);  // enough of an error text
    }
    response_.body.append(bytes);
    return bytes.size();
  }

  size_t on_read(char* into, size_t room) {
    const size_t take = std::min(room, request_.body.size() - sent_);
    request_.body.copy(into, take, sent_);
    sent_ += take;
    last_byte_ = steady_clock::now();
    return take;
  }

  // libcurl wants to send the body once more, because a reused connection died. If it had any of it, that
  // could execute a write twice: refuse, and let the caller decide.
  int on_seek(curl_off_t offset) const {
    return offset == 0 && sent_ == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
  }

  long status() const {
    long code = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  HttpResponse take_response() {
    response_.status = static_cast<int>(status());
    return std::move(response_);
  }

  bool inside_line() const { return splitter_ && splitter_->inside_line(); }
  Ended ended() const { return ended_; }
  std::exception_ptr thrown() const { return thrown_; }
  steady_clock::time_point last_byte() const { return last_byte_; }
  bool any_header() const { return header_bytes_ > 0; }
  bool all_sent() const { return sent_ == request_.body.size(); }
  Mode mode() const { return mode_; }

 private:
  size_t hand_over(std::string_view bytes) {
    try {
      if (mode_ == Mode::Download) {
        if (body_bytes_ > request_.max_body) return end(Ended::Body);
        return (*chunks_)(bytes) ? bytes.size() : end(Ended::Sink);
      }
      switch (splitter_->feed(bytes)) {
        case LineSplitter::Fed::More:
          return bytes.size();
        case LineSplitter::Fed::SinkEnded:
          return end(Ended::Sink);
        case LineSplitter::Fed::TooLong:
          return end(Ended::Line);
      }
    } catch (...) {  // must not pass through libcurl's C frames; thrown again by the call itself
      thrown_ = std::current_exception();
    }
    return end(Ended::Threw);
  }

  // Makes libcurl give up: a callback that takes fewer bytes than it got (our callbacks never get none).
  size_t end(Ended why) {
    ended_ = why;
    return 0;
  }

  CURL* const easy_;
  const HttpRequest& request_;
  const Mode mode_;
  const ChunkSink* const chunks_;
  std::optional<LineSplitter> splitter_;
  HttpResponse response_;
  size_t header_bytes_ = 0, body_bytes_ = 0, sent_ = 0;
  steady_clock::time_point last_byte_;
  Ended ended_ = Ended::No;
  std::exception_ptr thrown_;
};

extern "C" {
size_t mo_curl_header(char* data, size_t size, size_t count, void* exchange) {
  return static_cast<Exchange*>(exchange)->on_header({data, size * count});
}
size_t mo_curl_body(char* data, size_t size, size_t count, void* exchange) {
  return static_cast<Exchange*>(exchange)->on_body({data, size * count});
}
size_t mo_curl_read(char* into, size_t size, size_t count, void* exchange) {
  return static_cast<Exchange*>(exchange)->on_read(into, size * count);
}
int mo_curl_seek(void* exchange, curl_off_t offset, int origin) {
  return origin == SEEK_SET ? static_cast<Exchange*>(exchange)->on_seek(offset) : CURL_SEEKFUNC_FAIL;
}
}

template <class T>
void set(CURL* easy, CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code != CURLE_OK) {
    throw std::runtime_error("libcurl refuses option " + std::to_string(option) + ": " +
                             curl_easy_strerror(code));
  }
}

curl_blob blob_of(const std::string& text) {
  return {const_cast<char*>(text.data()), text.size(),
          CURL_BLOB_COPY};  // NOLINT: libcurl's struct has no const
}

// Host and port of an absolute URL, the port by its scheme if none is written; an IPv6 host keeps its
// brackets.
struct Origin {
  std::string scheme, host, port;
};
std::optional<Origin> origin_of(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  const auto part = [&](CURLUPart what) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), what, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return std::string();
    std::string copy(text);
    curl_free(text);
    return copy;
  };
  return Origin{part(CURLUPART_SCHEME), part(CURLUPART_HOST), part(CURLUPART_PORT)};
}

// What is the same for every request, whoever answers.
void set_common(CURL* easy, const HttpRequest& request, Exchange& exchange, char* error_text) {
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_QUICK_EXIT, 1L);  // cancelling must not wait for a name server that is silent
  set(easy, CURLOPT_ERRORBUFFER, error_text);
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect_limit.count()));
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_TCP_KEEPIDLE, 30L);
  set(easy, CURLOPT_TCP_KEEPINTVL, 10L);
  // One connection a call and no sharing between threads: HTTP/2 would multiplex nothing here.
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // a proxy's answer is not the server's
  set(easy, CURLOPT_HEADERFUNCTION, &mo_curl_header);
  set(easy, CURLOPT_HEADERDATA, &exchange);
  set(easy, CURLOPT_WRITEFUNCTION, &mo_curl_body);
  set(easy, CURLOPT_WRITEDATA, &exchange);
  // Packed only where the whole is waited for: a stream's lines must not wait inside the packer.
  if (exchange.mode() == Exchange::Mode::Send) set(easy, CURLOPT_ACCEPT_ENCODING, "gzip");

  if (request.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty()) {
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(easy, CURLOPT_READFUNCTION, &mo_curl_read);
    set(easy, CURLOPT_READDATA, &exchange);
    set(easy, CURLOPT_SEEKFUNCTION, &mo_curl_seek);
    set(easy, CURLOPT_SEEKDATA, &exchange);
  } else if (request.method != "GET") {
    set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    // Without a body there is nothing to refuse to rewind; on a fresh connection libcurl repeats nothing.
    set(easy, CURLOPT_FRESH_CONNECT, 1L);
  }
}

void set_headers(CURL* easy, const HttpRequest& request, Slist& headers) {
  bool typed = false;
  for (const auto& [name, value] : request.headers) {
    headers.add(name + ": " + value);
    typed = typed || curl_strequal(name.c_str(), "Content-Type");
  }
  if (!request.body.empty()) {
    headers.add("Expect:");  // no 100-continue dance
    if (!typed) headers.add("Content-Type:");
  }
  set(easy, CURLOPT_HTTPHEADER, headers.list);
}

const char* phase_of(CURL* easy, const Exchange& exchange) {
  if (exchange.status() != 0) return "body";
  if (exchange.any_header()) return "headers";
  curl_off_t connected = 0;
  curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
  if (connected == 0) return "connect";
  long request_bytes = 0;
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_bytes);
  return request_bytes > 0 && exchange.all_sent() ? "headers" : "send";
}

Error transport_error(CURL* easy, const Exchange& exchange, const std::string& what) {
  return Error{ErrorKind::Transport, std::string(phase_of(easy, exchange)) + ": " + what, 0, {}, {}};
}

class BorrowedSession {  // gives the session back however the call ends
 public:
  explicit BorrowedSession(IdlePool<Session>& pool) : pool_(pool), session_(pool.take()) {
    if (!session_) session_ = std::make_unique<Session>();
  }
  BorrowedSession(const BorrowedSession&) = delete;
  BorrowedSession& operator=(const BorrowedSession&) = delete;
  ~BorrowedSession() {
    curl_easy_reset(session_->easy);
    pool_.give_back(std::move(session_));
  }
  Session& session() { return *session_; }

 private:
  IdlePool<Session>& pool_;
  std::unique_ptr<Session> session_;
};

// Adds the easy handle to its multi handle and always takes it out again, which also closes an unfinished
// connection.
class Running {
 public:
  explicit Running(Session& session) : session_(session) {
    if (curl_multi_add_handle(session.multi, session.easy) != CURLM_OK)
      throw std::runtime_error("curl_multi_add_handle");
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { curl_multi_remove_handle(session_.multi, session_.easy); }

 private:
  Session& session_;
};

struct Limits {
  std::optional<steady_clock::time_point> deadline;
  std::optional<milliseconds> idle;
};

// Drives the transfer until libcurl has its result, the stop token is triggered or a limit is reached.
Result<CURLcode> drive(Session& session, const HttpRequest& request, const Exchange& exchange,
                       const Limits& limits, const std::stop_token& stop) {
  const Running running(session);
  const std::stop_callback wake(stop, [&] { curl_multi_wakeup(session.multi); });
  for (;;) {
    if (stop.stop_requested()) return fail(ErrorKind::Cancelled, "cancelled");
    int active = 0;
    if (const CURLMcode code = curl_multi_perform(session.multi, &active); code != CURLM_OK) {
      return fail(ErrorKind::Transport, std::string("libcurl: ") + curl_multi_strerror(code));
    }
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(session.multi, &left)) {
      if (message->msg == CURLMSG_DONE) return message->data.result;
    }
    const auto now = steady_clock::now();
    auto wait = milliseconds(1000);
    if (limits.deadline) {
      if (now >= *limits.deadline) {
        return fail(transport_error(session.easy, exchange,
                                    "no complete answer within " + format_duration(request.deadline)));
      }
      wait = std::min(wait, std::chrono::ceil<milliseconds>(*limits.deadline - now));
    }
    if (limits.idle) {
      const auto until = exchange.last_byte() + *limits.idle;
      if (now >= until) {
        return fail(transport_error(session.easy, exchange, "silent for " + format_duration(*limits.idle)));
      }
      wait = std::min(wait, std::chrono::ceil<milliseconds>(until - now));
    }
    curl_multi_poll(session.multi, nullptr, 0, static_cast<int>(wait.count()), nullptr);
  }
}

Result<HttpResponse> finish(CURL* easy, CURLcode code, Exchange& exchange, const HttpRequest& request,
                            const char* text) {
  switch (exchange.ended()) {
    case Exchange::Ended::Threw:
      std::rethrow_exception(exchange.thrown());
    case Exchange::Ended::Sink:
      if (exchange.mode() == Exchange::Mode::Download && exchange.status() / 100 == 2) {
        return fail(ErrorKind::Cancelled, "ended by the reader");
      }
      return exchange.take_response();
    case Exchange::Ended::Line:
      return fail(ErrorKind::Malformed, "body: a line is longer than 16 MiB");
    case Exchange::Ended::Body:
      return fail(ErrorKind::Malformed, "body: longer than " + std::to_string(request.max_body) + " bytes");
    case Exchange::Ended::Headers:
      return fail(ErrorKind::Malformed, "headers: longer than 256 KiB");
    case Exchange::Ended::No:
      break;
  }
  if (code == CURLE_SEND_FAIL_REWIND) {
    return fail(transport_error(easy, exchange,
                                "the connection died after (part of) the request was sent; not sent again"));
  }
  if (code != CURLE_OK) {
    return fail(transport_error(easy, exchange, text[0] ? text : curl_easy_strerror(code)));
  }
  if (exchange.status() / 100 == 2 && exchange.inside_line()) {
    return fail(ErrorKind::Transport, "body: the stream ended in the middle of a line");
  }
  return exchange.take_response();
}

// The calls that both transports share; they differ in how a session is told where to go.
class CurlCalls {
 public:
  virtual ~CurlCalls() = default;

 protected:
  Result<HttpResponse> call(const HttpRequest& request, Exchange::Mode mode, const LineSink* lines,
                            const ChunkSink* chunks, const std::stop_token& stop) {
    const auto deadline = steady_clock::now() + request.deadline;
    if (stop.stop_requested()) return fail(ErrorKind::Cancelled, "cancelled");
    if (auto fine = check_request(request); !fine) return fail(fine.error());
    BorrowedSession borrowed(pool_);
    CURL* easy = borrowed.session().easy;
    char error_text[CURL_ERROR_SIZE] = "";
    Slist headers, extra;
    Exchange exchange(easy, request, mode, lines, chunks);
    set_common(easy, request, exchange, error_text);
    set_headers(easy, request, headers);
    if (auto done = set_peer(easy, request, headers, extra); !done) return fail(done.error());
    Limits limits;
    if (mode == Exchange::Mode::Send) limits.deadline = deadline;
    if (mode != Exchange::Mode::Send) limits.idle = request.idle_deadline;
    const auto code = drive(borrowed.session(), request, exchange, limits, stop);
    if (!code) return fail(code.error());
    return finish(easy, *code, exchange, request, error_text);
  }

  void let_go_of_idle() { pool_.let_go(); }

  // Sets URL, TLS and proxy.
  virtual Result<void> set_peer(CURL* easy, const HttpRequest& request, Slist& headers, Slist& extra) = 0;

 private:
  IdlePool<Session> pool_{max_idle_sessions, idle_session_limit};
};

class CurlTransport final : public HttpTransport, private CurlCalls {
 public:
  explicit CurlTransport(std::shared_ptr<Credentials> credentials)
      : credentials_(std::move(credentials)), origin_(origin_of(credentials_->config().server)) {}

  Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop) override {
    return call(request, Exchange::Mode::Send, nullptr, nullptr, stop);
  }
  Result<HttpResponse> stream(const HttpRequest& request, const LineSink& sink,
                              std::stop_token stop) override {
    return call(request, Exchange::Mode::Stream, &sink, nullptr, stop);
  }
  void close_idle() override { let_go_of_idle(); }

 private:
  Result<void> set_peer(CURL* easy, const HttpRequest& request, Slist& headers, Slist& extra) override {
    const Config& config = credentials_->config();
    if (!origin_) return fail(ErrorKind::Invalid, "not a URL: " + config.server);
    set(easy, CURLOPT_PROXY, config.proxy_url.c_str());  // "" also keeps the environment's proxies away
    set(easy, CURLOPT_NOPROXY, "");
    std::string url = config.server + request.target;
    if (!config.tls_server_name.empty() && origin_->scheme == "https") {
      url = under_other_name(url, config.tls_server_name, headers, extra);
      set(easy, CURLOPT_HTTPHEADER, headers.list);
      set(easy, CURLOPT_CONNECT_TO, extra.list);
    }
    set(easy, CURLOPT_URL, url.c_str());
    return origin_->scheme == "https" ? set_tls(easy, config) : Result<void>{};
  }

  // The certificate is checked against the URL's host, so put the other name there, and say where to connect
  // instead.
  std::string under_other_name(const std::string& url, const std::string& name, Slist& headers,
                               Slist& extra) const {
    const size_t authority = url.find("://") + 3;
    const size_t path = url.find('/', authority);
    const std::string address = origin_->host + ":" + origin_->port;
    extra.add("::" + address);
    headers.add("Host: " + address);
    return "https://" + name + ":" + origin_->port + (path == std::string::npos ? "" : url.substr(path));
  }

  Result<void> set_tls(CURL* easy, const Config& config) {
    const auto tls = credentials_->tls();
    if (!tls) return fail(tls.error());
    if (config.insecure_skip_tls_verify) {
      set(easy, CURLOPT_SSL_VERIFYPEER, 0L);
      set(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    } else if (!(*tls)->ca.empty()) {
      // Without the two nulls libcurl would trust Debian's default folder beside our CA.
      set(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
      set(easy, CURLOPT_CAINFO, static_cast<const char*>(nullptr));
      const curl_blob ca = blob_of((*tls)->ca);
      set(easy, CURLOPT_CAINFO_BLOB, &ca);
    }
    if (!(*tls)->cert.empty()) {
      const curl_blob cert = blob_of((*tls)->cert), key = blob_of((*tls)->key);
      set(easy, CURLOPT_SSLCERTTYPE, "PEM");
      set(easy, CURLOPT_SSLKEYTYPE, "PEM");
      set(easy, CURLOPT_SSLCERT_BLOB, &cert);
      set(easy, CURLOPT_SSLKEY_BLOB, &key);
    }
    return {};
  }

  const std::shared_ptr<Credentials> credentials_;
  const std::optional<Origin> origin_;
};

class PlainCurlTransport final : public PlainTransport, private CurlCalls {
 public:
  explicit PlainCurlTransport(PlainOptions options) : options_(std::move(options)) {}

  Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop) override {
    return call(request, Exchange::Mode::Send, nullptr, nullptr, stop);
  }
  Result<HttpResponse> stream(const HttpRequest& request, const LineSink& sink,
                              std::stop_token stop) override {
    return call(request, Exchange::Mode::Stream, &sink, nullptr, stop);
  }
  void close_idle() override { let_go_of_idle(); }
  Result<HttpResponse> download(const HttpRequest& request, const ChunkSink& sink,
                                std::stop_token stop) override {
    return call(request, Exchange::Mode::Download, nullptr, &sink, stop);
  }

 private:
  Result<void> set_peer(CURL* easy, const HttpRequest& request, Slist&, Slist&) override {
    const auto origin = origin_of(request.target);
    if (!origin || (origin->scheme != "http" && origin->scheme != "https")) {
      return fail(ErrorKind::Invalid, "neither an http nor an https address: " + request.target);
    }
    set(easy, CURLOPT_URL, request.target.c_str());
    set(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
    if (!options_.proxy_from_env) {
      set(easy, CURLOPT_PROXY, "");
      set(easy, CURLOPT_NOPROXY, "");
    }
    if (!options_.ca_file.empty()) {
      set(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
      set(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
    }
    if (options_.max_redirects > 0) {
      set(easy, CURLOPT_FOLLOWLOCATION, 1L);
      set(easy, CURLOPT_MAXREDIRS, static_cast<long>(options_.max_redirects));
      set(easy, CURLOPT_REDIR_PROTOCOLS_STR, origin->scheme == "https" ? "https" : "http,https");
    }
    return {};
  }

  const PlainOptions options_;
};

}  // namespace

std::unique_ptr<HttpTransport> make_curl_transport(std::shared_ptr<Credentials> credentials) {
  init_libcurl();
  return std::make_unique<CurlTransport>(std::move(credentials));
}

std::unique_ptr<PlainTransport> make_plain_curl_transport(PlainOptions options) {
  init_libcurl();
  return std::make_unique<PlainCurlTransport>(std::move(options));
}

}  // namespace mo::kube
