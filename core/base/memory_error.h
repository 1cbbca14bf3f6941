#pragma once

#include <cstddef>
#include <new>
#include <string_view>

#include "core/base/error.h"

namespace rankfold {

/// Memory that the system does not give. It does not say what for: with_memory_for does.
class MemoryError : public Error {
 public:
  explicit MemoryError(std::size_t bytes)
      : Error("the memory does not suffice: {} bytes were asked for", bytes) {}
};

/// What work() returns. Where it wants memory that is not there, Error says for what, a file or a
/// step, and how much: of a MemoryError what it says, else `bytes`, 0 where they are not known.
template <class Work>
auto with_memory_for(std::string_view what, std::size_t bytes, const Work& work) {
  try {
    return work();
  } catch (const MemoryError& error) {
    throw Error("{}: {}", what, error.what());
  } catch (const std::bad_alloc&) {
    if (bytes > 0) throw Error("{}: {}", what, MemoryError(bytes).what());
    throw Error("{}: the memory does not suffice", what);
  }
}

}  // namespace rankfold
