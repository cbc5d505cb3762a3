#include "operator/notify/notifier.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>

#include "operator/notify/messages.h"

namespace mo::notify {
namespace {

constexpr std::chrono::minutes kLongestRetry{1};
constexpr size_t kLongestSecret = 4096;

// A mounted Secret changes by itself: read for each message. Without the line end that editors add.
Result<std::string> read_secret(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorKind::Invalid, "cannot read " + path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
  if (text.empty() || text.size() > kLongestSecret || !plain) return fail(ErrorKind::Invalid, path + " must hold one word");
  return text;
}

void pause(std::chrono::milliseconds time, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

Notifier::Notifier(kube::HttpTransport& http, std::vector<Target> targets, NotifierOptions options) : http_(http), options_(options) {
  for (Target& target : targets) {
    lanes_.push_back(std::make_unique<Lane>());
    lanes_.back()->target = std::move(target);
  }
}

void Notifier::send(const Event& event, const std::string& id) {
  for (const auto& lane : lanes_) {
    if (!lane->target.wants(event)) continue;
    std::lock_guard lock(lane->mutex);
    const auto own = lane->items.find(event.regarding.key.ns);
    if (lane->waiting >= options_.queue || (own != lane->items.end() && own->second.size() >= options_.of_namespace)) {
      ++lane->dropped;
      continue;
    }
    lane->items[event.regarding.key.ns].push_back({event, id});
    ++lane->waiting;
    lane->filled.notify_one();
  }
}

void Notifier::run(std::stop_token stop) {
  std::vector<std::jthread> threads;
  for (const auto& lane : lanes_) threads.emplace_back([this, stop, lane = lane.get()] { work(*lane, stop); });
}

void Notifier::work(Lane& lane, std::stop_token stop) {
  for (;;) {
    Item item;
    {
      std::unique_lock lock(lane.mutex);
      if (!lane.filled.wait(lock, stop, [&] { return !lane.items.empty(); })) return;
      auto next = lane.items.upper_bound(lane.last);
      if (next == lane.items.end()) next = lane.items.begin();
      lane.last = next->first;
      item = std::move(next->second.front());
      next->second.pop_front();
      if (next->second.empty()) lane.items.erase(next);
      --lane.waiting;
    }
    std::string problem;
    bool again = true;
    auto delay = options_.first_retry;
    for (int i = 0; i < options_.attempts && again && !stop.stop_requested(); ++i) {
      if (i > 0) {
        pause(delay, stop);
        delay = std::min<std::chrono::milliseconds>(delay * 2, kLongestRetry);
      }
      problem = attempt(lane, item, again, stop);
      if (problem.empty()) break;
    }
    ++(problem.empty() ? lane.sent : lane.failed);
    if (!problem.empty()) spdlog::warn("notification target {} was not told of {}: {}", lane.target.name, item.event.reason, problem);
  }
}

std::string Notifier::attempt(const Lane& lane, const Item& item, bool& again, std::stop_token stop) {
  const Target& target = lane.target;
  kube::HttpRequest request;
  request.method = "POST";
  request.deadline = options_.deadline;
  request.max_body = 64u << 10;
  request.target = target.url;
  std::string token;
  for (const auto& [file, into] : {std::pair(&target.url_file, &request.target), std::pair(&target.token_file, &token)}) {
    if (file->empty()) continue;
    auto text = read_secret(*file);
    if (!text) return text.error().message;
    *into = std::move(*text);
  }
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  Message message = message_for(target, item.event, item.id, token, now);
  request.body = std::move(message.body);
  request.headers = {{"Content-Type", message.content_type}};
  if (!token.empty() && target.format != Target::Format::PagerDuty) request.headers.emplace_back("Authorization", "Bearer " + token);
  const auto answer = http_.send(request, stop);
  if (!answer) return answer.error().message;
  if (answer->status / 100 == 2) return "";
  again = answer->status == 429 || answer->status / 100 == 5;
  return "it answered HTTP " + std::to_string(answer->status);
}

std::vector<Notifier::Counts> Notifier::counts() const {
  std::vector<Counts> all;
  for (const auto& lane : lanes_) all.push_back({lane->target.name, lane->sent, lane->failed, lane->dropped});
  return all;
}

}  // namespace mo::notify
