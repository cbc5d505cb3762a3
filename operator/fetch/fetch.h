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
  std::filesystem::path output;                  // the file or, of what is unpacked, the folder; folders on the way are made
  bool unpack = false;                           // the artifact is an archive (unpack.h), and `output` a folder
  bool mounted = false;  // `output` is an image volume of this digest: what may be wrong is that nothing is in it, and its signature
  std::filesystem::path source_dir = "/source";  // where the pod mounts the ConfigMap or claim
  std::filesystem::path termination_log = "/dev/termination-log";  // takes the last sentence if it is there and can be written
  Duration timeout = std::chrono::minutes(10);                     // for all attempts together
  uint64_t max_bytes = 10ull << 30;
  std::filesystem::path
      credentials_dir;  // a mounted Secret (credentials.h, s3.h), never sent over http://; empty: there is none
  std::string
      signature_uri;  // a bundle of model_signing (signature.h), by configmap, pvc, https or s3; empty: none is asked for
  std::filesystem::path signature_dir = "/signature";     // where the pod mounts its ConfigMap or claim
  std::string public_key;                                 // PEM; whose signature it must be
  Duration first_retry = std::chrono::milliseconds(500);  // doubles up to 10 s
};

// Exit codes, after sysexits.h.
enum FetchExit : int {
  kFetchOk = 0,
  kFetchUsage = 64,        // a flag that cannot be
  kFetchMismatch = 65,     // "digest mismatch: URI has sha256:…, expected sha256:…"
  kFetchNoSource = 66,     // absent, unreadable, too large, no archive, or refused by the server (4xx)
  kFetchNetwork = 69,      // not reached, or 5xx, until the time was up
  kFetchOutput = 74,       // the output cannot be written: the disk is full
  kFetchStopped = 75,      // asked to stop
  kFetchSignature = 76,    // "bad signature: URI: …": not signed by that key, or other files than those that were signed
  kFetchCredentials = 77,  // absent, such as no server can take, or refused by a store
};

// Blocks until the file or folder is there or cannot be. The last line on `log` is one sentence that says how it ended;
// the same goes to the termination log. URIs are shown without user information and query values. Nothing but what is verified
// is ever at `output`, with read-only files. Never throws.
int fetch_artifact(const FetchOptions& options, kube::PlainTransport& http, std::ostream& log, std::stop_token stop);

// The same with libcurl (up to 5 redirects, never from https to http, and credentials never to another host or port; http_proxy
// and its kin are obeyed) and stderr.
int fetch_main(const FetchOptions& options, std::stop_token stop);

}  // namespace mo
