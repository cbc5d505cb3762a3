#include "operator/notify/messages.h"

#include "operator/core/ids.h"
#include "operator/core/text.h"
#include "operator/json/json.h"

namespace mo::notify {
namespace {

constexpr size_t kLongest = 1024;  // bytes of a sentence

std::string place(const Event& event) {
  const ObjectKey& key = event.regarding.key;
  return std::string(info(event.regarding.kind).kind) + " " + (key.ns.empty() ? "" : key.ns + "/") + key.name;
}

std::string sentence(const Event& event) { return whole_characters(place(event) + ": " + event.reason + ": " + event.note, kLongest); }

std::string for_slack(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

Json card(const Event& event) {
  const auto run = [](const std::string& text, bool bold) {
    Json one = {{"type", "TextRun"}, {"text", text}};
    if (bold) one["weight"] = "Bolder";
    return one;
  };
  const Json block = {{"type", "RichTextBlock"},
                      {"inlines", {run(event.reason + " ", true), run(place(event) + ": " + whole_characters(event.note, kLongest), false)}}};
  return {{"type", "message"},
          {"attachments",
           {{{"contentType", "application/vnd.microsoft.card.adaptive"},
             {"content", {{"type", "AdaptiveCard"}, {"version", "1.4"}, {"body", {block}}}}}}}};
}

Json cloud_event(const Event& event, const std::string& id, TimePoint now) {
  const KindInfo& kind = info(event.regarding.kind);
  const ObjectKey& key = event.regarding.key;
  const std::string scope = key.ns.empty() ? "" : "/namespaces/" + key.ns;
  return {{"specversion", "1.0"},
          {"id", id},
          {"source", "/apis/" + kind.api_version() + scope + "/" + kind.plural + "/" + key.name},
          {"type", "dev.modelops." + event.reason},
          {"time", format_time(now)},
          {"datacontenttype", "application/json"},
          {"data",
           {{"kind", kind.kind},
            {"namespace", key.ns},
            {"name", key.name},
            {"uid", event.uid},
            {"severity", event.warning ? "Warning" : "Normal"},
            {"reason", event.reason},
            {"message", event.note}}}};
}

Json incident(const Event& event, const std::string& id, const std::string& key) {
  return {{"routing_key", key},
          {"event_action", "trigger"},
          {"dedup_key", id},
          {"payload",
           {{"summary", sentence(event)},
            {"source", place(event)},
            {"severity", event.warning ? "warning" : "info"},
            {"class", event.reason}}}};
}

std::string text_of(const Json& body) { return body.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

Message message_for(const Target& target, const Event& event, const std::string& id, const std::string& token, TimePoint now) {
  switch (target.format) {
    case Target::Format::Slack:
      return {"application/json", text_of({{"text", for_slack(sentence(event))}})};
    case Target::Format::Teams:
      return {"application/json", text_of(card(event))};
    case Target::Format::PagerDuty:
      return {"application/json", text_of(incident(event, id, token))};
    case Target::Format::CloudEvents:
      break;
  }
  return {"application/cloudevents+json", text_of(cloud_event(event, id, now))};
}

}  // namespace mo::notify
