// A plug-in without rankfold_plugin_version.
#include "core/plugin.h"

extern "C" void rankfold_register(rankfold::Registry&) {}
