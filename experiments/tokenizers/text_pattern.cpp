#include "experiments/tokenizers/text_pattern.h"

#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/pcre.h"
#include "core/base/text.h"
#include "experiments/tokenizers/token_part.h"

namespace rankfold {
namespace {

constexpr std::size_t longest_regex = 20'000;
// Steps of one match, and kibibytes that it may take.
constexpr std::uint32_t most_match_steps = 20'000'000, most_match_memory = 256 * 1024;

}  // namespace

struct TextPattern::Compiled {
  PcreCode code;
  bool is_native = false;  // translated to machine code
};

TextPattern::TextPattern(TextPattern&& other) noexcept = default;
TextPattern& TextPattern::operator=(TextPattern&& other) noexcept = default;
TextPattern::~TextPattern() = default;

TextPattern TextPattern::literal(std::string text) {
  if (text.empty()) throw std::logic_error("TextPattern: nothing to seek");
  TextPattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

TextPattern TextPattern::regex(const std::string& expression) {
  if (expression.size() > longest_regex)
    throw Error("its {} bytes are more than the {} that are read", expression.size(),
                longest_regex);
  const std::string translated = translate_oniguruma(expression);
  int code = 0;
  Compiled compiled;
  compiled.code = compile_pcre(translated, code);
  if (!compiled.code) throw Error("{}", pcre_reason(code));
  compiled.is_native = pcre2_jit_compile(compiled.code.get(), PCRE2_JIT_COMPLETE) == 0;
  TextPattern pattern;
  pattern.expression_ = expression;
  pattern.compiled_ = std::make_unique<const Compiled>(std::move(compiled));
  return pattern;
}

struct TextPattern::Search::State {
  PcreOwned<pcre2_match_data, pcre2_match_data_free> data;
  PcreOwned<pcre2_match_context, pcre2_match_context_free> context;
};

TextPattern::Search::Search(const TextPattern& pattern) : pattern_(&pattern) {
  if (!pattern.compiled_) return;
  state_ = std::make_unique<State>();
  state_->data.reset(pcre2_match_data_create(1, nullptr));
  state_->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(state_->context.get(), most_match_steps);
  pcre2_set_heap_limit(state_->context.get(), most_match_memory);
}

TextPattern::Search::~Search() = default;

void TextPattern::Search::start(std::string_view text) {
  text_ = text;
  from_ = text.empty() ? 1 : 0;
  last_end_.reset();
}

std::optional<TextPattern::Match> TextPattern::Search::find_from(std::size_t begin) {
  if (!state_) {
    const std::size_t found = text_.find(pattern_->literal_, begin);
    if (found == text_.npos) return std::nullopt;
    return Match{found, found + pattern_->literal_.size()};
  }
  const Compiled& compiled = *pattern_->compiled_;
  const auto* text = reinterpret_cast<PCRE2_SPTR>(text_.data());
  pcre2_match_data* const data = state_->data.get();
  pcre2_match_context* const context = state_->context.get();
  int result = PCRE2_ERROR_JIT_STACKLIMIT;
  if (compiled.is_native)
    result = pcre2_jit_match(compiled.code.get(), text, text_.size(), begin, PCRE2_NO_UTF_CHECK,
                             data, context);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT)
    result = pcre2_match(compiled.code.get(), text, text_.size(), begin,
                         PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context);
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (result < 0)
    throw Error("the tokenizer's expression '{}' cannot be looked for in '{}': {}",
                printable(pattern_->expression_, 200), printable(text_, 80), pcre_reason(result));
  const std::size_t* places = pcre2_get_ovector_pointer(data);
  return Match{places[0], places[1]};
}

std::optional<TextPattern::Match> TextPattern::Search::next() {
  while (from_ <= text_.size()) {
    const std::optional<Match> match = find_from(from_);
    if (!match) break;
    if (match->end > match->begin || last_end_ != match->end) {
      from_ = match->end;
      last_end_ = match->end;
      return match;
    }
    do ++from_;
    while (from_ < text_.size() && (text_[from_] & '\xC0') == '\x80');
  }
  from_ = text_.size() + 1;
  return std::nullopt;
}

TextPattern read_pattern(const JsonField& field) {
  expect_part_keys(field, {"String", "Regex"});
  if (const auto text = field.optional_member("String")) {
    if (text->string().empty()) text->refuse("''", "a text to seek");
    return TextPattern::literal(text->string());
  }
  const JsonField expression = field.member("Regex", "'String' or 'Regex'");
  try {
    return TextPattern::regex(expression.string());
  } catch (const Error& error) {
    expression.refuse(fmt::format("'{}'", printable(expression.string(), 200)),
                      fmt::format("a regular expression that is read here: {}", error.what()));
  }
}

}  // namespace rankfold
