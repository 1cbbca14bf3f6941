#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/models/byte_pairs.h"

namespace rankfold {
namespace {

/// "left right", or ["left", "right"]; the field is made for those that are wrong.
BytePairs::Merge read_merge(const JsonField& list, std::size_t index) {
  const nlohmann::json& value = list.value()[index];
  const auto rank = static_cast<std::uint32_t>(index);
  if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string())
    return {value[0].get_ref<const std::string&>(), value[1].get_ref<const std::string&>(), rank};
  if (!value.is_string()) {
    const JsonField field = list.element(index);
    if (field.array_size() != 2)
      field.refuse(fmt::format("{} elements", field.array_size()), "two tokens");
    return {field.element(0).string(), field.element(1).string(), rank};
  }
  const auto& text = value.get_ref<const std::string&>();
  const std::size_t blank = text.find(' ');
  if (blank == text.npos || text.find(' ', blank + 1) != text.npos)
    list.element(index).refuse("'" + printable(text, 80) + "'",
                               "two tokens with a space between them");
  return {text.substr(0, blank), text.substr(blank + 1), rank};
}

}  // namespace

std::unique_ptr<const WordModel> read_byte_pairs(const JsonField& field) {
  expect_part_keys(
      field, {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
              "byte_fallback", "ignore_merges", "vocab", "merges"});
  BytePairOptions options;
  if (const auto dropout = field.optional_member("dropout"))
    if (dropout->number() != 0) dropout->refuse("a dropout", "none: ids would be drawn by chance");
  if (const auto token = field.optional_member("unk_token"))
    options.unknown_token = token->string();
  if (const auto prefix = field.optional_member("continuing_subword_prefix"))
    options.continuing_prefix = prefix->string();
  if (const auto suffix = field.optional_member("end_of_word_suffix"))
    options.end_suffix = suffix->string();
  options.fuses_unknown = field.boolean_member("fuse_unk", false);
  options.byte_fallback = field.boolean_member("byte_fallback", false);
  options.ignores_merges = field.boolean_member("ignore_merges", false);
  Vocabulary vocabulary = read_vocabulary_object(field.member("vocab"));
  if (options.unknown_token && !vocabulary.find(*options.unknown_token))
    field.member("unk_token")
        .refuse(fmt::format("'{}'", printable(*options.unknown_token, 80)),
                "a token of model.vocab");
  const JsonField list = field.member("merges");
  std::vector<BytePairs::Merge> merges;
  merges.reserve(list.array_size());
  for (std::size_t i = 0, count = list.array_size(); i < count; ++i)
    merges.push_back(read_merge(list, i));
  try {
    return std::make_unique<BytePairs>(std::move(vocabulary), merges, std::move(options));
  } catch (const Error& error) {
    throw Error("{}: key '{}': {}", printable(field.file().string()), list.key(), error.what());
  }
}

}  // namespace rankfold
