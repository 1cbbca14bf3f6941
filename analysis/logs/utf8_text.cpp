#include "analysis/logs/utf8_text.h"

#include <fmt/core.h>

#include "core/base/text.h"

namespace rankfold {

std::string utf8_text(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length > 0)
      valid += text.substr(0, length);
    else
      valid += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
    text.remove_prefix(length > 0 ? length : 1);
  }
  return valid;
}

}  // namespace rankfold
