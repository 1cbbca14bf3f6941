#pragma once

#include <cstddef>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "core/network/start.h"

// What a shared library defines to add methods to the program that loads it (`--plugin FILE`):
//
//   extern "C" int rankfold_plugin_version() { return rankfold::plugin_version(); }
//   extern "C" void rankfold_register(rankfold::Registry& registry) { registry.add(mine()); }
//
// Library and program share C++ objects: both come from one version of rankfold and one compiler.

namespace rankfold {

/// Raised by every change of an installed header that a library compiled before does not survive.
inline constexpr int plugin_interface = 7;

/// Tells libraries compiled with other headers or another layout apart: the interface in millions,
/// and a checksum over the sizes of the shared structs below. Computed where it is compiled, so
/// that a library answers for itself.
consteval int plugin_version() {
  int layout = 0;
  for (const std::size_t size :
       {sizeof(std::string), sizeof(Site), sizeof(Stack), sizeof(Mode), sizeof(Factor),
        sizeof(Block), sizeof(Term), sizeof(Network), sizeof(Stage), sizeof(Normalisation),
        sizeof(Declaration), sizeof(Start), sizeof(MethodOption), sizeof(Preset),
        sizeof(MethodSettings), sizeof(MethodRequest), sizeof(Method), sizeof(Wrapper),
        sizeof(Registry)})
    layout = (layout * 31 + static_cast<int>(size)) % 1'000'000;
  return plugin_interface * 1'000'000 + layout;
}

}  // namespace rankfold

/// Defined by the library: rankfold::plugin_version().
extern "C" int rankfold_plugin_version();
/// Defined by the library: adds its methods and wrappers. It may read those that are there.
extern "C" void rankfold_register(rankfold::Registry& registry);
