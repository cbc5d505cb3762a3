#include "plugin/files.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "plugin/fields.h"

namespace mo::plugin {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestFile = 64u << 20;

Result<std::vector<std::string>> files_of(const std::string& name) {
  std::error_code wrong;
  if (!fs::is_directory(name, wrong)) return std::vector<std::string>{name};
  std::vector<std::string> files;
  for (auto it = fs::recursive_directory_iterator(name, wrong);
       !wrong && it != fs::recursive_directory_iterator(); it.increment(wrong)) {
    const std::string kind = it->path().extension().string();
    if (it->is_regular_file() && (kind == ".yaml" || kind == ".yml" || kind == ".json"))
      files.push_back(it->path().string());
  }
  if (wrong) return fail(ErrorKind::Invalid, name + ": " + wrong.message());
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::string> whole(std::istream& from, const std::string& name) {
  std::string text{std::istreambuf_iterator<char>(from), {}};
  if (from.bad() || text.size() > kLargestFile) return fail(ErrorKind::Invalid, name + " cannot be read");
  return text;
}

Result<std::string> content(const std::string& name, std::istream& in) {
  if (name == "-") return whole(in, name);
  std::ifstream file(name, std::ios::binary);
  if (!file) return fail(ErrorKind::Invalid, name + " cannot be read");
  return whole(file, name);
}

std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// What `kubectl kustomize` or `kustomize build` prints; their complaints go to standard error.
Result<std::string> kustomized(const std::string& folder) {
  constexpr int kNeither = 127;
  const std::string command =
      "command -v kubectl >/dev/null && exec kubectl kustomize -- " + quoted(folder) +
      "; command -v kustomize >/dev/null && exec kustomize build -- " + quoted(folder) + "; exit 127";
  FILE* pipe = ::popen(command.c_str(), "re");
  if (!pipe) return fail(ErrorKind::Invalid, "-k " + folder + ": no shell could be started");
  std::string text;
  char buffer[1 << 16];
  for (size_t n; text.size() <= kLargestFile && (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    text.append(buffer, n);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNeither)
    return fail(ErrorKind::Invalid, "-k " + folder + " needs kubectl or kustomize on PATH");
  if (text.size() > kLargestFile) return fail(ErrorKind::Invalid, "-k " + folder + " makes more than 64 MiB");
  if (status != 0) return fail(ErrorKind::Invalid, "-k " + folder + " cannot be built");
  return text;
}

bool is_ours(const Json& object) { return text(object, "apiVersion").starts_with("modelops.dev/"); }

bool is_configmap(const Json& object) {
  return text(object, "apiVersion") == "v1" && text(object, "kind") == "ConfigMap";
}

void take(const Found& found, Objects& out) {
  if (is_ours(found.object())) {
    out.ours.push_back(found);
    return;
  }
  if (text(found.object(), "kind") == "List") {
    for (size_t i = 0; i < items(found.object(), "items").size(); ++i)
      take({found.file, found.document, found.base + "/items/" + std::to_string(i)}, out);
    return;
  }
  if (found.object().is_structured()) ++out.others;
  if (is_configmap(found.object())) out.configmaps.push_back(found);
}

// Of a folder: its files are of all kinds.
bool is_another_format(const std::string& text) { return text.find("modelops.dev") == std::string::npos; }

void take_text(const std::string& file, const std::string& text, bool of_folder, Objects& out) {
  ++out.files;
  const auto documents = yaml::read(text);
  if (!documents && of_folder && is_another_format(text)) {
    ++out.others;
    return;
  }
  if (!documents)
    out.complaints.push_back({file, std::max(1, documents.error().line), "", documents.error().message});
  else
    for (const yaml::Document& document : *documents) take({file, std::make_shared<const yaml::Document>(document)}, out);
}

}  // namespace

std::string Complaint::to_string() const {
  return printable(file + ":" + std::to_string(line) + ": " + (warning ? "warning: " : "") +
                   (path.empty() ? "" : path + ": ") + message);
}

Result<Objects> read_files(const Sources& sources, std::istream& in) {
  Objects out;
  const auto took = [&] { return out.ours.size() + out.complaints.size() + out.others; };
  const auto nothing_since = [&](size_t before, const std::string& name) {
    if (took() == before) out.complaints.push_back({name, 1, "", "contains no object"});
  };
  for (const std::string& name : sources.names) {
    const auto files = files_of(name);
    if (!files) return fail(files.error());
    const size_t before = took();
    const bool of_folder = *files != std::vector{name};
    for (const std::string& file : *files) {
      const auto text = content(file, in);
      if (!text) return fail(text.error());
      take_text(file, *text, of_folder, out);
    }
    nothing_since(before, name);
  }
  for (const std::string& folder : sources.kustomizations) {
    const auto text = kustomized(folder);
    if (!text) return fail(text.error());
    const size_t before = took();
    take_text("-k " + folder, *text, false, out);
    nothing_since(before, "-k " + folder);
  }
  return out;
}

}  // namespace mo::plugin
