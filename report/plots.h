// Pictures as inline SVG: each has a title and a description, and says nothing that the page does not also say in words.
#pragma once

#include "report/delivery.h"
#include "report/html.h"

namespace mo::report {

struct Share {
  std::string name;
  size_t count = 0;
};
// Horizontal bars, the largest first; beyond `most` they are summed up as "others".
void put_bars(Html& html, const std::string& title, std::vector<Share> shares, size_t most = 8);
// Columns of deployments, failures and what was stopped, week by week.
void put_weeks(Html& html, const std::vector<Week>& weeks);
// Rollouts along the time, each from start to end, with its end's colour and what it was to bring.
void put_time_line(Html& html, const Model& model, TimePoint now);
// Where a monitor's figure stands between its bounds. Nothing if it has no figure.
void put_gauge(Html& html, const Monitor& monitor);
// Data and code -> run -> version -> Model.
void put_lineage(Html& html, const Model& model, const Version& version);

}  // namespace mo::report
