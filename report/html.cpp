#include "report/html.h"

#include <algorithm>
#include <cstdio>

#include "operator/json/fields.h"

namespace mo::report {
namespace {

bool is_plain(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

std::string encoded(const std::string& text, const char* format) {
  std::string out;
  for (const unsigned char c : text) {
    char hex[4];
    std::snprintf(hex, sizeof hex, format, c);
    out += is_plain(c) ? std::string(1, static_cast<char>(c)) : hex;
  }
  return out;
}

const char* class_of(Tone tone) {
  switch (tone) {
    case Tone::Good:
      return "good";
    case Tone::Warn:
      return "warn";
    case Tone::Bad:
      return "bad";
    case Tone::Dim:
      return "dim";
    case Tone::None:
      break;
  }
  return "plain";
}

void put_cell(Html& html, const Cell& cell, const Links& links) {
  if (!cell.known) {
    html << "<span class=\"unknown\">unknown</span>";
  } else if (!cell.model.empty()) {
    html << "<a";
    html.attribute("href", links.model(cell.ns, cell.model)) << ">";
    html.text(cell.text) << "</a>";
  } else if (cell.text.size() == 16 && cell.text[10] == ' ' && cell.value.is_string() && parse_time(cell.value.get<std::string>())) {
    // A moment is broken between day and time alone.
    html << "<span><span class=\"t\">";
    html.text(cell.text.substr(0, 10)) << "</span> <span class=\"t\">";
    html.text(cell.text.substr(11)) << "</span></span>";
  } else if (cell.tone != Tone::None) {
    put_badge(html, cell.text, cell.tone);
  } else {
    html.text(cell.text);
  }
}

}  // namespace

Html& Html::text(std::string_view text) {
  const auto harmless = [](unsigned char c) { return c >= 0x20 && c < 0x7f && c != '&' && c != '<' && c != '>' && c != '"' && c != '\''; };
  if (std::all_of(text.begin(), text.end(), harmless)) {
    out_ += text;
    return *this;
  }
  for (const char c : fields::printable(std::string(text))) {
    switch (c) {
      case '&':
        out_ += "&amp;";
        break;
      case '<':
        out_ += "&lt;";
        break;
      case '>':
        out_ += "&gt;";
        break;
      case '"':
        out_ += "&quot;";
        break;
      case '\'':
        out_ += "&#39;";
        break;
      default:
        out_ += c;
    }
  }
  return *this;
}

Html& Html::number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  std::string trimmed = text;
  while (trimmed.back() == '0') trimmed.pop_back();
  if (trimmed.back() == '.') trimmed.pop_back();
  out_ += trimmed == "-0" ? "0" : trimmed;
  return *this;
}

std::string in_url(const std::string& text) { return encoded(text, "%%%02X"); }
std::string as_id(const std::string& text) { return encoded(text, "_%02X"); }

std::string Links::page(const std::string& name) const { return one_file ? "#" + name : name == "portfolio" ? "/" : "/" + name; }
std::string Links::model(const std::string& ns, const std::string& name) const {
  return one_file ? "#model-" + as_id(ns) + "-" + as_id(name) : "/models/" + in_url(ns) + "/" + in_url(name);
}

void put_badge(Html& html, const std::string& text, Tone tone) {
  html << "<span";
  html.attribute("class", std::string("badge ") + class_of(tone)) << ">";
  html.text(text) << "</span>";
}

void put_table(Html& html, const Table& table, const Links& links, const std::string& more) {
  if (table.rows.empty()) {
    html << "<p class=\"empty\">";
    html.text(table.empty) << "</p>";
    return;
  }
  html << "<div class=\"scroll\" role=\"region\" tabindex=\"0\"";
  html.attribute("aria-label", table.title) << "><table><thead><tr>";
  for (const Column& column : table.columns) {
    html << "<th scope=\"col\"";
    html.attribute("data-label", column.title).attribute("title", column.meaning) << ">";
    html.text(column.title) << "</th>";
  }
  html << "</tr></thead><tbody>";
  for (const auto& row : table.rows) {
    html << "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const Cell& cell = row[i];
      const bool nothing = cell.known && cell.text.empty();
      html << "<td";
      html.attribute("data-label", table.columns[i].title);
      if (cell.value.is_number()) html << " class=\"number\"";
      if (nothing) html << " class=\"nothing\"";
      html << ">";
      put_cell(html, cell, links);
      html << "</td>";
    }
    html << "</tr>";
  }
  html << "</tbody></table></div>";
  if (more.empty()) return;
  html << "<p class=\"more\">";
  html.text(more) << "</p>";
}

