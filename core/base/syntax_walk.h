#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rankfold {

inline bool is_decimal_digit(char byte) {
  return byte >= '0' && byte <= '9';
}
inline bool is_hex_digit(char byte) {
  return is_decimal_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}
inline bool is_ascii_letter(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/// What translations of regular expressions into PCRE2's syntax share: one walk through the text,
/// which writes as it goes.
class SyntaxWalk {
 protected:
  explicit SyntaxWalk(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ >= text_.size(); }
  /// '\0' behind the end.
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  /// Writes `count` bytes as they are.
  void copy(std::size_t count = 1) {
    out_ += text_.substr(at_, count);
    at_ += count;
  }
  /// Writes what it goes past.
  void replace(std::size_t count, std::string_view written) {
    out_ += written;
    at_ += count;
  }
  /// Copies the first of the openings of a group that the rest begins with; false where none does.
  bool copy_one_of(std::span<const std::string_view> openings) {
    for (const std::string_view opening : openings) {
      if (!text_.substr(at_).starts_with(opening)) continue;
      copy(opening.size());
      return true;
    }
    return false;
  }
  /// Copies the [ or [^ of a class.
  void copy_class_opening() { copy(peek(1) == '^' ? 2 : 1); }
  /// What stands in the braces ahead where it is a repetition: digits, a comma, digits.
  std::optional<std::string_view> repetition() const {
    const std::size_t end = text_.find('}', at_);
    if (end == text_.npos) return {};
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    const std::size_t comma = inside.find(',');
    const bool repeats = !inside.empty() &&
                         inside.find_first_not_of("0123456789,") == inside.npos &&
                         (comma == inside.npos || inside.find(',', comma + 1) == inside.npos);
    return repeats ? std::optional(inside) : std::nullopt;
  }
  /// Writes it; {,n} is {0,n} in PCRE2.
  void write_repetition(std::string_view inside) {
    out_ += '{';
    if (inside.starts_with(',')) out_ += '0';
    out_ += inside;
    out_ += '}';
    at_ += inside.size() + 2;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace rankfold
