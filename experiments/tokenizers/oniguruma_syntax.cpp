#include <array>
#include <string>

#include "core/base/error.h"
#include "core/base/syntax_walk.h"
#include "core/base/text.h"
#include "experiments/tokenizers/text_pattern.h"

namespace rankfold {
namespace {

// Inside of a class. PCRE2 counts U+180E as a space, and no marks and connectors but _ as \w.
constexpr std::string_view onig_space =
    "\\x09-\\x0D\\x20\\x85\\xA0\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"
    "\\x{3000}";
constexpr std::string_view onig_no_space =
    "\\x00-\\x08\\x0E-\\x1F\\x21-\\x84\\x86-\\x9F\\xA1-\\x{167F}\\x{1681}-\\x{1FFF}"
    "\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}"
    "\\x{3001}-\\x{10FFFF}";
constexpr std::string_view onig_class_word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
/// Outside of a class superscripts and fractions of Latin-1 are word characters too.
constexpr std::string_view onig_word =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xB2\\xB3\\xB9\\xBC-\\xBE";

bool is_letter_or_digit(char byte) {
  return is_decimal_digit(byte) || is_ascii_letter(byte);
}

class OnigurumaTranslation : SyntaxWalk {
 public:
  explicit OnigurumaTranslation(std::string_view expression) : SyntaxWalk(expression) {}

