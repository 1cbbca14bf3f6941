#include "core/base/pattern.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/pcre.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr std::size_t longest_expression = 20'000;
// Steps of a search, and kibibytes that it may take.
constexpr std::uint32_t most_steps = 2'000'000, most_memory = 64 * 1024;

}  // namespace

struct Pattern::Compiled {
  PcreCode code;
};

Pattern::Pattern(std::string_view expression, std::string_view what)
    : expression_(expression), what_(what) {
  const auto refuse = [&](const std::string& why) {
    return Error("{} '{}' is no regular expression of Python: {}", what_,
                 printable(expression_, 200), why);
  };
  if (expression.size() > longest_expression)
    throw refuse(fmt::format("its {} bytes are more than the {} that are read", expression.size(),
                             longest_expression));
  std::string translated;
  try {
    translated = pcre_syntax(expression);
  } catch (const Error& error) {
    throw refuse(error.what());
  }
  int code = 0;
  Compiled compiled;
  compiled.code = compile_pcre(translated, code);
  if (!compiled.code) throw refuse(pcre_reason(code));
  compiled_ = std::make_unique<const Compiled>(std::move(compiled));
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&& other) noexcept = default;
Pattern& Pattern::operator=(Pattern&& other) noexcept = default;

/// The places of a match and of its groups.
struct Pattern::Found {
  PcreOwned<pcre2_match_data, pcre2_match_data_free> data;
};

std::optional<Pattern::Found> Pattern::run(std::string_view text, unsigned options) const {
  Found found{PcreOwned<pcre2_match_data, pcre2_match_data_free>(
      pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr))};
  const PcreOwned<pcre2_match_context, pcre2_match_context_free> context(
      pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(context.get(), most_steps);
  pcre2_set_heap_limit(context.get(), most_memory);
  const int result = pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                 text.size(), 0, options, found.data.get(), context.get());
  if (result >= 0) return found;
  if (result == PCRE2_ERROR_NOMATCH) return {};
  throw Error("{} '{}' cannot be looked for in '{}': {}", what_, printable(expression_, 200),
              printable(text, 200), pcre_reason(result));
}

bool Pattern::found_in(std::string_view text) const {
  return run(text, 0).has_value();
}

bool Pattern::begins(std::string_view text) const {
  return run(text, PCRE2_ANCHORED).has_value();
}

bool Pattern::matches(std::string_view text) const {
  return run(text, PCRE2_ANCHORED | PCRE2_ENDANCHORED).has_value();
}

std::optional<std::string> Pattern::group_of_beginning(std::string_view text,
                                                       const std::string& group) const {
  const std::optional<Found> found = run(text, PCRE2_ANCHORED);
  if (!found) return {};
  const int number = pcre2_substring_number_from_name(compiled_->code.get(),
                                                      reinterpret_cast<PCRE2_SPTR>(group.c_str()));
  if (number < 0)
    throw Error("{} '{}' has no group '{}'", what_, printable(expression_, 200), group);
  const std::size_t* places =
      pcre2_get_ovector_pointer(found->data.get()) + 2 * static_cast<std::size_t>(number);
  if (places[0] == PCRE2_UNSET) return {};
  return std::string(text.substr(places[0], places[1] - places[0]));
}

}  // namespace rankfold
