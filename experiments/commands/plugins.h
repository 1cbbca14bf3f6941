#pragma once

#include <string>

#include "core/method.h"

namespace rankfold {

/// Loads a shared library and calls its `extern "C" void rankfold_register(rankfold::Registry&)`.
/// The library stays loaded. Throws Error naming the file: missing, not loadable, without that
/// function, or an exception from it.
void load_plugin(const std::string& file, Registry& registry);

}  // namespace rankfold
