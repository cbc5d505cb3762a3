#include "operator/kube/curl_handle.h"

#include <signal.h>

#include <memory>

namespace mo::kube::curl {

void init_libcurl() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (done != CURLE_OK)
    throw std::runtime_error("libcurl does not start: " + std::string(curl_easy_strerror(done)));
  // A peer that closes while OpenSSL writes must be an error of that call, not the end of the process.
  ::signal(SIGPIPE, SIG_IGN);
}

curl_blob blob_of(const std::string& text) {
  return {const_cast<char*>(text.data()), text.size(),
          CURL_BLOB_COPY};  // NOLINT: libcurl's struct has no const
}

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

}  // namespace mo::kube::curl
