#include "core/base/canonical_number.h"

#include <charconv>

namespace rankfold {

std::string canonical_number(double value) {
  if (value == 0) return "0";
  char buffer[64];
  const auto shortest =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string text(buffer, shortest.ptr);
  const std::size_t mark = text.find('e');
  const int exponent = std::stoi(text.substr(mark + 1));
  const std::string scientific = text.substr(0, mark) + "e" + std::to_string(exponent);
  if (exponent >= 15 || exponent < -30) return scientific;
  char plain_buffer[64];
  const auto plain_end = std::to_chars(plain_buffer, plain_buffer + sizeof plain_buffer, value,
                                       std::chars_format::fixed);
  const std::string plain(plain_buffer, plain_end.ptr);
  return exponent >= 0 || plain.size() <= scientific.size() ? plain : scientific;
}

}  // namespace rankfold