  std::string run() {
    while (!at_end()) {
      const char byte = text_[at_];
      if (byte == '\\') {
        escape();
      } else if (byte == '[') {
        character_class();
      } else if (byte == '(') {
        group();
      } else if (byte == '{') {
        interval();
      } else if (byte == '^' || byte == '$') {
        replace(1, byte == '^' ? "(?m:^)" : "(?m:$)");
      } else {
        copy();
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw Error("{} is not read here", printable(what));
  }

  /// \p{...} and \P{...}: categories of one or two letters, or a script.
  void property() {
    const std::size_t end = text_.find('}', at_);
    if (peek(2) != '{' || end == text_.npos) refuse("\\p without a name in braces");
    std::string_view name = text_.substr(at_ + 3, end - at_ - 3);
    bool negated = peek(1) == 'P';
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    if (name.empty()) refuse("a property without a name");
    for (const char byte : name)
      if (!is_letter_or_digit(byte) && byte != '_') refuse("the property " + std::string(name));
    // Of a script PCRE2 would take the extensions too.
    out_ += fmt::format("\\{}{{{}{}}}", negated ? 'P' : 'p', name.size() > 2 ? "sc:" : "", name);
    at_ = end + 1;
  }

  void code_point(std::string_view digits) {
    if (digits.empty() || digits.size() > 6) refuse("this code point");
    for (const char digit : digits)
      if (!is_hex_digit(digit)) refuse("this code point");
    out_ += fmt::format("\\x{{{}}}", digits);
  }

  void hexadecimal() {
    if (peek(1) == 'x' && peek(2) == '{') {
      const std::size_t end = text_.find('}', at_);
      if (end == text_.npos) refuse("a code point without its }");
      code_point(text_.substr(at_ + 3, end - at_ - 3));
      at_ = end + 1;
      return;
    }
    const std::size_t digits = peek(1) == 'x' ? 2 : 4;
    if (at_ + 2 + digits > text_.size()) refuse("an escape that is cut off");
    code_point(text_.substr(at_ + 2, digits));
    at_ += 2 + digits;
  }

  /// What means the same inside and outside of a class; false where the escape is another.
  bool common_escape() {
    const char letter = peek(1);
    if (at_ + 1 >= text_.size()) refuse("a backslash at the end");
    if (letter == 'p' || letter == 'P') {
      property();
    } else if (letter == 'x' || letter == 'u') {
      hexadecimal();
    } else if (!is_letter_or_digit(letter) ||
               std::string_view("aefnrt").find(letter) != std::string_view::npos) {
      copy(2);
    } else if (letter == 'v') {
      replace(2, "\\x0B");
    } else if (letter == 'd' || letter == 'D') {
      replace(2, letter == 'd' ? "\\p{Nd}" : "\\P{Nd}");
    } else {
      return false;
    }
    return true;
  }

  void escape() {
    if (common_escape()) return;
    const char letter = peek(1);
    const auto in_class = [&](std::string_view members) { out_ += fmt::format("[{}]", members); };
    switch (letter) {
      case 's':
        in_class(onig_space);
        break;
      case 'S':
        in_class(onig_no_space);
        break;
      case 'w':
        in_class(onig_word);
        break;
      case 'W':
        out_ += fmt::format("[^{}]", onig_word);
        break;
      case 'h':
        in_class("0-9a-fA-F");
        break;
      case 'H':
        in_class("^0-9a-fA-F");
        break;
      case 'b':
        out_ += fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", onig_word);
        break;
      case 'B':
        out_ += fmt::format("(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))", onig_word);
        break;
      case 'A':
      case 'z':
      case 'Z':
        out_ += '\\';
        out_ += letter;
        break;
      default:
        refuse(fmt::format("\\{}", letter));
    }
    at_ += 2;
  }

  void class_escape() {
    if (common_escape()) return;
    const char letter = peek(1);
    switch (letter) {
      case 's':
        out_ += onig_space;
        break;
      case 'S':
        out_ += onig_no_space;
        break;
      case 'w':
        out_ += onig_class_word;
        break;
      case 'h':
        out_ += "0-9a-fA-F";
        break;
      case 'b':
        out_ += "\\x08";
        break;
      default:
        refuse(fmt::format("\\{} in a class", letter));
    }
    at_ += 2;
    // What follows a set is no end of a range.
    if (peek() == '-') replace(1, "\\-");
  }

  void character_class() {
    copy_class_opening();
    for (bool first = true; !at_end() && (peek() != ']' || first); first = false) {
      if (peek() == '\\') {
        class_escape();
      } else if (peek() == '[') {
        refuse("a class in a class");
      } else if (peek() == '&' && peek(1) == '&') {
        refuse("an intersection of classes");
      } else {
        copy();
      }
    }
    if (at_end()) refuse("a class without its ]");
    copy();
  }

  /// (?i) and (?i:...); what Oniguruma calls m is s in PCRE2.
  void flags() {
    const std::size_t begin = at_;
    std::size_t end = at_ + 2;
    std::string written = "(?";
    for (; end < text_.size() && text_[end] != ')' && text_[end] != ':'; ++end) {
      if (std::string_view("im-").find(text_[end]) == std::string_view::npos)
        refuse(fmt::format("(?{}", text_.substr(at_ + 2, end - at_ - 1)));
      written += text_[end] == 'm' ? 's' : text_[end];
    }
    if (end >= text_.size()) refuse("a group without its )");
    if (text_[end] == ')' && begin != 0) refuse("a change of options inside of the expression");
    out_ += written + text_[end];
    at_ = end + 1;
  }

  void group() {
    static constexpr std::array<std::string_view, 6> same = {"(?:",  "(?=",  "(?!",
                                                             "(?<=", "(?<!", "(?>"};
    if (peek(1) == '*') refuse("(*");
    if (peek(1) != '?') return copy();
    if (!copy_one_of(same)) flags();
  }

  /// {n}, {n,}, {n,m} and {,m}; what is none of them is itself.
  void interval() {
    const auto inside = repetition();
    if (!inside || *inside == ",") return replace(1, "\\{");
    write_repetition(*inside);
    // Oniguruma repeats the whole, PCRE2 would not give back or be reluctant.
    if (peek() == '+') refuse("+ behind an interval");
    if (peek() == '?' && inside->find(',') == inside->npos) refuse("? behind {n}");
  }
};

}  // namespace

std::string translate_oniguruma(std::string_view expression) {
  return OnigurumaTranslation(expression).run();
}

}  // namespace rankfold
