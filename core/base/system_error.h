#pragma once

#include <string>
#include <system_error>

namespace rankfold {

/// What the system says of an errno: "Permission denied".
inline std::string system_reason(int error) {
  return std::generic_category().message(error);
}

}  // namespace rankfold
