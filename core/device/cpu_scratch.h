#pragma once

#include <cstddef>

namespace rankfold::cpu {

/// Memory of the calling thread for `size` floats, 64-byte aligned, of unspecified value, kept for
/// its later calls: from the second call of a size on nothing is allocated. `slot`, below
/// scratch_slots, tells apart what is in use at one time.
float* thread_scratch(std::size_t slot, std::size_t size);
inline constexpr std::size_t scratch_slots = 8;

}  // namespace rankfold::cpu
