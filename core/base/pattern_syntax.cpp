#include <array>
#include <cstdint>
#include <optional>

#include "core/base/error.h"
#include "core/base/pattern.h"
#include "core/base/syntax_walk.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

bool is_octal(char letter) {
  return letter >= '0' && letter <= '7';
}

/// Of a Python expression.
class Translation : SyntaxWalk {
 public:
  explicit Translation(std::string_view python) : SyntaxWalk(python) {}

  std::string run() {
    while (!at_end()) {
      const char letter = text_[at_];
      if (letter == '\\') {
        escape(false);
      } else if (letter == '[') {
        character_class();
      } else if (letter == '(') {
        group();
      } else if (letter == '{') {
        brace();
      } else {
        copy();
      }
    }
    return std::move(out_);
  }

 private:
  void code_point(std::uint32_t code) {
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
      throw Error("a code point beyond Unicode's");
    out_ += fmt::format("\\x{{{:x}}}", code);
  }

  /// `digits` hexadecimal digits behind the two characters of the escape.
  void hexadecimal(std::size_t digits) {
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char letter = peek(2 + i);
      if (!is_hex_digit(letter)) throw Error("incomplete escape \\{}", peek(1));
      code = code * 16 + static_cast<std::uint32_t>(
                             is_decimal_digit(letter) ? letter - '0' : (letter | 32) - 'a' + 10);
    }
    code_point(code);
    at_ += 2 + digits;
  }

  void octal() {
    std::uint32_t code = 0;
    std::size_t digits = 0;
    while (digits < 3 && is_octal(peek(1 + digits)))
      code = code * 8 + static_cast<std::uint32_t>(peek(1 + digits++) - '0');
    if (code > 0377) throw Error("an octal escape above \\377");
    code_point(code);
    at_ += 1 + digits;
  }

  /// Python reads \0, \012 and, inside a class, every number as octal; \1 to \99 are groups.
  void number(bool in_class) {
    const bool three = is_octal(peek(1)) && is_octal(peek(2)) && is_octal(peek(3));
    if (peek(1) == '0' || three || (in_class && is_octal(peek(1)))) return octal();
    if (in_class) throw Error("bad escape \\{}", peek(1));
    std::size_t digits = 1;
    if (is_decimal_digit(peek(2))) digits = 2;
    out_ += fmt::format("(?:\\g{{{}}})", text_.substr(at_ + 1, digits));
    at_ += 1 + digits;
  }

  void escape(bool in_class) {
    if (at_ + 1 >= text_.size()) throw Error("a backslash at the end");
    const char letter = peek(1);
    if (is_decimal_digit(letter)) return number(in_class);
    if (letter == 'x') return hexadecimal(2);
    if (letter == 'u') return hexadecimal(4);
    if (letter == 'U') return hexadecimal(8);
    if (letter == 'v') {
      code_point(0x0B);
    } else if (letter == 'Z' && !in_class) {
      out_ += "\\z";
    } else if (is_ascii_letter(letter)) {
      constexpr std::string_view anywhere = "afnrtbdDsSwW", outside = "AB";
      const bool known = anywhere.find(letter) != anywhere.npos ||
                         (!in_class && outside.find(letter) != outside.npos);
      if (!known) throw Error("bad escape \\{}", peek(1));
      out_ += '\\';
      out_ += letter;
    } else if (static_cast<unsigned char>(letter) < 0x80) {
      out_ += '\\';
      out_ += letter;
    } else {
      out_ += letter;
    }
    at_ += 2;
  }

  /// A bracket inside a class is itself: Python has no [:digit:].
  void character_class() {
    copy_class_opening();
    bool first = true;
    for (; !at_end() && (peek() != ']' || first); first = false) {
      if (peek() == '\\') {
        escape(true);
      } else {
        if (peek() == '[') out_ += '\\';
        copy();
      }
    }
    if (at_end()) throw Error("a class without its ]");
    copy();
  }

  void flags() {
    std::size_t end = at_ + 2;
    while (end < text_.size() && (is_ascii_letter(text_[end]) || text_[end] == '-')) ++end;
    if (end >= text_.size() || (text_[end] != ')' && text_[end] != ':'))
      throw Error("unknown extension ?{}", printable(text_.substr(at_ + 2, 1)));
    if (text_[end] == ')' && at_ != 0) throw Error("global flags not at the start");
    out_ += "(?";
    for (const char flag : text_.substr(at_ + 2, end - at_ - 2)) {
      if (flag == 'u') continue;
      if (std::string_view("imsx-").find(flag) == std::string_view::npos)
        throw Error("the flag '{}' is not read here", flag);
      out_ += flag;
    }
    out_ += text_[end];
    at_ = end + 1;
  }

  void group() {
    if (peek(1) == '*') throw Error("nothing to repeat");
    if (peek(1) != '?') return copy();
    static constexpr std::array<std::string_view, 9> same = {"(?:",  "(?=",  "(?!", "(?<=", "(?<!",
                                                             "(?P<", "(?P=", "(?>", "(?("};
    if (copy_one_of(same)) return;
    if (peek(2) == '#') {
      const std::size_t end = text_.find(')', at_);
      if (end == text_.npos) throw Error("a comment without its )");
      at_ = end + 1;
      return;
    }
    flags();
  }

  /// {,n} is {0,n} in Python; what is no repetition is itself.
  void brace() {
    const auto inside = repetition();
    if (!inside) return replace(1, "\\{");
    write_repetition(*inside);
  }
};

}  // namespace

std::string pcre_syntax(std::string_view python) {
  return Translation(python).run();
}

std::string escape_pattern(std::string_view text) {
  constexpr std::string_view special = "()[]{}?*+-|^$\\.&~# \t\n\r\v\f";
  std::string escaped;
  for (const char letter : text) {
    if (special.find(letter) != special.npos) escaped += '\\';
    escaped += letter;
  }
  return escaped;
}

}  // namespace rankfold
