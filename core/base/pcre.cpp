#include "core/base/pcre.h"

#include <array>
#include <cstddef>

namespace rankfold {

std::string pcre_reason(int code) {
  std::array<PCRE2_UCHAR, 200> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

PcreCode compile_pcre(std::string_view expression, int& code) {
  const PcreOwned<pcre2_compile_context, pcre2_compile_context_free> context(
      pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  std::size_t offset = 0;
  return PcreCode(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset,
                                context.get()));
}

}  // namespace rankfold
