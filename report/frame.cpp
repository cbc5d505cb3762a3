#include "report/frame.h"

namespace mo::report {

std::string document(const Frame& frame, const Html& body) {
  Html h;
  h << "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
       "<meta name=\"referrer\" content=\"no-referrer\"><meta name=\"robots\" content=\"noindex\"><meta name=\"generator\" content=\"model-operator\">";
  if (frame.refresh > 0) {
    h << "<meta http-equiv=\"refresh\"";
    h.attribute("content", std::to_string(frame.refresh)) << ">";
  }
  h << "<title>";
  h.text(frame.title) << " · Models</title>";
  if (frame.links.one_file) {
    // For whoever opens the file: nothing is fetched, nothing runs.
    h << "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\"><style>";
    h.append(Html::trusted(style_sheet())) << "</style>";
  } else {
    h << "<link rel=\"stylesheet\" href=\"/style.css\"><link rel=\"icon\" href=\"data:,\">";
  }
  h << "</head><body><a class=\"skip\" href=\"#main\">Skip to the content</a><header class=\"top\"><div class=\"in\"><a class=\"brand\"";
  h.attribute("href", frame.links.page("portfolio")) << ">Models</a><nav aria-label=\"Pages\">";
  for (const auto& [page, title] : {std::pair("portfolio", "Portfolio"), std::pair("delivery", "Delivery"), std::pair("compliance", "Compliance"),
                                    std::pair("resources", "Resources"), std::pair("activity", "Activity")}) {
    h << "<a";
    h.attribute("href", frame.links.page(page));
    if (frame.current == page) h << " aria-current=\"page\"";
    h << ">";
    h.text(title) << "</a>";
  }
  h << "</nav></div></header><main id=\"main\">";
  h.append(body) << "</main><footer><p>As of ";
  h.text(format_time(frame.at).substr(0, 16)).text(" UTC, from the objects of ").text(frame.scope);
  h << ". All times are UTC. What is not known is shown as <span class=\"unknown\">unknown</span>. Written by model-operator.</p></footer></body></html>\n";
  return h.str();
}

}  // namespace mo::report
