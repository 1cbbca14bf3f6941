#include <utility>

#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/text_pattern.h"

namespace rankfold {
namespace {

class Replace : public Normalizer {
 public:
  Replace(TextPattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void normalize(NormalizedText& text) const override {
    std::string out;
    std::size_t kept_from = 0;
    TextPattern::Search search(pattern_);
    search.start(text.text);
    while (const auto match = search.next()) {
      if (match->begin == 0 && match->end > 0 &&
          (content_.empty() || match->end > first_length(text.text)))
        text.is_beginning = false;
      out.append(text.text, kept_from, match->begin - kept_from);
      out += content_;
      check_text_length(out.size());
      kept_from = match->end;
    }
    if (kept_from == 0 && out.empty()) return;
    out.append(text.text, kept_from);
    check_text_length(out.size());
    text.text = std::move(out);
  }

 private:
  static std::size_t first_length(const std::string& text) {
    std::size_t end = 1;
    while (end < text.size() && (text[end] & '\xC0') == '\x80') ++end;
    return end;
  }

  TextPattern pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<const Normalizer> read_replace(const JsonField& field) {
  expect_part_keys(field, {"pattern", "content"});
  return std::make_unique<Replace>(read_pattern(field.member("pattern")),
                                   field.member("content").string());
}

}  // namespace rankfold
