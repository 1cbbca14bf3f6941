#pragma once

#include <cstddef>

namespace rankfold {

/// Whether the tests run under sanitizers, which look at the code: numbers that take many
/// repetitions are looked at without them.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// Of many like cases, those that are run: all, under sanitizers every fifth.
inline bool chosen(std::size_t index) {
  return !sanitized || index % 5 == 0;
}

}  // namespace rankfold
