// What the tests of the fetch module share.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "operator/fetch/fetch.h"
#include "operator/fetch/sha256.h"
#include "tests/unit/temp_dir.h"

namespace mo {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace std::chrono_literals;

inline std::string digest_of(std::string_view text) {
  fetch::Sha256 hash;
  hash.add(text);
  return hash.finish();
}
inline void write(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }
inline std::string read(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

// One scripted attempt after the other; the last one stays.
class FakeHttp : public kube::PlainTransport {
 public:
  struct Attempt {
    int status = 200;
    std::string body;
    std::optional<Error> error;  // after the body
    bool hang = false;
    std::vector<std::pair<std::string, std::string>> headers = {};  // of the answer
    bool redirected = false;
  };
  Result<kube::HttpResponse> download(const kube::HttpRequest& request, const kube::ChunkSink& sink,
                                      std::stop_token stop) override {
    requests.push_back(request.target);
    headers = request.headers;
    all_headers.push_back(request.headers);
    const Attempt attempt = respond ? respond(request) : attempts.front();
    if (!respond && attempts.size() > 1) attempts.pop_front();
    while (attempt.hang && !stop.stop_requested()) std::this_thread::sleep_for(1ms);
    if (stop.stop_requested()) return fail(ErrorKind::Cancelled, "cancelled");
    if (attempt.status / 100 != 2) return kube::HttpResponse{attempt.status, attempt.headers, attempt.body, attempt.redirected};
    const kube::HttpResponse head{attempt.status, attempt.headers, ""};
    if (request.begun && !request.begun(head)) return fail(ErrorKind::Cancelled, "the sink ended it");
    for (size_t i = 0; i < attempt.body.size(); i += piece)
      if (!sink(std::string_view(attempt.body).substr(i, piece))) return fail(ErrorKind::Cancelled, "the sink ended it");
    if (attempt.error) return fail(*attempt.error);
    return head;
  }
  Result<kube::HttpResponse> send(const kube::HttpRequest&, std::stop_token) override { return fail(ErrorKind::Invalid, ""); }
  Result<kube::HttpResponse> stream(const kube::HttpRequest&, const kube::LineSink&, std::stop_token) override {
    return fail(ErrorKind::Invalid, "");
  }
  std::function<Attempt(const kube::HttpRequest&)> respond;  // instead of the script
  size_t piece = 1;                                          // bytes that the sink gets at once
  std::deque<Attempt> attempts{{}};
  std::vector<std::string> requests;
  std::vector<std::pair<std::string, std::string>> headers;  // of the last one
  std::vector<std::vector<std::pair<std::string, std::string>>> all_headers;
};

struct Fixture {
  TempDir dir;
  FakeHttp http;
  FetchOptions options;
  std::ostringstream log;
  std::stop_source stop;

  Fixture() {
    fs::create_directory(dir.path / "source");
    fs::create_directory(dir.path / "artifact");
    write(dir.path / "log", "");
    options.uri = "http://store/model.json";
    options.digest = digest_of("model");
    options.output = dir.path / "artifact" / "model.json";
    options.source_dir = dir.path / "source";
    options.termination_log = dir.path / "log";
    options.first_retry = 1ms;
  }
  int run() { return fetch_artifact(options, http, log, stop.get_token()); }
  std::string said() { return read(dir.path / "log"); }
  bool nothing_left() { return fs::is_empty(dir.path / "artifact"); }
};

}  // namespace mo
