#pragma once

#include <string>
#include <utility>

#include <arrow/result.h>
#include <arrow/status.h>

#include "core/base/error.h"

namespace rankfold {

/// Throws Error with Arrow's message where something failed.
inline void check(const arrow::Status& status) {
  if (!status.ok()) throw Error("{}", status.message());
}
template <class Value>
Value take(arrow::Result<Value> result) {
  check(result.status());
  return std::move(result).ValueUnsafe();
}

}  // namespace rankfold
