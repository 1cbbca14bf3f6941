#pragma once

#include <string>
#include <string_view>

namespace rankfold {

/// Unicode's normalisation forms as huggingface/tokenizers has them: characters that came after
/// Unicode 9 neither decompose nor combine. Linear in the text but for the sorting of marks.
enum class UnicodeForm { nfc, nfd, nfkc, nfkd };

/// Canonical decomposition, or compatibility decomposition, with marks in canonical order.
std::u32string decompose(std::u32string_view text, bool compatibility);

/// Canonical composition of a decomposed text.
std::u32string compose(std::u32string_view decomposed);

/// `text`, which is valid UTF-8, in that form.
std::string to_form(std::string_view text, UnicodeForm form);

}  // namespace rankfold
