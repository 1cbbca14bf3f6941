#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// `text` for TeX: what TeX reads as commands stands escaped, and signs that its fonts lack (times,
/// minus, plus-minus, raised digits, ellipsis) as mathematics. Letters stay UTF-8; those beyond
/// Latin are not TeX's (expect_tex_letters), but for Greek ones, which stand as mathematics.
/// Control characters and what is no UTF-8 become '?'.
std::string tex_text(std::string_view text);

/// Throws Error naming the first text with a character that the fonts of a paper lack, so that it
/// would stop LaTeX or be missing from its page: what is neither Latin nor Greek nor one of
/// tex_text's signs.
void expect_tex_letters(const std::vector<std::string>& texts);

/// What gnuplot's tikz terminal wrote as a picture that `\input` takes: without the date, and with
/// the terminal's commands defined in a group of its own, so that the paper needs tikz and its
/// library plotmarks alone and nothing of gnuplot's.
std::string finish_tex_figure(const std::string& picture);

}  // namespace rankfold
