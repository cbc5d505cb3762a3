// How long it takes to verify an audit trail of 100,000 records, each ModelAudit signed. Prints CPU time: other programs on the machine do not count.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "operator/audit/verify.h"
#include "operator/core/ed25519.h"

namespace {

using namespace mo;
using namespace mo::audit;

constexpr int64_t kRecords = 100'000;
constexpr const char* kModel = "payments/fraud";
constexpr const char* kUid = "7b0c1c52-54c5-4c0f-9d0e-6c7f2f1d7c11";
// openssl genpkey -algorithm ed25519, and its public key; made for this bench.
constexpr const char* kKey =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFRNFNj7F1UuoISzPRIqdDh8dnOp/vISWpKeP2wi0n9w\n-----END PRIVATE KEY-----\n";
constexpr const char* kPublic =
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA/LpzWqmNmakCLo8sdwnN+b2iONrSeSIEZTKqfNZ6uyU=\n-----END PUBLIC KEY-----\n";

double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// As a step of a rollout with so many gates leaves it.
Entry entry(int64_t number, int gates) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  Entry e{kModel, kUid, "operator", "TrafficAdvanced", {{"kind", "ModelRollout"}, {"name", "fraud-v2-1"}, {"uid", kUid}}, "step 2 of 5: 10 % of traffic",
          {{"version", "fraud-v2"}, {"digest", digest}, {"weight", number % 100}}, {{"rollout", digest}}};
  for (int g = 0; g < gates; ++g)
    e.evidence["gates"].push_back({{"name", "accuracy-" + std::to_string(g)}, {"verdict", "Passed"}, {"value", "0.951"}, {"stable", "0.95"}, {"query", digest}});
  return e;
}

void measure(size_t in_segment, int gates) {
  const auto key = SigningKey::read(kKey);
  if (!key) std::exit(1);
  std::vector<Segment> segments;
  std::string prev;
  size_t bytes = 0;
  for (int64_t seq = 1; seq <= kRecords; ++seq) {
    if (segments.empty() || segments.back().records.size() == in_segment) {
      Segment next;
      next.name = "fraud-" + std::to_string(seq);
      next.model = kModel, next.uid = kUid;
      next.first = seq, next.prev = prev;
      segments.push_back(std::move(next));
    }
    Link link = seal(entry(seq, gates), seq, TimePoint(std::chrono::seconds(1'796'083'200 + seq)), prev);
    bytes += link.line.size();
    prev = link.hash;
    Segment& s = segments.back();
    s.records.push_back(std::move(link.line));
    s.last = seq, s.head = prev;
  }
  for (Segment& s : segments) s.key_id = key->id(), s.signature = key->sign(checkpoint(s.model, s.uid, s.last, s.head));
  const size_t count = segments.size();
  const double began = cpu_ms();
  const auto verified = verify(std::move(segments), {kModel, kUid, kRecords, prev, {kPublic}});
  const double took = cpu_ms() - began;
  if (!verified || !verified->findings.empty() || verified->signed_up_to != kRecords) std::exit(1);
  std::printf("%lld records of %zu bytes in %zu signed ModelAudits: %6.0f ms\n", static_cast<long long>(kRecords), bytes / kRecords, count, took);
}

}  // namespace

int main() {
  for (const int gates : {0, 3})
    for (const size_t in_segment : {50u, 6u}) measure(in_segment, gates);
}
