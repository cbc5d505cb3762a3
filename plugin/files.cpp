#include "plugin/files.h"

#include <algorithm>
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

Result<std::string> content(const std::string& name, std::istream& in) {
  std::ifstream file;
  if (name != "-") file.open(name, std::ios::binary);
  std::istream& from = name == "-" ? in : file;
  if (!from) return fail(ErrorKind::Invalid, name + " cannot be read");
  std::string text{std::istreambuf_iterator<char>(from), {}};
  if (from.bad() || text.size() > kLargestFile) return fail(ErrorKind::Invalid, name + " cannot be read");
  return text;
}

bool is_ours(const Json& object) { return text(object, "apiVersion").starts_with("modelops.dev/"); }

void take(const std::string& file, const yaml::Document& document, Objects& out) {
  if (is_ours(document.value)) {
    out.ours.push_back({file, document, ""});
    return;
  }
  if (text(document.value, "kind") != "List") return;
  for (size_t i = 0; i < items(document.value, "items").size(); ++i) {
    const Json& item = document.value["items"][i];
    if (!is_ours(item)) continue;
    out.ours.push_back({file, {item, document.lines}, "/items/" + std::to_string(i)});
  }
}

}  // namespace

std::string Complaint::to_string() const {
  return file + ":" + std::to_string(line) + ": " + (path.empty() ? "" : path + ": ") + message;
}

Result<Objects> read_files(const std::vector<std::string>& names, std::istream& in) {
  Objects out;
  for (const std::string& name : names) {
    const auto files = files_of(name);
    if (!files) return fail(files.error());
    const size_t before = out.ours.size() + out.complaints.size();
    for (const std::string& file : *files) {
      const auto text = content(file, in);
      if (!text) return fail(text.error());
      ++out.files;
      const auto documents = yaml::read(*text);
      if (!documents) {
        out.complaints.push_back({file, std::max(1, documents.error().line), "", documents.error().message});
        continue;
      }
      for (const yaml::Document& document : *documents) take(file, document, out);
    }
    // A check that looks at nothing must not pass.
    if (out.ours.size() + out.complaints.size() == before)
      out.complaints.push_back({name, 1, "", "holds no object of modelops.dev"});
  }
  return out;
}

}  // namespace mo::plugin
