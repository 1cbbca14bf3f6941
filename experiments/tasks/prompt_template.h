#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// One row of a task's data as named texts.
struct PromptRow {
  std::string place;  ///< FILE:LINE, or FILE and key, for messages
  std::size_t line = 0;
  std::map<std::string, std::string> fields;
  std::vector<std::string> candidates;  ///< what a row of its own options may choose among
  std::vector<std::string> answers;     ///< all that are right of those, or as a text, best first
};

/// A text with the names of fields in braces, "{premise}\nIs it true that {hypothesis}?", which are
/// replaced by a row's texts. "{{" and "}}" are braces. A field may pass a filter, "{word|lower}":
///
///   strip         without blanks at its ends
///   lower         ASCII letters in lower case
///   question      its first letter in upper case, and a question mark at its end
///   clause        without blanks and a full stop at its end
///   continuation  its first letter in lower case, unless its first word is I
///   conjunction   "so" for effect, "because" for cause; anything else is an error
///   highlights    each "@highlight" and line end as "- " (ReCoRD's passages)
///   placed        each "@placeholder" as the row's field "candidate" (ReCoRD's queries); without
///                 one it is an error
class PromptTemplate {
 public:
  /// Throws UsageError naming `what`: an open or empty brace, an unknown filter.
  PromptTemplate(std::string_view text, std::string_view what);

  /// Throws Error naming the row's place and the field: one that it has not, or without text. Tells
  /// at which byte the last field begins.
  std::string fill(const PromptRow& row, std::size_t* last_field = nullptr) const;
  /// The fields in order, with repetitions.
  std::vector<std::string> fields() const;

 private:
  using Filter = std::string (*)(const PromptRow& row, std::string text);
  struct Part {
    std::string text, field;  ///< the text, and the field behind it; none where that is empty
    Filter filter = nullptr;
  };
  static Filter find_filter(const std::string& name, std::string_view what);

  std::vector<Part> parts_;
};

}  // namespace rankfold
