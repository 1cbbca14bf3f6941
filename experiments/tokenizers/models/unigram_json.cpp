#include <nlohmann/json.hpp>

#include "core/base/text.h"
#include "experiments/tokenizers/models/unigram.h"

namespace rankfold {
namespace {

/// Every place of a text is compared with tokens up to their length.
constexpr std::size_t longest_unigram = 1000;

}  // namespace

std::unique_ptr<const WordModel> read_unigram(const JsonField& field) {
  expect_part_keys(field, {"unk_id", "vocab", "byte_fallback"});
  const JsonField list = field.member("vocab");
  Vocabulary vocabulary;
  std::vector<double> scores(list.array_size());
  if (scores.empty()) list.refuse("no tokens", "at least one");
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const JsonField entry = list.element(i);
    if (entry.array_size() != 2)
      entry.refuse(fmt::format("{} elements", entry.array_size()), "a token and its score");
    const std::string& token = entry.element(0).string();
    if (token.size() > longest_unigram)
      entry.refuse(fmt::format("a token of {} bytes", token.size()),
                   fmt::format("at most {}", longest_unigram));
    scores[i] = entry.element(1).number();
    if (!vocabulary.insert(token, static_cast<std::int32_t>(i)))
      entry.refuse("'" + printable(token, 80) + "' again", "each token once");
  }
  vocabulary.seal();
  std::optional<std::int32_t> unknown;
  if (const auto id = field.optional_member("unk_id"))
    unknown =
        static_cast<std::int32_t>(id->integer(0, static_cast<std::int64_t>(scores.size()) - 1));
  return std::make_unique<Unigram>(std::move(vocabulary), std::move(scores), unknown,
                                   field.boolean_member("byte_fallback", false));
}

}  // namespace rankfold
