#pragma once

#include <string>

namespace rankfold {

/// A method that a benchmark of all methods leaves out, and why.
struct SkippedMethod {
  std::string method, reason;
};

}  // namespace rankfold
