#include "core/adapter/rank.h"

#include <algorithm>
#include <cmath>

#include "core/base/text.h"

namespace rankfold {

std::optional<Rank> Rank::parse(std::string_view text) {
  Rank rank;
  if (text.empty()) return rank;
  for (const std::string& part : split(text, 'x')) {
    const bool digits = std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    const auto size = digits ? parse_number<unsigned long long>(part) : std::nullopt;
    if (!size) return std::nullopt;
    rank.sizes_.push_back(*size);
  }
  return rank;
}

std::string Rank::text() const {
  std::vector<std::string> parts;
  for (const std::size_t size : sizes_) parts.push_back(std::to_string(size));
  return join(parts, "x");
}

std::optional<double> Rank::position() const {
  if (sizes_.empty()) return std::nullopt;
  double logarithm = 0;
  for (const std::size_t size : sizes_) {
    if (size == 0) return std::nullopt;
    logarithm += std::log(static_cast<double>(size));
  }
  return std::round(std::exp(logarithm / static_cast<double>(sizes_.size())) * 1e9) / 1e9;
}

}  // namespace rankfold
