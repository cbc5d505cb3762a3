// `model-operator fetch`: the init container that brings an artifact and lets nothing pass whose digest is
// wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <stop_token>
#include <string>

#include "operator/core/time.h"
#include "operator/kube/transport.h"

namespace mo {

struct FetchOptions {
  std::string uri;
  std::string digest;                            // sha256:<64 hexadecimal digits in lower case>
  std::filesystem::path output;                  // the file, in a folder that is there
  std::filesystem::path source_dir = "/source";  // where the pod mounts the ConfigMap or claim
  std::filesystem::path termination_log =
      "/dev/termination-log";                   // takes the last sentence if it is there and can be written
  Duration timeout = std::chrono::minutes(10);  // for everything, retries too
  uint64_t max_bytes = 10ull << 30;
  std::filesystem::path credentials_dir;  // a mounted Secret (credentials.h), for https:// alone; empty: there is none
  Duration first_retry = std::chrono::milliseconds(500);  // doubles up to 10 s
};

// Exit codes, after sysexits.h.
enum FetchExit : int {
  kFetchOk = 0,
  kFetchUsage = 64,     // a flag that cannot be
  kFetchMismatch = 65,  // "digest mismatch: URI has sha256:…, expected sha256:…"
  kFetchNoSource = 66,  // absent, unreadable, too large, or refused by the server (4xx)
  kFetchNetwork = 69,   // not reached, or 5xx, until the time was up
  kFetchOutput = 74,    // the output cannot be written: the disk is full
  kFetchStopped = 75,   // asked to stop
  kFetchCredentials = 77,  // absent, or such as no server can take
};

// Blocks until the file is there or cannot be. The last line on `log` is one sentence that says how it ended;
// the same goes to the termination log. URIs are shown without user information and query values. Nothing but a verified file is ever at `output`, read-only. Never
// throws.
int fetch_artifact(const FetchOptions& options, kube::PlainTransport& http, std::ostream& log,
                   std::stop_token stop);

// The same with libcurl (up to 5 redirects, never from https to http, and credentials never to another host or port; http_proxy and its kin are obeyed) and
// stderr.
int fetch_main(const FetchOptions& options, std::stop_token stop);

}  // namespace mo
