#pragma once

#include <cstddef>

namespace rankfold {

/// What OpenBLAS takes of the address space for each thread. Where a limit (`ulimit -v`) does not
/// let it, it asks again for ever.
inline constexpr std::size_t bytes_of_a_thread = std::size_t{136} << 20;

/// Whether that many bytes more can be mapped. Calls the system alone, so that it may run before
/// any library has started.
bool has_address_space(std::size_t bytes);

}  // namespace rankfold
