#include "operator/api/run_result.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "operator/core/decimal.h"
#include "operator/core/size.h"
#include "operator/core/text.h"
#include "operator/json/scan.h"

namespace mo::api {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 16;
constexpr size_t kMaxEntries = 256;  // of metrics, parameters, data sets
constexpr size_t kMaxName = 128;     // bytes of a metric's or parameter's name
constexpr size_t kMaxText = 4096;    // bytes of any other text
constexpr size_t kMaxUri = 2048;
constexpr size_t kMaxSize = 16;

// The reader of one RunResult gives up at the first thing that is wrong; only parse_run_result sees this.
struct Wrong {
  std::string message;
};

[[noreturn]] void wrong(std::string message) { throw Wrong{std::move(message)}; }

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The value as JSON for a message.
std::string got(const Json& value) {
  if (value.is_null()) return "null";
  return excerpt(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

[[noreturn]] void wrong_value(const std::string& path, const std::string& wanted, const Json& value) {
  wrong("the RunResult's " + path + " must be " + wanted + ", got " + got(value));
}

void only_fields(const Json& object, const std::string& path, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : object.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string list;
    for (std::string_view field : known) list += (list.empty() ? "" : ", ") + std::string(field);
    wrong("the RunResult's " + path + (path.empty() ? "" : ".") + excerpt(name) +
          " is not a known field; known fields are " + list);
  }
}

const Json* find(const Json& object, const char* name) {
  auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

std::string text_at(const Json& value, const std::string& path, const std::string& wanted,
                    size_t max = kMaxText) {
  if (!value.is_string()) wrong_value(path, wanted, value);
  const auto& text = value.get_ref<const std::string&>();
  if (text.empty()) wrong_value(path, wanted, value);
  if (text.size() > max)
    wrong("the RunResult's " + path + " is longer than " + std::to_string(max) + " bytes");
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    wrong_value(path, wanted + " without control characters", value);
  return text;
}

bool is_digest(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  if (text.size() != prefix.size() + 64 || !text.starts_with(prefix)) return false;
  return text.substr(prefix.size()).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string digest_at(const Json& value, const std::string& path) {
  if (!value.is_string() || !is_digest(value.get_ref<const std::string&>()))
    wrong_value(path, "sha256: and 64 hexadecimal digits in lower case", value);
  return value.get<std::string>();
}

// A name that can stand in a path of the API server.
bool is_object_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") != std::string_view::npos)
    return false;
  return name.front() != '-' && name.front() != '.' && name.back() != '-' && name.back() != '.' &&
         name.find("..") == std::string_view::npos;
}

bool is_configmap_key(std::string_view key) {
  if (key.empty() || key.size() > 253 || key == "." || key == "..") return false;
  return key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
         std::string_view::npos;
}

bool has_parent_segment(std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

// scheme://first/rest
struct SplitUri {
  std::string_view scheme, first, rest;
};
std::optional<SplitUri> split_uri(std::string_view uri) {
  const size_t colon = uri.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view after = uri.substr(colon + 3);
  const size_t slash = std::min(after.find('/'), after.size());
  return SplitUri{uri.substr(0, colon), after.substr(0, slash),
                  slash < after.size() ? after.substr(slash + 1) : ""};
}

void check_uri(const std::string& uri, const Json& value, bool imported) {
  const std::string path = "artifact.uri";
  if (uri.size() > kMaxUri)
    wrong("the RunResult's artifact.uri is longer than " + std::to_string(kMaxUri) + " bytes");
  if (uri.find(' ') != std::string::npos) wrong_value(path, "a URI without spaces", value);
  const auto parts = split_uri(uri);
  const std::string_view scheme = parts ? parts->scheme : "";
  if (scheme == "http" || scheme == "https") {
    if (parts->first.empty()) wrong_value(path, "an absolute http(s) address with a host", value);
    if (parts->first.substr(0, parts->first.find_first_of("?#")).find('@') != std::string_view::npos)
      wrong_value(path, "an address without user name and password", redact_uri(uri));
  } else if (scheme == "configmap") {
    if (!is_object_name(parts->first) || !is_configmap_key(parts->rest))
      wrong_value(path, "configmap://name/key", value);
  } else if (scheme == "pvc") {
    if (!is_object_name(parts->first) || parts->rest.empty() || parts->rest.back() == '/' ||
        has_parent_segment(parts->rest))
      wrong_value(path, "pvc://claim/path of a file below the claim", value);
  } else if (imported && scheme == "s3") {
    if (parts->first.empty() || parts->rest.empty()) wrong_value(path, "s3://bucket/key", value);
  } else {
    wrong_value(path, "a configmap://, pvc://, http:// or https:// URI", value);
  }
}

// The members of "metrics" or the like as they are written, by name: a parser would make floats of numbers. `text` is a JSON object.
std::map<std::string, std::string> written_metrics(std::string_view text, std::string_view field) {
  const auto name_of = [](std::string_view key) { return Json::parse('"' + std::string(key) + '"').get<std::string>(); };
  std::map<std::string, std::string> written;
  json::each_member(text, [&](std::string_view key, std::string_view metrics) {
    if (name_of(key) != field) return true;
    written.clear();  // of two members the last counts, as for the parser
    json::each_member(metrics, [&](std::string_view name, std::string_view value) {
      written.insert_or_assign(name_of(name), std::string(value));
      return true;
    });
    return true;
  });
  return written;
}

std::map<std::string, std::string> read_metrics(const Json& value, std::string_view document, const std::string& field) {
  if (!value.is_object()) wrong_value(field, "an object of decimals", value);
  if (value.size() > kMaxEntries)
    wrong("the RunResult has more than " + std::to_string(kMaxEntries) + " " + field);
  const std::map<std::string, std::string> written = written_metrics(document, field);
  std::map<std::string, std::string> metrics;
  for (const auto& [name, metric] : value.items()) {
    if (name.empty() || name.size() > kMaxName)
      wrong("the RunResult's " + field + " has a name that is empty or longer than " + std::to_string(kMaxName) +
            " bytes: \"" + excerpt(name) + "\"");
    const auto number = metric.is_number() ? written.find(name) : written.end();
    const std::string text = metric.is_string() ? metric.get<std::string>() : number != written.end() ? number->second : "";
    if (text.size() > kMaxName || !Decimal::parse(text))
      wrong_value(field + "." + excerpt(name), "a decimal such as 0.947 or \"0.947\"", metric);
    metrics.emplace(name, text);
  }
  return metrics;
}

Artifact read_artifact(const Json& value, bool imported) {
  if (!value.is_object()) wrong_value("artifact", "an object with uri, digest and format", value);
  only_fields(value, "artifact", {"uri", "digest", "format", "unpack", "size"});
  for (const char* field : {"uri", "digest", "format"})
    if (!value.contains(field)) wrong("the RunResult's artifact." + std::string(field) + " is missing");
  Artifact artifact;
  artifact.uri = text_at(value["uri"], "artifact.uri", "a configmap://, pvc://, http:// or https:// URI");
  check_uri(artifact.uri, value["uri"], imported);
  artifact.digest = digest_at(value["digest"], "artifact.digest");
  if (const Json* unpack = find(value, "unpack")) {
    if (!unpack->is_boolean()) wrong_value("artifact.unpack", "true or false", *unpack);
    artifact.unpack = unpack->get<bool>();
  }
  if (const Json* size = find(value, "size")) {
    artifact.size = text_at(*size, "artifact.size", "a size such as \"2Gi\"", kMaxSize);
    if (!parse_size(artifact.size)) wrong_value("artifact.size", "a size such as \"2Gi\"", *size);
  }
  const Json& format = value["format"];
  if (!format.is_object()) wrong_value("artifact.format", "an object with name and version", format);
  only_fields(format, "artifact.format", {"name", "version"});
  if (!format.contains("name")) wrong("the RunResult's artifact.format.name is missing");
  artifact.format.name =
      text_at(format["name"], "artifact.format.name", "a non-empty string", kMaxName);
  if (const Json* version = find(format, "version"))
    artifact.format.version =
        text_at(*version, "artifact.format.version", "a string such as \"1\"", kMaxName);
  return artifact;
}

Json read_texts(const Json& value, const std::string& path, std::initializer_list<std::string_view> fields) {
  if (!value.is_object()) wrong_value(path, "an object", value);
  only_fields(value, path, fields);
  for (const auto& [name, field] : value.items())
    text_at(field, path + "." + name, "a non-empty string");
  return value;
}

Json read_parameters(const Json& value) {
  if (!value.is_object()) wrong_value("lineage.parameters", "an object of strings", value);
  if (value.size() > kMaxEntries)
    wrong("the RunResult has more than " + std::to_string(kMaxEntries) + " parameters");
  for (const auto& [name, parameter] : value.items()) {
    if (name.empty() || name.size() > kMaxName)
      wrong("the RunResult's lineage.parameters has a name that is empty or longer than " +
            std::to_string(kMaxName) + " bytes: \"" + excerpt(name) + "\"");
    const auto* text = parameter.get_ptr<const Json::string_t*>();
    if (!text || text->size() > kMaxText)
      wrong_value("lineage.parameters." + excerpt(name), "a string such as \"0.1\"", parameter);
  }
  return value;
}

Json read_data(const Json& value) {
  if (!value.is_array()) wrong_value("lineage.data", "a list of data sets", value);
  if (value.size() > kMaxEntries)
    wrong("the RunResult has more than " + std::to_string(kMaxEntries) + " data sets");
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string path = "lineage.data[" + std::to_string(i) + "]";
    const Json& set = value[i];
    if (!set.is_object()) wrong_value(path, "an object with name, digest and rows", set);
    only_fields(set, path, {"name", "digest", "rows"});
    if (!set.contains("name")) wrong("the RunResult's " + path + ".name is missing");
    text_at(set["name"], path + ".name", "a non-empty string");
    if (const Json* digest = find(set, "digest")) digest_at(*digest, path + ".digest");
    const Json* rows = find(set, "rows");
    if (rows && !(rows->is_number_integer() && *rows >= 0 && *rows <= INT64_MAX))
      wrong_value(path + ".rows", "a whole number that is not negative", *rows);
  }
  return value;
}

Json read_lineage(const Json& value) {
  if (!value.is_object()) wrong_value("lineage", "an object", value);
  only_fields(value, "lineage", {"code", "data", "environment", "parameters", "seed"});
  Json lineage = Json::object();
  if (const Json* code = find(value, "code"))
    lineage["code"] = read_texts(*code, "lineage.code", {"repository", "revision"});
  if (const Json* data = find(value, "data")) lineage["data"] = read_data(*data);
  if (const Json* environment = find(value, "environment"))
    lineage["environment"] = read_texts(*environment, "lineage.environment", {"image"});
  if (const Json* parameters = find(value, "parameters"))
    lineage["parameters"] = read_parameters(*parameters);
  if (const Json* seed = find(value, "seed"))
    lineage["seed"] = text_at(*seed, "lineage.seed", "a string such as \"7\"", kMaxName);
  return lineage;
}

// NaN or Infinity if the parser stopped at one (`byte` counts from 1): Python's json.dumps writes them. Else empty.
std::string word_for_no_number(std::string_view text, size_t byte) {
  if (!text.starts_with('{') || byte < 1 || byte > text.size()) return "";
  const std::string_view rest = text.substr(byte - 1);
  for (const char* word : {"NaN", "Infinity"})
    if (rest.starts_with(word)) return word;
  return "";
}

// The document, or why the text is none.
Json read_document(std::string_view text) {
  // The parser would take it for the end and pass over what follows.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos)
    wrong("the RunResult is not JSON (byte " + std::to_string(zero + 1) + "): " + excerpt(text));
  // Not by the parser's callback: with one it looks at all elements of a list whenever one of them ends.
  const bool too_deep = json::depth_of(text) > kMaxDepth;
  try {
    if (!too_deep) return Json::parse(text);
  } catch (const Json::parse_error& e) {
    const std::string quoted = ": " + excerpt(text);
    if (text.size() >= kTerminationMessageLimit && text.size() <= kTerminationMessageLimit + 2)
      wrong(
          "the RunResult is oversized: Kubernetes keeps only the last 4096 bytes of a termination message; "
          "write it to a ConfigMap and name "
          "that in the message. What was kept begins" +
          quoted);
    if (e.byte > text.size())
      wrong("the RunResult is cut: its JSON ends after " + std::to_string(text.size()) + " bytes" + quoted);
    if (const auto word = word_for_no_number(text, e.byte); !word.empty())
      wrong("the RunResult holds " + word + " (byte " + std::to_string(e.byte) +
            "), which is not a JSON number: leave out that metric or report a finite one" + quoted);
    wrong("the RunResult is not JSON (byte " + std::to_string(e.byte) + ")" + quoted);
  } catch (const Json::exception&) {  // a number out of range
  }
  wrong("the RunResult cannot be parsed as JSON" +
        std::string(too_deep ? ", it is nested too deeply" : "") + ": " + excerpt(text));
}

void check_kind(const Json& document) {
  for (const auto& [field, wanted] :
       {std::pair<const char*, const char*>{"apiVersion", kApiVersion}, {"kind", "RunResult"}}) {
    const Json* value = find(document, field);
    if (!value)
      wrong("the RunResult's " + std::string(field) + " is missing, it must be \"" + wanted +
            "\": " + got(document));
    if (*value != wanted) wrong_value(field, "\"" + std::string(wanted) + "\"", *value);
  }
}

std::optional<Json> try_document(std::string_view text) {
  if (text.empty() || text.front() != '{' || text.size() > kRunResultLimit) return std::nullopt;
  try {
    return read_document(text);
  } catch (const Wrong&) {
    return std::nullopt;
  }
}

}  // namespace

namespace {

enum class Of { Training, Gate, Import };

Result<RunResult> parse(std::string_view text, Of job) {
  const bool gate = job == Of::Gate;
  text = trim(text);
  if (text.empty())
    return fail(ErrorKind::Invalid, "the RunResult is missing: the Job reported an empty text");
  if (text.size() > kRunResultLimit)
    return fail(ErrorKind::Invalid, "the RunResult is oversized: " + std::to_string(text.size()) +
                                        " bytes; at most " + std::to_string(kRunResultLimit) + " are allowed");
  try {
    const Json document = read_document(text);
    if (!document.is_object()) wrong("the RunResult must be a JSON object, got " + got(document));
    check_kind(document);
    if (gate)
      only_fields(document, "", {"apiVersion", "kind", "metrics", "championMetrics", "artifact", "lineage"});
    else
      only_fields(document, "", {"apiVersion", "kind", "metrics", "artifact", "lineage"});
    RunResult result;
    if (const Json* metrics = find(document, "metrics")) result.metrics = read_metrics(*metrics, text, "metrics");
    if (const Json* champion = find(document, "championMetrics"))
      result.champion_metrics = read_metrics(*champion, text, "championMetrics");
    const Json* artifact = find(document, "artifact");
    if (artifact)
      result.artifact = read_artifact(*artifact, job == Of::Import);
    else if (!gate)
      wrong("the RunResult's artifact is missing: " + got(document));
    if (const Json* lineage = find(document, "lineage")) result.lineage = read_lineage(*lineage);
    return result;
  } catch (const Wrong& what) {
    return fail(ErrorKind::Invalid, what.message);
  }
}

}  // namespace

Result<RunResult> parse_run_result(std::string_view text, bool gate) {
  return parse(text, gate ? Of::Gate : Of::Training);
}

Result<RunResult> parse_import_result(std::string_view text) { return parse(text, Of::Import); }

std::optional<ConfigMapKey> result_reference(std::string_view termination_message) {
  constexpr const char* default_key = "result";
  const std::string_view text = trim(termination_message);
  ConfigMapKey found;
  if (text.starts_with("configmap://")) {
    const auto parts = split_uri(text);
    found = {std::string(parts->first), parts->rest.empty() ? default_key : std::string(parts->rest)};
  } else if (const auto document = try_document(text)) {
    const Json* reference = find(*document, "configMapKeyRef");
    if (!reference || !reference->is_object()) return std::nullopt;
    const Json* name = find(*reference, "name");
    const Json* key = find(*reference, "key");
    if (!name || !name->is_string() || (key && !key->is_string())) return std::nullopt;
    found = {name->get<std::string>(), key ? key->get<std::string>() : default_key};
  } else {
    return std::nullopt;
  }
  if (!is_object_name(found.name) || !is_configmap_key(found.key)) return std::nullopt;
  return found;
}

std::string excerpt(std::string_view text, size_t max_bytes) {
  std::string out;
  bool blank = false;  // runs of white space become one blank
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const size_t length = character_length(text);
    const bool space = is_space(text.front());
    const std::string_view piece = space                                  ? (blank ? "" : " ")
                                   : c < 0x20 || c == 0x7f || length == 0 ? "?"
                                                                          : text.substr(0, length);
    if (out.size() + piece.size() > max_bytes) return out + "…";
    out += piece;
    blank = space;
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

}  // namespace mo::api
