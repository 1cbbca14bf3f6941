#pragma once

// The errors, under the name by which libraries of methods that were written before knew them.
#include "core/base/error.h"
