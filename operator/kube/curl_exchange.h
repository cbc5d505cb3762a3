// What goes to and fro in one call over libcurl. For its transports alone.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/kube/body_reader.h"
#include "operator/kube/transport.h"

namespace mo::kube::curl {

// What one call reads, sends and remembers. Not thread-safe: libcurl calls it on the thread that drives the
// transfer. Keeps references to `request` and the sinks; which of them there is depends on the mode.
class Exchange {
 public:
  enum class Mode { Send, Stream, Download };
  // Why the call ended before libcurl said so.
  enum class Ended { No, Enough, Wrong, Threw };

  Exchange(CURL* easy, const HttpRequest& request, Mode mode, const LineSink* lines, const ChunkSink* chunks);

  // Has libcurl call the five below. Must outlive the transfer.
  void listen();

  // They return how much was taken; less than there was ends the call. What a sink throws is kept for
  // thrown().
  size_t on_header(std::string_view line);
  size_t on_body(std::string_view bytes);
  size_t on_read(char* into, size_t room);
  // libcurl wants to send the body once more, because a reused connection died. If it had any of it, that
  // could execute a write twice: refuse, and let the caller decide.
  int on_seek(curl_off_t offset) const {
    return offset == 0 && sent_ == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
  }

  // A socket to connect with, or CURL_SOCKET_BAD where the request's refuse_peer says no.
  curl_socket_t on_open_socket(const curl_sockaddr& peer);

  long status() const;
  HttpResponse take_response();
  Result<void> end_of_body() const { return body_.end(static_cast<int>(status())); }
  Ended ended() const { return ended_; }
  const Error& problem() const { return *problem_; }  // if it ended as Wrong
  std::exception_ptr thrown() const { return thrown_; }
  std::chrono::steady_clock::time_point last_byte() const { return last_byte_; }
  const std::string& refusal() const { return refusal_; }  // of the last address that was refused
  bool any_header() const { return header_bytes_ > 0; }
  bool all_sent() const { return sent_ == request_.body.size(); }
  Mode mode() const { return mode_; }

 private:
  size_t on_head(std::string_view line);
  size_t end(Ended why);
  size_t end(Error problem);

  CURL* const easy_;
  const HttpRequest& request_;
  const Mode mode_;
  BodyReader body_;
  HttpResponse response_;
  size_t header_bytes_ = 0, sent_ = 0;
  std::chrono::steady_clock::time_point last_byte_;
  Ended ended_ = Ended::No;
  std::optional<Error> problem_;
  std::exception_ptr thrown_;
  std::string refusal_;
};

}  // namespace mo::kube::curl
