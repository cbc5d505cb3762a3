#include "operator/runtime/runtimes_file.h"

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>

#include "operator/api/parse.h"
#include "operator/runtime/log.h"
#include "operator/yaml/yaml.h"

namespace mo {

Result<std::vector<std::string>> yaml_to_json(const std::string& yaml) {
  const auto documents = yaml::read(yaml);
  if (!documents)
    return fail(ErrorKind::Invalid,
                "line " + std::to_string(documents.error().line) + ": " + documents.error().message);
  std::vector<std::string> texts;
  for (const yaml::Document& document : *documents) texts.push_back(document.value.dump());
  return texts;
}

Result<std::vector<api::ModelRuntime>> read_runtimes(const std::string& yaml) {
  const auto documents = yaml_to_json(yaml);
  if (!documents) return fail(documents.error());
  std::vector<api::ModelRuntime> runtimes;
  for (const std::string& document : *documents) {
    const std::string which = "document " + std::to_string(runtimes.size() + 1);
    if (document.find("\"ModelRuntime\"") == std::string::npos)
      return fail(ErrorKind::Invalid, which + " is no ModelRuntime");
    auto runtime = api::parse<api::ModelRuntime>(document);
    if (!runtime) return fail(ErrorKind::Invalid, which + ": " + runtime.error().message);
    if (runtime->meta.key.name.empty()) return fail(ErrorKind::Invalid, which + " has no metadata.name");
    runtimes.push_back(std::move(*runtime));
  }
  return runtimes;
}

Result<void> RuntimesFile::poll() {
  std::ifstream in(file_, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) {
    if (!read_) return fail(ErrorKind::Invalid, "cannot read " + file_.string());
    return {};  // being replaced, perhaps
  }
  if (read_ && text.str() == content_) return {};
  content_ = text.str();
  auto runtimes = read_runtimes(content_);
  if (!runtimes) {
    if (!read_) return fail(ErrorKind::Invalid, file_.string() + ": " + runtimes.error().message);
    log::write(spdlog::level::warn, "cannot read the file of runtimes, keeping what it said before", "",
               {{"file", file_.string()}, {"error", runtimes.error().message}});
    return {};
  }
  const std::string revision = std::to_string(++revision_);
  for (auto& runtime : *runtimes) {
    runtime.meta.resource_version = revision;
    if (runtime.meta.uid.empty()) runtime.meta.uid = "file:" + runtime.meta.key.name;
  }
  const size_t count = runtimes->size();
  store_.replace(std::move(*runtimes), revision);
  read_ = true;
  log::write(spdlog::level::info, "read the file of runtimes", "",
             {{"file", file_.string()}, {"runtimes", std::to_string(count)}});
  if (changed_) changed_();
  return {};
}

void RuntimesFile::run(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  while (!stop.stop_requested()) {
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, std::chrono::seconds(10), [] { return false; });
    if (!stop.stop_requested()) (void)poll();
  }
}

}  // namespace mo