const std::string& style_sheet() {
  static const std::string css = R"(
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1b2230;--soft:#566072;--line:#dde1e8;--link:#1a56c4;--focus:#1a56c4;
--good:#116149;--good-bg:#e2f4ec;--warn:#7a4b00;--warn-bg:#fdf0d5;--bad:#a1182a;--bad-bg:#fde6e8;--dim:#566072;--dim-bg:#eceef2;
--bar:#3f6fd1;--bar-2:#8fa9dd;--bar-bad:#c8394c;--bar-dim:#a9b1c0;--head:#131a2a;--head-ink:#fff}
@media (prefers-color-scheme:dark){:root{--page:#10141d;--card:#181e2a;--ink:#e7ebf3;--soft:#a7b1c4;--line:#2b3445;--link:#8fb4ff;--focus:#8fb4ff;
--good:#7fdcb5;--good-bg:#10342a;--warn:#f3c26b;--warn-bg:#3a2b0d;--bad:#ff9aa5;--bad-bg:#43171d;--dim:#a7b1c4;--dim-bg:#262e3d;
--bar:#6d97ee;--bar-2:#4d689f;--bar-bad:#e2616f;--bar-dim:#59647a;--head:#0b0f17;--head-ink:#fff}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
a{color:var(--link);text-underline-offset:2px}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:4px}
.skip{position:absolute;left:-9999px}.skip:focus{left:8px;top:8px;background:var(--card);padding:8px 12px;z-index:2}
.top{background:var(--head);color:var(--head-ink)}
.top .in,main,footer{max-width:1240px;margin:0 auto;padding:0 20px}
.top .in{display:flex;flex-wrap:wrap;gap:4px 24px;align-items:center;padding-top:14px;padding-bottom:14px}
.brand{font-weight:650;font-size:17px;color:var(--head-ink);text-decoration:none;margin-right:auto}
.top nav{display:flex;flex-wrap:wrap;gap:4px}
.top nav a{color:var(--head-ink);text-decoration:none;padding:6px 12px;border-radius:7px}
.top nav a:hover{background:#ffffff24}.top nav a[aria-current]{background:#ffffff2e;font-weight:600}
.top :focus-visible{outline-color:#fff}
main{padding-top:24px;padding-bottom:32px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:18px;margin:32px 0 10px;letter-spacing:-.005em}h3{font-size:15px;margin:20px 0 6px}
.lead{color:var(--soft);margin:0 0 18px;max-width:95ch}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(132px,1fr));gap:12px;margin:16px 0;padding:0;list-style:none}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
.tile b{display:block;font-size:28px;line-height:1.15;font-weight:650;font-variant-numeric:tabular-nums;letter-spacing:-.02em}
.tile b.unknown{font-size:20px;line-height:32px;font-weight:500;letter-spacing:0}.tile span{color:var(--soft);font-size:13.5px}.tile.bad b{color:var(--bad)}.tile.warn b{color:var(--warn)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:12px}
.grid.charts{grid-template-columns:repeat(auto-fill,minmax(min(100%,370px),1fr))}.grid.four{grid-template-columns:repeat(auto-fit,minmax(min(100%,262px),1fr))}
.card h2,.card h3{margin-top:0;font-size:15px}
.card p:last-child,.card ul:last-child,.card dl:last-child{margin-bottom:0}
.needs{list-style:none;margin:0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:12px}
.needs li{display:grid;grid-template-columns:82px minmax(120px,220px) 1fr;gap:4px 14px;padding:10px 16px;border-top:1px solid var(--line);align-items:start}
.needs li:first-child{border-top:0}.needs a,.needs p{overflow-wrap:anywhere}.needs p{margin:0}
.badge{display:inline-block;padding:1px 9px;border-radius:99px;font-size:12.5px;font-weight:550;background:var(--dim-bg);color:var(--dim);white-space:nowrap}
.badge.good{background:var(--good-bg);color:var(--good)}.badge.warn{background:var(--warn-bg);color:var(--warn)}.badge.bad{background:var(--bad-bg);color:var(--bad)}
.unknown{color:var(--soft);font-style:italic}.empty,p.more{color:var(--soft)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px}
table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;padding:9px 6px;vertical-align:top;border-top:1px solid var(--line);overflow-wrap:break-word}
td a,td[data-label=Model],td[data-label=Version],td[data-label=Rollout],td[data-label=From],td[data-label=To],td[data-label=Took],td[data-label=Since],td[data-label=Run],td[data-label=Parent],td[data-label=Digest]{white-space:nowrap}
th:first-child,td:first-child{padding-left:14px}.t{white-space:nowrap}
thead th{border-top:0;font-size:12.5px;font-weight:600;color:var(--soft);white-space:nowrap}
td.number{font-variant-numeric:tabular-nums}tbody tr:hover td{background:color-mix(in srgb,var(--line) 22%,transparent)}
td[data-label=Why],td[data-label=Gates],td[data-label=Figures]{min-width:150px}td[data-label=Says],td[data-label=Finding]{min-width:200px}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:6px 18px;margin:0}dl.facts dt{color:var(--soft)}dl.facts dd{margin:0;overflow-wrap:anywhere}
.definitions dt{font-weight:600}.definitions dd{margin:0 0 8px;color:var(--soft);max-width:80ch}
form.filter{display:flex;flex-wrap:wrap;gap:10px;align-items:end;margin:0 0 12px}
form.filter label{display:flex;flex-direction:column;font-size:13px;color:var(--soft);gap:3px}
input,select,button{font:inherit;color:var(--ink);background:var(--card);border:1px solid var(--soft);border-radius:8px;padding:6px 10px;min-height:38px;max-width:100%}
button{background:var(--link);border-color:var(--link);color:var(--page);font-weight:600;cursor:pointer}
.files{display:flex;flex-wrap:wrap;gap:6px 16px;font-size:14px}nav.files{margin:0 0 10px}nav.files a[aria-current]{font-weight:650;text-decoration:none;color:var(--ink)}
svg{display:block;max-width:100%}svg[viewBox]{height:auto}.space{height:14px}svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .soft{fill:var(--soft)}
svg .line{stroke:var(--line);stroke-width:1}svg .bar{fill:var(--bar)}svg .bar2{fill:var(--bar-2)}svg .barbad{fill:var(--bar-bad)}svg .bardim{fill:var(--bar-dim)}
svg .box{fill:var(--dim-bg);stroke:var(--line)}svg .strong{fill:var(--good-bg);stroke:var(--good)}svg .arrow{stroke:var(--soft);stroke-width:1.5;fill:none}svg .tip{fill:var(--soft)}
svg .mark{stroke:var(--ink);stroke-width:2}svg .target{fill:var(--good-bg)}svg .bound{stroke:var(--good);stroke-width:1.5;stroke-dasharray:5 3}
svg .trace{stroke:var(--bar);stroke-width:2;fill:none;stroke-linejoin:round}svg .swing{fill:var(--bar);opacity:.25}svg .nodata{fill:var(--dim-bg)}
svg .change{stroke:var(--soft);stroke-width:1.5;stroke-dasharray:2 3}svg .badchange{stroke:var(--bar-bad)}svg .spot{fill:var(--bar);stroke:var(--card);stroke-width:1}svg .spot.good{fill:var(--good)}svg .spot.bad{fill:var(--bar-bad)}
.plot{overflow-x:auto}.plot.wide svg{width:100%;min-width:860px;max-width:none}
details.more summary{cursor:pointer;color:var(--link);padding:10px 4px}.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin:8px 0 0;padding:0;list-style:none;color:var(--soft);font-size:13px}
.legend i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}.i-bar{background:var(--bar)}.i-bar2{background:var(--bar-2)}.i-barbad{background:var(--bar-bad)}.i-bardim{background:var(--bar-dim)}
.gap{border-left:4px solid var(--warn);background:var(--warn-bg);color:var(--warn);padding:8px 14px;border-radius:6px;margin:10px 0}
.model{border-top:1px solid var(--line);margin-top:40px;padding-top:28px}
.crumb{font-size:14px;margin:0 0 6px}
footer{color:var(--soft);font-size:13px;padding-top:14px;padding-bottom:28px;border-top:1px solid var(--line)}
@media screen and (max-width:720px){
td,td a,td[data-label]{white-space:normal!important;overflow-wrap:anywhere}
.top .in,main,footer{padding-left:14px;padding-right:14px}h1{font-size:22px}
.tiles{grid-template-columns:repeat(2,1fr);gap:8px}.tile{padding:10px 12px}.tile b{font-size:23px}
.needs li{grid-template-columns:auto 1fr;padding:10px 12px}.needs p{grid-column:1/-1}
.scroll{background:none;border:0;overflow:visible}
table,tbody,tr,td{display:block;width:100%}thead{position:absolute;left:-9999px}
tr{background:var(--card);border:1px solid var(--line);border-radius:12px;margin-bottom:10px;padding:6px 12px}
td{border:0;padding:4px 0;display:grid;grid-template-columns:118px 1fr;gap:10px;justify-items:start;min-width:0!important}td.nothing{display:none}td:first-child{padding-left:0}
td::before{content:attr(data-label);color:var(--soft);font-size:13px}tbody tr:hover td{background:none}
dl.facts{grid-template-columns:1fr;gap:0}dl.facts dd{margin:0 0 8px}}
@media print{:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--link:#000;--focus:#000;
--good:#116149;--good-bg:#e2f4ec;--warn:#7a4b00;--warn-bg:#fdf0d5;--bad:#a1182a;--bad-bg:#fde6e8;--dim:#444;--dim-bg:#eceef2;
--bar:#3f6fd1;--bar-2:#8fa9dd;--bar-bad:#c8394c;--bar-dim:#a9b1c0}body{print-color-adjust:exact;-webkit-print-color-adjust:exact}
td,td a,td[data-label]{white-space:normal!important;overflow-wrap:anywhere;min-width:0!important}.plot.wide svg{min-width:0}.plot,.scroll{overflow:visible}
td[data-label=Class],td[data-label=Tier],td[data-label=Stage],td[data-label=Phase],td[data-label=State],td[data-label=Severity],td[data-label=Since],td[data-label="Asked by"]{overflow-wrap:normal}
td[data-label=Model],td[data-label=Model] a,td[data-label=Owner]{overflow-wrap:break-word;max-width:12ch}
.grid.charts{grid-template-columns:1fr 1fr}.grid.four{grid-template-columns:1fr 1fr}.tiles{grid-template-columns:repeat(4,1fr)}
.top{background:none;color:#000;border-bottom:2px solid #000}.brand{color:#000}.top nav,form.filter,.files,.skip{display:none}
main,footer,.top .in{max-width:none;padding-left:0;padding-right:0}
.tile,.card,.needs li,tr,svg{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible}table{font-size:9px}th,td{padding:4px 2.5px}th:first-child,td:first-child{padding-left:8px}thead th{font-size:8.5px;white-space:normal;overflow-wrap:normal}.badge{padding:0 7px;font-size:11px;overflow-wrap:normal}td .badge{padding:0 4px;font-size:9px}
body{font-size:13px}h1{font-size:22px}h2{font-size:16px;margin-top:22px}.tile{padding:8px 12px}.tile b{font-size:21px}.tile b.unknown{font-size:16px;line-height:24px}.tile span{font-size:12px}
.needs li{padding:5px 12px;grid-template-columns:62px minmax(110px,200px) 1fr}details.more summary{display:none}details.more .needs{margin-top:8px}
td[data-label=Rollout],td[data-label=From],td[data-label=To],td[data-label=Why]{min-width:9.5ch!important}td[data-label=Gates]{min-width:12ch!important}
[data-label=Took]{display:none}.plot.wide svg text{font-size:16px}
details.more::details-content{content-visibility:visible;height:auto;display:block}.model{break-before:page}a{text-decoration:none}@page{margin:14mm}}
)";
  return css;
}

}  // namespace mo::report
