#include "report/live/prices.h"

#include <algorithm>
#include <fstream>

#include "operator/yaml/yaml.h"

namespace mo::report {
namespace {

constexpr size_t kLongestFile = 64u << 10;

}  // namespace

Result<Prices> read_price_file(const std::string& path) {
  const auto wrong = [&](const std::string& what) { return fail(ErrorKind::Invalid, "prices in " + path + ": " + what); };
  std::ifstream file(path, std::ios::binary);
  if (!file) return wrong("the file cannot be read");
  std::string text(kLongestFile + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  if (text.size() > kLongestFile) return wrong("the file is longer than 64 KiB");
  const auto documents = yaml::read(text);
  if (!documents) return wrong("line " + std::to_string(documents.error().line) + ": " + documents.error().message);
  if (documents->size() != 1) return wrong("there must be one document with currency, cpuHour, memoryGiBHour and deviceHour");
  auto prices = read_prices(documents->front().value);
  if (!prices) return wrong(prices.error().message);
  return prices;
}

}  // namespace mo::report
