#include "core/plugin.h"
#include "docs/examples/gated_pair.cpp"

extern "C" int rankfold_plugin_version() {
  return rankfold::plugin_version();
}

extern "C" void rankfold_register(rankfold::Registry& registry) {
  registry.add(rankfold::gated_pair());
}
