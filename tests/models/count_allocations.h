#pragma once

#include <cstddef>

namespace rankfold {

/// How often this program asked for memory by operator new, in all its forms.
std::size_t allocation_count();

}  // namespace rankfold
