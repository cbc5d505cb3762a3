#include "operator/kube/curl_exchange.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

#include "operator/kube/curl_handle.h"

namespace mo::kube::curl {
namespace {

using std::chrono::steady_clock;

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
curl_socket_t mo_curl_open_socket(void* exchange, curlsocktype, curl_sockaddr* peer) {
  return static_cast<Exchange*>(exchange)->on_open_socket(*peer);
}
int mo_curl_seek(void* exchange, curl_off_t offset, int origin) {
  return origin == SEEK_SET ? static_cast<Exchange*>(exchange)->on_seek(offset) : CURL_SEEKFUNC_FAIL;
}
}

}  // namespace

Exchange::Exchange(CURL* easy, const HttpRequest& request, Mode mode, const LineSink* lines,
                   const ChunkSink* chunks)
    : easy_(easy),
      request_(request),
      mode_(mode),
      body_(request, lines, chunks),
      last_byte_(steady_clock::now()) {}

void Exchange::listen() {
  set(easy_, CURLOPT_HEADERFUNCTION, &mo_curl_header);
  set(easy_, CURLOPT_HEADERDATA, this);
  set(easy_, CURLOPT_WRITEFUNCTION, &mo_curl_body);
  set(easy_, CURLOPT_WRITEDATA, this);
  set(easy_, CURLOPT_READFUNCTION, &mo_curl_read);
  set(easy_, CURLOPT_READDATA, this);
  set(easy_, CURLOPT_SEEKFUNCTION, &mo_curl_seek);
  set(easy_, CURLOPT_SEEKDATA, this);
  if (!request_.refuse_peer) return;
  set(easy_, CURLOPT_OPENSOCKETFUNCTION, &mo_curl_open_socket);
  set(easy_, CURLOPT_OPENSOCKETDATA, this);
  set(easy_, CURLOPT_FRESH_CONNECT, 1L);  // one of the pool was opened on other terms
  set(easy_, CURLOPT_FORBID_REUSE, 1L);
}

size_t Exchange::on_header(std::string_view line) {
  last_byte_ = steady_clock::now();
  header_bytes_ += line.size();
  if (header_bytes_ > max_header_bytes)
    return end(Error{ErrorKind::Malformed, "headers: longer than 256 KiB", 0, {}, {}});
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
size_t Exchange::on_head(std::string_view line) {
  if (status() / 100 != 2) return line.size();
  try {
    if (mode_ == Mode::Stream && request_.opened) request_.opened();
    if (mode_ == Mode::Download && request_.begun) {
      response_.status = static_cast<int>(status());
      if (!request_.begun(response_)) return end(Ended::Enough);
    }
    return line.size();
  } catch (...) {
    thrown_ = std::current_exception();
  }
  return end(Ended::Threw);
}

size_t Exchange::on_body(std::string_view bytes) {
  last_byte_ = steady_clock::now();
  try {
    const auto more = body_.take(static_cast<int>(status()), bytes);
    if (!more) return end(more.error());
    return *more ? bytes.size() : end(Ended::Enough);
  } catch (...) {  // must not pass through libcurl's C frames; thrown again by the call itself
    thrown_ = std::current_exception();
  }
  return end(Ended::Threw);
}

size_t Exchange::on_read(char* into, size_t room) {
  const size_t take = std::min(room, request_.body.size() - sent_);
  request_.body.copy(into, take, sent_);
  sent_ += take;
  last_byte_ = steady_clock::now();
  return take;
}

curl_socket_t Exchange::on_open_socket(const curl_sockaddr& peer) {
  char text[INET6_ADDRSTRLEN] = "";
  int port = 0;
  if (peer.family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&peer.addr);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    port = ntohs(v4->sin_port);
  } else if (peer.family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&peer.addr);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    port = ntohs(v6->sin6_port);
  }
  refusal_ = request_.refuse_peer(text, port);
  if (!refusal_.empty()) return CURL_SOCKET_BAD;
  return ::socket(peer.family, peer.socktype | SOCK_CLOEXEC, peer.protocol);
}

long Exchange::status() const {
  long code = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &code);
  return code;
}

HttpResponse Exchange::take_response() {
  response_.status = static_cast<int>(status());
  long redirects = 0;
  curl_easy_getinfo(easy_, CURLINFO_REDIRECT_COUNT, &redirects);
  response_.redirected = redirects > 0;
  response_.body = body_.take_body();
  return std::move(response_);
}

// Makes libcurl give up: a callback that takes fewer bytes than it got (our callbacks never get none).
size_t Exchange::end(Ended why) {
  ended_ = why;
  return 0;
}

size_t Exchange::end(Error problem) {
  problem_ = std::move(problem);
  return end(Ended::Wrong);
}

}  // namespace mo::kube::curl
