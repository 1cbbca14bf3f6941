#pragma once

#include <string>

#include "core/adapter/registry.h"

namespace rankfold {

/// Loads a shared library and adds the methods and wrappers that its `rankfold_register` registers
/// (core/plugin.h says what the library defines). It stays loaded. Whatever a function of such a
/// method throws, other than Error, becomes an Error that names file and method.
///
/// Throws Error naming the file, and adds nothing: no file, no whole shared library, one of the two
/// functions missing, another plugin_version, anything thrown while registering (a name that is
/// taken), nothing registered.
void load_plugin(const std::string& file, Registry& registry);

}  // namespace rankfold
