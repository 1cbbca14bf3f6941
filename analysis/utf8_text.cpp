#include "analysis/utf8_text.h"

#include <fmt/format.h>

namespace rankfold {

std::string utf8_text(std::string_view text) {
  std::string valid;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
    };
    const unsigned lead = byte(i);
    const std::size_t size = lead < 0x80                   ? 1
                             : lead >= 0xc2 && lead < 0xe0 ? 2
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xf0 && lead < 0xf5 ? 4
                                                           : 0;
    bool whole = size > 0;
    for (std::size_t k = 1; k < size; ++k) whole = whole && (byte(i + k) & 0xc0) == 0x80;
    // Neither longer than needed, nor a surrogate, nor above U+10FFFF.
    if (size == 3)
      whole =
          whole && (lead != 0xe0 || byte(i + 1) >= 0xa0) && (lead != 0xed || byte(i + 1) < 0xa0);
    if (size == 4)
      whole =
          whole && (lead != 0xf0 || byte(i + 1) >= 0x90) && (lead != 0xf4 || byte(i + 1) < 0x90);
    if (whole)
      valid.append(text.substr(i, size));
    else
      valid += fmt::format("\\x{:02x}", lead);
    i += whole ? size : 1;
  }
  return valid;
}

}  // namespace rankfold
