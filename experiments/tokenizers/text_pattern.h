#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/json_field.h"

namespace rankfold {

/// What a tokenizer seeks in texts: a string, or a regular expression as Oniguruma reads it, which
/// huggingface/tokenizers uses, run by PCRE2. An expression that PCRE2 would read otherwise is
/// refused. May be shared by threads.
class TextPattern {
 public:
  struct Match {
    std::size_t begin, end;  ///< bytes
  };

  /// The string as it is, which must not be empty (std::logic_error).
  static TextPattern literal(std::string text);
  /// Throws Error with the reason.
  static TextPattern regex(const std::string& expression);

  TextPattern(TextPattern&& other) noexcept;
  TextPattern& operator=(TextPattern&& other) noexcept;
  ~TextPattern();

  /// Goes through the matches of texts, one text after the other, from left to right without
  /// overlap; an empty match directly behind another does not count. Of one thread.
  class Search {
   public:
    explicit Search(const TextPattern& pattern);
    ~Search();
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;

    /// Valid UTF-8, which must stay.
    void start(std::string_view text);
    /// Throws Error where a match would take more steps than are allowed.
    std::optional<Match> next();

   private:
    struct State;
    std::optional<Match> find_from(std::size_t begin);

    const TextPattern* pattern_;
    std::string_view text_;
    std::size_t from_ = 0;
    std::optional<std::size_t> last_end_;
    std::unique_ptr<State> state_;
  };

 private:
  struct Compiled;
  TextPattern() = default;

  std::string literal_, expression_;
  std::unique_ptr<const Compiled> compiled_;
};

/// {"String": text} or {"Regex": expression} of tokenizer.json. Throws Error naming file and key.
TextPattern read_pattern(const JsonField& field);

/// Oniguruma's expression in PCRE2's syntax, to be compiled with UTF, UCP and line feeds as the one
/// end of a line. Throws Error with the reason for what differs and is not translated.
std::string translate_oniguruma(std::string_view expression);

}  // namespace rankfold
