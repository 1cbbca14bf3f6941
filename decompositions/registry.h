#pragma once

#include "core/method.h"

namespace rankfold {

/// The built-in methods.
Registry builtin_registry();

// One function a file of this folder; registry.cpp is the table.
Method full();
Method lora();
Method loretta_adp();
Method loretta_rep();
Method lorta();
Method lotr();
Method none();

}  // namespace rankfold
