#include "experiments/tokenizers/token_pipeline.h"

#include <utility>

#include "experiments/tokenizers/token_part.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

std::string as_utf8(std::string_view text) {
  if (is_valid_utf8(text)) return std::string(text);
  std::string out;
  for (std::size_t i = 0; i < text.size();) append_utf8(out, decode_next(text, i));
  return out;
}

}  // namespace

TokenPipeline::TokenPipeline(std::unique_ptr<const Normalizer> normalizer,
                             std::unique_ptr<const Splitter> splitter,
                             std::unique_ptr<const WordModel> model)
    : normalizer_(std::move(normalizer)),
      splitter_(std::move(splitter)),
      model_(std::move(model)) {}

NormalizedText TokenPipeline::normalize(std::string_view text) const {
  check_text_length(text.size());
  NormalizedText normalized{as_utf8(text)};
  if (normalizer_) normalizer_->normalize(normalized);
  return normalized;
}

void TokenPipeline::append_ids(std::string_view normalized, bool is_beginning,
                               std::vector<std::int32_t>& ids) const {
  if (normalized.empty()) return;
  if (!splitter_) return model_->append_ids(normalized, ids);
  SplitText text{std::string(normalized), {{0, normalized.size()}}, is_beginning};
  splitter_->split(text);
  for (const SplitText::Piece& piece : text.pieces) model_->append_ids(text.view(piece), ids);
}

}  // namespace rankfold
