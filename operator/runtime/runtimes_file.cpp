#include "operator/runtime/runtimes_file.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <sstream>

#include "operator/api/parse.h"
#include "operator/json/json.h"
#include "operator/runtime/log.h"

namespace mo {
namespace {

Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() != "?") return text;  // quoted, or with a tag of its own
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  const char* end = text.data() + text.size();
  int64_t integer = 0;
  if (auto r = std::from_chars(text.data(), end, integer); r.ec == std::errc{} && r.ptr == end)
    return integer;
  double number = 0;
  const bool numeric = text.find_first_not_of("0123456789.eE+-") == std::string::npos;
  if (auto r = std::from_chars(text.data(), end, number); numeric && r.ec == std::errc{} && r.ptr == end)
    return number;
  return text;
}

constexpr int kMaxYamlDepth = 60;
constexpr size_t kMaxYamlValues = 100'000;  // aliases of aliases would multiply without end

Json value(const YAML::Node& node, int depth, size_t& values) {
  if (depth > kMaxYamlDepth) throw YAML::Exception(node.Mark(), "nested too deeply");
  if (++values > kMaxYamlValues) throw YAML::Exception(node.Mark(), "too large");
  if (node.IsScalar()) return scalar(node);
  if (node.IsSequence()) {
    Json array = Json::array();
    for (const auto& item : node) array.push_back(value(item, depth + 1, values));
    return array;
  }
  if (!node.IsMap()) return nullptr;
  Json object = Json::object();
  for (const auto& member : node)
    if (!object.emplace(member.first.Scalar(), value(member.second, depth + 1, values)).second)
      throw YAML::Exception(member.first.Mark(), "a key is there twice: " + member.first.Scalar());
  return object;
}

// Each document apart, with as many line feeds before it as it has in the whole, so that errors name the
// right line. YAML::LoadAll would make documents out of nothing for ever after a slip such as "," at the
// beginning.
std::vector<std::string> documents_of(const std::string& yaml) {
  std::vector<std::string> documents(1);
  size_t lines = 0;
  for (size_t at = 0; at < yaml.size(); ++lines) {
    const size_t end = std::min(yaml.find('\n', at), yaml.size() - 1) + 1;
    const std::string_view line = std::string_view(yaml).substr(at, end - at);
    const bool mark = line.size() == 3 || (line.size() > 3 && std::string_view(" \t\r\n").find(line[3]) !=
                                                                  std::string_view::npos);
    if (mark && (line.starts_with("---") || line.starts_with("..."))) documents.emplace_back(lines, '\n');
    documents.back() += mark && line.starts_with("...") ? "\n" : line;
    at = end;
  }
  return documents;
}

class Silence : public YAML::EventHandler {
  void OnDocumentStart(const YAML::Mark& mark) override { at_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
  }
  void OnMapEnd() override {}

 public:
  const YAML::Mark& at() const { return at_; }

 private:
  YAML::Mark at_;
};

// YAML::Load reads one document and says nothing of what follows it.
YAML::Node load(const std::string& document) {
  std::istringstream text(document);
  YAML::Parser parser(text);
  Silence silence;
  if (parser.HandleNextDocument(silence) && parser.HandleNextDocument(silence))
    throw YAML::Exception(silence.at(), "something follows the document");
  return YAML::Load(document);
}

}  // namespace

Result<std::vector<std::string>> yaml_to_json(const std::string& yaml) {
  try {
    std::vector<std::string> documents;
    for (const std::string& document : documents_of(yaml)) {
      const YAML::Node node = load(document);
      size_t values = 0;
      if (!node.IsDefined() || node.IsNull()) continue;
      documents.push_back(value(node, 0, values).dump());
    }
    return documents;
  } catch (const YAML::Exception& e) {
    return fail(ErrorKind::Invalid, e.what());
  } catch (const Json::exception&) {
    return fail(ErrorKind::Invalid, "the text is not UTF-8");
  }
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
