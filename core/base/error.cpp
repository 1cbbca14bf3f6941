#include "core/base/error.h"

#include <algorithm>
#include <numeric>

#include "core/base/text.h"

namespace rankfold {
namespace {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view given, std::span<const std::string> candidates) {
  const std::string* nearest = nullptr;
  std::size_t smallest = 0;
  for (const std::string& candidate : candidates) {
    const std::size_t shorter = std::min(given.size(), candidate.size());
    const std::size_t longer = std::max(given.size(), candidate.size());
    const std::size_t limit = std::max<std::size_t>(1, longer / 3);
    if (longer - shorter > limit) continue;
    const std::size_t distance = edit_distance(given, candidate);
    if (distance > limit || distance >= longer) continue;
    if (nearest == nullptr || distance < smallest) {
      nearest = &candidate;
      smallest = distance;
    }
  }
  return nearest == nullptr ? std::string() : *nearest;
}

UsageError unknown_name(std::string_view kind, std::string_view given,
                        std::span<const std::string> candidates) {
  const std::string nearest = nearest_name(given, candidates);
  const std::string meant =
      nearest.empty() ? std::string() : fmt::format("; did you mean '{}'?", printable(nearest));
  const std::string known = candidates.empty()
                                ? std::string()
                                : fmt::format(" (known: {})", printable(join(candidates, ", ")));
  return UsageError("unknown {} '{}'{}{}", kind, printable(given, 200), meant, known);
}

}  // namespace rankfold
