#pragma once

#include <memory>

#include "experiments/tokenizers/models/word_model.h"
#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/splitters/splitter.h"
#include "experiments/tokenizers/token_model.h"

namespace rankfold {

/// A normalizer, a splitter and a model of words, as tokenizer.json puts them together.
class TokenPipeline : public TokenModel {
 public:
  /// Without a normalizer the text stays as it is, without a splitter it is one piece.
  TokenPipeline(std::unique_ptr<const Normalizer> normalizer,
                std::unique_ptr<const Splitter> splitter, std::unique_ptr<const WordModel> model);

  NormalizedText normalize(std::string_view text) const override;
  void append_ids(std::string_view normalized, bool is_beginning,
                  std::vector<std::int32_t>& ids) const override;
  const Vocabulary& vocabulary() const override { return model_->vocabulary(); }

 private:
  std::unique_ptr<const Normalizer> normalizer_;
  std::unique_ptr<const Splitter> splitter_;
  std::unique_ptr<const WordModel> model_;
};

}  // namespace rankfold
