#include "operator/kube/curl_exchange.h"

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
int mo_curl_seek(void* exchange, curl_off_t offset, int origin) {
  return origin == SEEK_SET ? static_cast<Exchange*>(exchange)->on_seek(offset) : CURL_SEEKFUNC_FAIL;
}
}

}  // namespace

Exchange::Exchange(CURL* easy, const HttpRequest& request, Mode mode, const LineSink* lines,
                   const ChunkSink* chunks)
    : easy_(easy), request_(request), mode_(mode), chunks_(chunks), last_byte_(steady_clock::now()) {
  if (lines) splitter_.emplace(*lines);
}

void Exchange::listen() {
  set(easy_, CURLOPT_HEADERFUNCTION, &mo_curl_header);
  set(easy_, CURLOPT_HEADERDATA, this);
  set(easy_, CURLOPT_WRITEFUNCTION, &mo_curl_body);
  set(easy_, CURLOPT_WRITEDATA, this);
  set(easy_, CURLOPT_READFUNCTION, &mo_curl_read);
  set(easy_, CURLOPT_READDATA, this);
  set(easy_, CURLOPT_SEEKFUNCTION, &mo_curl_seek);
  set(easy_, CURLOPT_SEEKDATA, this);
}

size_t Exchange::on_header(std::string_view line) {
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
size_t Exchange::on_head(std::string_view line) {
  if (mode_ != Mode::Stream || !request_.opened || status() / 100 != 2) return line.size();
  try {
    request_.opened();
    return line.size();
  } catch (...) {
    thrown_ = std::current_exception();
  }
  return end(Ended::Threw);
}

size_t Exchange::on_body(std::string_view bytes) {
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

size_t Exchange::on_read(char* into, size_t room) {
  const size_t take = std::min(room, request_.body.size() - sent_);
  request_.body.copy(into, take, sent_);
  sent_ += take;
  last_byte_ = steady_clock::now();
  return take;
}

long Exchange::status() const {
  long code = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &code);
  return code;
}

HttpResponse Exchange::take_response() {
  response_.status = static_cast<int>(status());
  return std::move(response_);
}

size_t Exchange::hand_over(std::string_view bytes) {
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
size_t Exchange::end(Ended why) {
  ended_ = why;
  return 0;
}

}  // namespace mo::kube::curl
