#include <array>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "experiments/tokenizers/models/word_model.h"

namespace rankfold {
namespace {

constexpr std::array<PartKind<WordModel>, 3> model_kinds = {{
    {"BPE", read_byte_pairs},
    {"Unigram", read_unigram},
    {"WordPiece", read_word_pieces},
}};

constexpr std::int64_t largest_token_id = std::numeric_limits<std::int32_t>::max() - 1;

}  // namespace

std::unique_ptr<const WordModel> read_word_model(const JsonField& field) {
  // Files of the first versions do not name it.
  if (!field.optional_member("type")) {
    if (field.object().contains("merges")) return read_byte_pairs(field);
    if (field.object().contains("max_input_chars_per_word")) return read_word_pieces(field);
  }
  return read_part<WordModel>(field, model_kinds);
}

std::int32_t read_token_id(const JsonField& field) {
  return static_cast<std::int32_t>(field.integer(0, largest_token_id));
}

Vocabulary read_vocabulary_object(const JsonField& field) {
  const nlohmann::json& object = field.object();
  if (object.empty()) field.refuse("no tokens", "at least one");
  Vocabulary vocabulary;
  for (const auto& [token, id] : object.items()) {
    if (id.is_number_integer() && id >= 0 && id <= largest_token_id) {
      vocabulary.insert(token, id.get<std::int32_t>());
      continue;
    }
    const std::string key = field.key().empty() ? token : field.key() + "." + token;
    vocabulary.insert(token, read_token_id(JsonField(id, field.file(), key)));
  }
  if (const auto repeated = vocabulary.seal())
    field.refuse(fmt::format("id {} twice", *repeated), "one token for each id");
  return vocabulary;
}

std::string byte_token(char byte) {
  return fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte));
}

}  // namespace rankfold
