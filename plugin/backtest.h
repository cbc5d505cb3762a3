// `backtest`: what gates and monitors would have said over the past, asked of Prometheus and judged as the operator
// judges. Nothing is changed anywhere.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "operator/kube/transport.h"
#include "plugin/backtest_play.h"
#include "plugin/files.h"
#include "plugin/session.h"

namespace mo::plugin {

struct Backtesting {
  std::string model = {};  // in the cluster; empty: those of `sources`
  Sources sources = {};
  bool ns_given = false;          // by -n: then no file may name another namespace
  std::string url = {};                // of Prometheus
  std::string since = "7d";       // how far back
  std::string step = {};               // between measurements; empty: each figure's interval, or longer where that is very many
  std::string stable = {}, candidate = {};  // versions to put in; empty: what served then
  std::string output = {};             // empty | json
};

// `http` is for Prometheus alone. Exit codes: kDone, nothing would have failed or been breached; kNo, something would have; kTrouble.
int backtest(Session& session, const Backtesting& asked, std::istream& in, kube::HttpTransport& http);

// ---- pure ----

// "30d", "2w", "36h", "1d12h"; nothing for what is no time, or none at all.
std::optional<std::chrono::seconds> past_span(const std::string& text);

// A gate or a monitor.
struct Figure {
  bool is_monitor = false;
  api::Monitor monitor;  // of a gate: its `figure` alone
  const api::Gate& gate() const { return monitor.figure; }
};

// How it did, or why nobody knows.
struct Tested {
  Figure figure;
  std::chrono::seconds step{0};
  bool coarser = false;  // the step is longer than its interval
  Played played;
  std::string problem;
};

struct Report {
  std::string ns, model;
  TimePoint from{}, to{};
  std::vector<Period> periods;
  std::vector<Tested> tested;
  std::vector<std::string> left_out;  // figures that Prometheus knows nothing of, and why
};
std::vector<std::string> lines_of(const Report& report, const DisplayOptions& display);
Json to_json(const Report& report);

}  // namespace mo::plugin
