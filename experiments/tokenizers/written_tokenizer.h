#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/tokenizers/added_token_list.h"
#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/sequence_template.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/tokenizers/tokenizer_config.h"
#include "experiments/tokenizers/vocabulary.h"
#include "experiments/tokenizers/wordpiece.h"

namespace rankfold {

/// A tokenizer as one file has it, before the files beside it are heard: BERT's WordPiece by its
/// options, any other as a pipeline. What a file cannot say is empty: vocab.txt says nothing but
/// the vocabulary.
struct WrittenTokenizer {
  struct Normalizer {
    bool clean_text = true, handle_chinese_chars = true, lowercase = true;
    std::optional<bool> strip_accents;  ///< empty: as lowercase
  };
  std::filesystem::path file;
  Vocabulary vocabulary;
  std::optional<Normalizer> normalizer;
  std::optional<std::string> unknown_token;
  std::string continuing_prefix = "##";
  std::size_t max_characters_per_word = 100;
  /// Where it is there, nothing of the above counts but the file.
  std::unique_ptr<const TokenModel> pipeline;
  std::optional<bool> adds_prefix_space;  ///< of a pipeline, where a part of it says so
  std::unique_ptr<const TokenDecoder> decoder;
  std::vector<AddedToken> added_tokens;
  std::optional<SequenceTemplates> templates;
  /// Where there are no templates: BERT's or RoBERTa's with cls and sep, or with begin and end
  /// tokens around each text where they are told to be added.
  enum class Enclosing { bert, roberta, begin_and_end };
  Enclosing enclosing = Enclosing::bert;
  bool adds_begin = false, adds_end = false;
  bool truncates_left = false;
  std::optional<std::string> padding_token;
};

/// The tokenizer that transformers makes of a file and those beside it. Throws Error naming the
/// file and the key where the files contradict each other.
std::unique_ptr<Tokenizer> make_tokenizer(WrittenTokenizer written, const TokenizerConfig& config);

/// The same of a pipeline.
std::unique_ptr<Tokenizer> make_pipeline_tokenizer(WrittenTokenizer written,
                                                   const TokenizerConfig& config);

/// How both end: types, truncation and decoder as the files tell them. Takes the decoder. Throws
/// Error naming the file.
std::unique_ptr<Tokenizer> finish_tokenizer(std::unique_ptr<const TokenModel> model,
                                            const AddedTokenList& added,
                                            SequenceTemplates templates, WrittenTokenizer& written,
                                            const TokenizerConfig& config);

/// The tokens that the files list with their ids, over the vocabulary, which must stay.
AddedTokenList listed_tokens(const WrittenTokenizer& written, const Vocabulary& vocabulary,
                             const TokenizerConfig& config);

/// Adds special tokens by role, and further ones, in the order in which transformers does: new ones
/// get new ids.
void add_special_tokens(std::map<std::string, AddedToken> names,
                        const std::vector<AddedToken>& further, AddedTokenList& list);

/// The id of a special token. Throws Error naming the file where there is none.
std::int32_t require_token(const std::string& token, const Vocabulary& vocabulary,
                           const AddedTokenList& added, const std::filesystem::path& file);

}  // namespace rankfold
