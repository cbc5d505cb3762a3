#include "operator/kube/curl_calls.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "operator/core/time.h"
#include "operator/kube/request_check.h"

namespace mo::kube::curl {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds connect_limit{10'000};
constexpr long download_buffer = 512 << 10;  // bytes; libcurl's own 16 KiB cost a system call each

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
  exchange.listen();
  // Packed only where the whole is waited for: a stream's lines must not wait inside the packer.
  if (exchange.mode() == Exchange::Mode::Send) set(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  if (exchange.mode() == Exchange::Mode::Download) set(easy, CURLOPT_BUFFERSIZE, download_buffer);
  if (request.sign) {
    set(easy, CURLOPT_AWS_SIGV4, ("aws:amz:" + request.sign->region + ":s3").c_str());
    set(easy, CURLOPT_USERNAME, request.sign->id.c_str());
    set(easy, CURLOPT_PASSWORD, request.sign->secret.c_str());
  }

  if (request.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty()) {
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
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
    // No 100-continue dance. Of a signed request libcurl would sign the header that it then leaves out.
    if (!request.sign) headers.add("Expect:");
    if (request.sign) set(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 100L);
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

Result<HttpResponse> finish(CURL* easy, CURLcode code, Exchange& exchange, const char* text) {
  switch (exchange.ended()) {
    case Exchange::Ended::Threw:
      std::rethrow_exception(exchange.thrown());
    case Exchange::Ended::Enough:
      if (exchange.mode() == Exchange::Mode::Download && exchange.status() / 100 == 2) {
        return fail(ErrorKind::Cancelled, "ended by the reader");
      }
      return exchange.take_response();
    case Exchange::Ended::Wrong:
      return fail(exchange.problem());
    case Exchange::Ended::No:
      break;
  }
  if (code == CURLE_SEND_FAIL_REWIND) {
    return fail(transport_error(easy, exchange,
                                "the connection died after (part of) the request was sent; not sent again"));
  }
  if (code != CURLE_OK && !exchange.refusal().empty()) return fail(ErrorKind::Forbidden, exchange.refusal());
  if (code != CURLE_OK) {
    return fail(transport_error(easy, exchange, text[0] ? text : curl_easy_strerror(code)));
  }
  if (auto whole = exchange.end_of_body(); !whole) return fail(whole.error());
  return exchange.take_response();
}

}  // namespace

Result<HttpResponse> Calls::call(const HttpRequest& request, Exchange::Mode mode, const LineSink* lines,
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
  return finish(easy, *code, exchange, error_text);
}

}  // namespace mo::kube::curl
