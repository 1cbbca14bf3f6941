// A plug-in without rankfold_register.
#include "core/plugin.h"

extern "C" int rankfold_plugin_version() {
  return rankfold::plugin_version();
}
