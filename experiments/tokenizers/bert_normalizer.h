#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rankfold {

struct BertNormalizerOptions {
  bool clean_text = true;            ///< drops control characters, makes white space one kind
  bool handle_chinese_chars = true;  ///< a space on both sides of each ideograph
  bool strip_accents = true;         ///< NFD, then without its nonspacing marks
  bool lowercase = true;             ///< each character by itself
};

/// BERT's text normalisation (Devlin et al., 2019; the steps are those of huggingface/tokenizers'
/// BertNormalizer, in the order of the options).
class BertNormalizer {
 public:
  explicit BertNormalizer(const BertNormalizerOptions& options);

  /// The normalised text as valid UTF-8. An invalid sequence is read as U+FFFD, which clean_text
  /// drops.
  std::string normalize(std::string_view text) const;

 private:
  std::size_t append_run(std::string_view text, std::size_t position, std::string& out) const;

  BertNormalizerOptions options_;
  std::array<std::int8_t, 128> ascii_;  ///< what an ASCII character becomes; negative: nothing
};

}  // namespace rankfold
