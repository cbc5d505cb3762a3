#include "operator/yaml/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>

#include "operator/core/time.h"

namespace mo::yaml {
namespace {

// As kubectl's parser types them, which follows YAML 1.1 here.
bool is_true(const std::string& text) {
  for (const char* word : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"})
    if (text == word) return true;
  return false;
}
bool is_false(const std::string& text) {
  for (const char* word : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"})
    if (text == word) return true;
  return false;
}

// As Go's strconv.ParseInt of base 0: 0x10, 0b11, 0o17 and 017. `digits`: without a sign.
std::optional<uint64_t> magnitude_of(std::string_view digits) {
  int base = 10;
  if (digits.size() > 1 && digits[0] == '0') {
    const char mark = digits.size() > 2 ? digits[1] : '0';
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    digits.remove_prefix(base != 8 || mark == 'o' || mark == 'O' ? 2 : 1);
  }
  uint64_t magnitude = 0;
  const char* end = digits.data() + digits.size();
  const auto r = std::from_chars(digits.data(), end, magnitude, base);
  if (r.ec != std::errc{} || r.ptr != end) return {};
  return magnitude;
}

// Null if the text is no number.
Json number_of(const std::string& text) {
  const bool fraction = text[0] == '.';
  if (!fraction && std::string_view("+-0123456789").find(text[0]) == std::string_view::npos) return nullptr;
  std::string plain = text;
  if (!fraction) std::erase(plain, '_');
  const bool sign = plain[0] == '+' || plain[0] == '-', negative = plain[0] == '-';
  const std::string_view digits = std::string_view(plain).substr(sign ? 1 : 0);
  constexpr uint64_t most = std::numeric_limits<int64_t>::max();
  if (const auto magnitude = magnitude_of(digits)) {
    if (*magnitude <= most + negative)
      return static_cast<int64_t>(negative ? uint64_t{0} - *magnitude : *magnitude);
    if (!sign) return *magnitude;
  }
  const bool begun = !digits.empty() && (digits[0] == '.' || (digits[0] >= '0' && digits[0] <= '9'));
  if (!begun || digits.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return nullptr;
  double number = 0;
  const char* end = digits.data() + digits.size();
  if (const auto r = std::from_chars(digits.data(), end, number); r.ec != std::errc{} || r.ptr != end)
    return nullptr;
  if (negative) number = -number;
  // 08 and 1.0: kubectl sends them on as 8 and 1.
  constexpr double exact = 1e15;
  if (std::abs(number) < exact && std::trunc(number) == number) return static_cast<int64_t>(number);
  return number;
}

Json scalar(const std::string& text) {
  if (is_true(text)) return true;
  if (is_false(text)) return false;
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  const Json number = number_of(text);
  return number.is_null() ? Json(text) : number;
}

constexpr int kMaxYamlDepth = 60;
constexpr size_t kMaxYamlValues = 100'000;  // aliases of aliases would multiply without end

class Reader {
 public:
  explicit Reader(std::map<std::string, int>& lines) : lines_(lines) {}

  Json value(const YAML::Node& node, const std::string& pointer, int depth = 0) {
    if (depth > kMaxYamlDepth) throw YAML::Exception(node.Mark(), "nested too deeply");
    if (++values_ > kMaxYamlValues) throw YAML::Exception(node.Mark(), "too large");
    lines_.try_emplace(pointer, node.Mark().line + 1);
    // Quoted, or with a tag of its own: a text.
    if (node.IsScalar()) return node.Tag() == "?" ? scalar(node.Scalar()) : Json(node.Scalar());
    if (node.IsSequence()) {
      Json array = Json::array();
      for (const auto& item : node)
        array.push_back(value(item, pointer + "/" + std::to_string(array.size()), depth + 1));
      return array;
    }
    return node.IsMap() ? object(node, pointer, depth) : Json(nullptr);
  }

 private:
  Json object(const YAML::Node& node, const std::string& pointer, int depth) {
    Json object = Json::object();
    std::vector<Json> merged;
    for (const auto& member : node) {
      const std::string& key = member.first.Scalar();
      const std::string at = pointer + (Json::json_pointer() / key).to_string();
      if (key == "<<" && member.first.Tag() == "?") {
        const Json base = value(member.second, at, depth + 1);
        for (const Json& one : base.is_array() ? base : Json::array({base})) merged.push_back(one);
        continue;
      }
      lines_.try_emplace(at, member.first.Mark().line + 1);
      if (!object.emplace(key, value(member.second, at, depth + 1)).second)
        throw YAML::Exception(member.first.Mark(), "a key is there twice: " + key);
    }
    for (const Json& base : merged)
      if (base.is_object()) object.insert(base.begin(), base.end());
    return object;
  }

  std::map<std::string, int>& lines_;
  size_t values_ = 0;
};

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

void emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object() && !value.empty()) {
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key;
      emit(out, Json(key));
      out << YAML::Value;
      emit(out, member);
    }
    out << YAML::EndMap;
  } else if (value.is_array() && !value.empty()) {
    out << YAML::BeginSeq;
    for (const Json& item : value) emit(out, item);
    out << YAML::EndSeq;
  } else if (value.is_object()) {
    out << YAML::Flow << YAML::BeginMap << YAML::EndMap;
  } else if (value.is_array()) {
    out << YAML::Flow << YAML::BeginSeq << YAML::EndSeq;
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.find('\n') != std::string::npos || !scalar(text).is_string() || parse_time(text))
      out << YAML::DoubleQuoted << text;
    else
      out << text;
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << value.dump();
  }
}

}  // namespace

int Document::line_of(std::string pointer) const {
  for (;; pointer.resize(pointer.rfind('/'))) {
    if (const auto it = lines.find(pointer); it != lines.end()) return it->second;
    if (pointer.rfind('/') == std::string::npos) return 1;
  }
}

tl::expected<std::vector<Document>, Problem> read(const std::string& text) {
  try {
    std::vector<Document> documents;
    for (const std::string& one : documents_of(text)) {
      const YAML::Node node = load(one);
      if (!node.IsDefined() || node.IsNull()) continue;
      Document document;
      document.value = Reader(document.lines).value(node, "");
      (void)document.value.dump();  // throws what is below
      documents.push_back(std::move(document));
    }
    return documents;
  } catch (const YAML::Exception& e) {
    return tl::unexpected(Problem{e.mark.line + 1, e.msg});
  } catch (const Json::exception&) {
    return tl::unexpected(Problem{1, "the text is not UTF-8"});
  }
}

std::string write(const Json& value) {
  YAML::Emitter out;
  out.SetIndent(2);
  emit(out, value);
  return std::string(out.c_str()) + "\n";
}

}  // namespace mo::yaml
