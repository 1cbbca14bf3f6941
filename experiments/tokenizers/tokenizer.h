#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "experiments/tokenizers/added_tokens.h"
#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/sequence_template.h"
#include "experiments/tokenizers/token_model.h"

namespace rankfold {

/// One sequence as a model reads it: ids[i] is the row of the token embedding, type_ids[i] that of
/// the segment embedding (0 first text, 1 second text with BERT). Both have the same length.
struct Encoding {
  std::vector<std::int32_t> ids, type_ids;
};

/// Text to ids as huggingface/tokenizers computes it: added tokens are cut out of the text, the
/// rest is normalised and split into the model's tokens, and a template puts special tokens around
/// them. Immutable: may be used by several threads at once.
class Tokenizer {
 public:
  /// Throws Error when the templates lack a text, or an added token contradicts the model's
  /// vocabulary (another id for its content, or an id that the vocabulary gives to another token).
  Tokenizer(std::unique_ptr<const TokenModel> model, std::vector<AddedToken> added_tokens,
            SequenceTemplates templates, bool truncates_left = false,
            std::unique_ptr<const TokenDecoder> decoder = nullptr);

  /// `text`, and `pair` where given, as one sequence with special tokens. Invalid UTF-8 is read as
  /// U+FFFD. With `max_length` > 0 tokens are cut from the end (the beginning where it truncates
  /// left) so that the whole, special tokens
  /// included, has at most `max_length`: of the longer text until both are equally long, then of
  /// both; of an odd budget the longer text keeps one more, the second where both are equally long.
  /// No padding. Throws UsageError when `max_length` leaves no room for the special tokens.
  Encoding encode(std::string_view text, std::optional<std::string_view> pair = std::nullopt,
                  std::size_t max_length = 0) const;

  /// The text of ids, as huggingface/tokenizers puts it together; special tokens are left out where
  /// `skip_special`, ids that no token has always. What is no UTF-8 becomes U+FFFD.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  /// The rows that a token embedding needs: the largest id + 1, added tokens included.
  std::size_t vocabulary_size() const { return vocabulary_size_; }

  /// The id of a token by its exact content, e.g. "[PAD]" or "##ing".
  std::optional<std::int32_t> find_token(std::string_view content) const;

 private:
  void append_ids(std::string_view text, std::vector<std::int32_t>& ids) const;
  void append_ids_of_normalized(const NormalizedText& text, std::vector<std::int32_t>& ids) const;

  std::unique_ptr<const TokenModel> model_;
  std::vector<AddedToken> added_tokens_;
  AddedTokenMatcher raw_matcher_, normalized_matcher_;
  std::unordered_map<std::int32_t, std::size_t> added_places_;
  std::vector<std::string> added_texts_;  // the contents as decoders get them
  std::unordered_set<std::string> special_contents_;
  SequenceTemplates templates_;
  std::unique_ptr<const TokenDecoder> decoder_;
  bool truncates_left_ = false;
  std::size_t vocabulary_size_ = 0;
};

/// The tokenizer of a model folder (tokenizer.json, else vocab.txt, vocab.json with merges.txt, or
/// a SentencePiece model: tokenizer.model, spiece.model, spm.model, sentencepiece.bpe.model) or of
/// one such file, told apart by its name, together with the files beside it
/// (read_tokenizer_config). vocab.txt holds one WordPiece token a line, white space at its end left
/// out; the id is the line number from 0. Of tokenizer.json the block `padding`, and of
/// `truncation` all but the direction, are ignored. docs/tokenizers.md lists what is read. Throws
/// Error naming the file and key for everything missing, malformed, contradictory or not supported.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& file_or_model_folder);

}  // namespace rankfold
