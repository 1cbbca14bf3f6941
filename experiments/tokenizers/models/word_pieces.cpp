#include "experiments/tokenizers/models/word_pieces.h"

#include <algorithm>
#include <stdexcept>

#include "core/base/text.h"

namespace rankfold {
namespace {

/// A word costs its length squared where no token covers it.
constexpr std::int64_t most_characters_per_word = 1000;

}  // namespace

WordPieces::WordPieces(Vocabulary vocabulary, const WordPiecesOptions& options)
    : vocabulary_(std::move(vocabulary)),
      max_characters_per_word_(options.max_characters_per_word) {
  for (const std::int32_t id : vocabulary_.ids()) tree_.insert(*vocabulary_.content(id), id);
  continuation_ = tree_.find_node(options.continuing_prefix);
  const auto unknown = vocabulary_.find(options.unknown_token);
  if (!unknown) throw std::logic_error("WordPieces: the unknown token is not in the vocabulary");
  unknown_id_ = *unknown;
}

void WordPieces::append_ids(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.empty()) return;
  const std::size_t before = ids.size();
  const bool too_long =
      word.size() > max_characters_per_word_ && character_count(word) > max_characters_per_word_;
  std::optional<PrefixTree::Node> start = PrefixTree::root;
  while (!too_long && !word.empty() && start) {
    const auto piece = tree_.longest_match(word, *start);
    if (!piece) break;
    ids.push_back(piece->value);
    word.remove_prefix(piece->length);
    start = continuation_;
  }
  if (word.empty()) return;
  ids.resize(before);
  ids.push_back(unknown_id_);
}

WordPiecesOptions read_word_pieces_options(const JsonField& field) {
  expect_part_keys(field,
                   {"unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
  WordPiecesOptions options;
  options.unknown_token = field.member("unk_token").string();
  options.continuing_prefix = field.member("continuing_subword_prefix").string();
  options.max_characters_per_word = static_cast<std::size_t>(
      field.member("max_input_chars_per_word").integer(1, most_characters_per_word));
  return options;
}

std::unique_ptr<const WordModel> read_word_pieces(const JsonField& field) {
  const WordPiecesOptions options = read_word_pieces_options(field);
  Vocabulary vocabulary = read_vocabulary_object(field.member("vocab"));
  if (!vocabulary.find(options.unknown_token))
    field.member("unk_token")
        .refuse(fmt::format("'{}'", printable(options.unknown_token, 200)),
                "a token of model.vocab");
  return std::make_unique<WordPieces>(std::move(vocabulary), options);
}

}  // namespace rankfold
