#include "experiments/tokenizers/tokenizer_cases.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "core/base/text.h"
#include "experiments/tokenizers/loaders.h"

namespace rankfold {
namespace {

constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max();

std::vector<std::int32_t> read_integers(const JsonField& field) {
  std::vector<std::int32_t> values(field.array_size());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::int32_t>(field.element(i).integer(0, largest));
  return values;
}

/// Where two sequences part: "ids[3] is 7, expected 9; found [...], expected [...]".
std::string describe(const char* name, const std::vector<std::int32_t>& found,
                     const std::vector<std::int32_t>& expected) {
  const auto parted =
      std::mismatch(found.begin(), found.end(), expected.begin(), expected.end()).first;
  const std::size_t place = static_cast<std::size_t>(parted - found.begin());
  const auto window = [&](const std::vector<std::int32_t>& values) {
    constexpr std::size_t shown = 8;
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(place);
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min(shown, values.size() - place));
    return fmt::format("[{}{}]", fmt::join(begin, end, ", "), end == values.end() ? "" : ", ...");
  };
  return fmt::format("{} part at position {}: found {} ({} in all), expected {} ({} in all)", name,
                     place, window(found), found.size(), window(expected), expected.size());
}

/// Empty where the case holds.
std::string find_mismatch(const Tokenizer& tokenizer, const TokenizerCase& expected) {
  Encoding found;
  try {
    found = tokenizer.encode(expected.text, expected.pair, expected.max_length);
  } catch (const Error& error) {
    return error.what();
  }
  if (found.ids != expected.ids) return describe("ids", found.ids, expected.ids);
  if (expected.type_ids && found.type_ids != *expected.type_ids)
    return describe("type_ids", found.type_ids, *expected.type_ids);
  return {};
}

}  // namespace

std::vector<TokenizerCase> load_tokenizer_cases(const std::filesystem::path& file) {
  const nlohmann::json document = read_json(file, tokenizer_limits);
  const JsonField list(document, file);
  std::vector<TokenizerCase> cases(list.array_size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const JsonField entry = list.element(i);
    cases[i].text = entry.member("text").string();
    cases[i].ids = read_integers(entry.member("ids"));
    if (const auto pair = entry.optional_member("pair")) cases[i].pair = pair->string();
    if (const auto length = entry.optional_member("max_length"))
      cases[i].max_length = static_cast<std::size_t>(length->integer(1, largest));
    if (const auto types = entry.optional_member("type_ids"))
      cases[i].type_ids = read_integers(*types);
  }
  return cases;
}

TokenizerComparison compare(const Tokenizer& tokenizer, std::span<const TokenizerCase> cases) {
  TokenizerComparison comparison;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string mismatch = find_mismatch(tokenizer, cases[i]);
    ++comparison.cases;
    if (mismatch.empty()) continue;
    if (comparison.mismatches++ == 0)
      comparison.first_mismatch =
          fmt::format("case {} ('{}'): {}", i, printable(cases[i].text, 80), mismatch);
  }
  return comparison;
}

}  // namespace rankfold
