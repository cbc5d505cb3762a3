// What libcurl hands out, owned and set up as C++ has it. For its transports alone.
#pragma once

#include <curl/curl.h>

#include <new>
#include <optional>
#include <stdexcept>
#include <string>

namespace mo::kube::curl {

// libcurl's own global state; done once for the process, since it must be. Ignores SIGPIPE. Thread-safe.
// Throws if libcurl does not start.
void init_libcurl();

// A multi handle keeps its connections from one call to the next. Not thread-safe, but for waking it up.
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

// A list of headers or the like. libcurl does not copy it: it must outlive the call.
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

// Throws if libcurl does not take it: a bug, or another libcurl than we were built with.
template <class T>
void set(CURL* easy, CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code != CURLE_OK) {
    throw std::runtime_error("libcurl refuses option " + std::to_string(option) + ": " +
                             curl_easy_strerror(code));
  }
}

// libcurl copies the text when it is set.
curl_blob blob_of(const std::string& text);

// Host and port of an absolute URL, the port by its scheme if none is written; an IPv6 host keeps its
// brackets.
struct Origin {
  std::string scheme, host, port;
};
// Nothing if it is no URL.
std::optional<Origin> origin_of(const std::string& url);

}  // namespace mo::kube::curl
