#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace rankfold {

/// A regular expression as Python's `re` reads it for str (\d, \w, \b by Unicode, \Z the very end,
/// {,n}, (?P<name>...), (?:...), lookarounds), run by PCRE2. What Python refuses and PCRE2 would
/// read otherwise (\z, \R, [[:digit:]] as a class, (*VERB), recursion, ...) is an error or means
/// what Python means.
class Pattern {
 public:
  /// Throws Error: "<what> '<expression>' is no regular expression of Python: <why>".
  explicit Pattern(std::string_view expression, std::string_view what = "the pattern");
  ~Pattern();
  Pattern(Pattern&& other) noexcept;
  Pattern& operator=(Pattern&& other) noexcept;

  /// re.search, re.match and re.fullmatch: somewhere in the text, at its beginning, all of it.
  /// Throw Error for text that is no UTF-8 and where the search would take longer than the limit on
  /// backtracking allows. Several threads may ask at once.
  bool found_in(std::string_view text) const;
  bool begins(std::string_view text) const;
  bool matches(std::string_view text) const;
  /// re.match, and what its group of that name took: nothing where the text does not begin so, or
  /// the group took no part. Throws Error as the others do, and where there is no such group.
  std::optional<std::string> group_of_beginning(std::string_view text,
                                                const std::string& group) const;

  const std::string& expression() const { return expression_; }

 private:
  struct Compiled;
  struct Found;
  std::optional<Found> run(std::string_view text, unsigned options) const;
  std::string expression_, what_;
  std::unique_ptr<const Compiled> compiled_;
};

/// Python's re.escape.
std::string escape_pattern(std::string_view text);

/// The same expression in PCRE2's syntax. Throws Error with the reason alone.
std::string pcre_syntax(std::string_view python);

}  // namespace rankfold
