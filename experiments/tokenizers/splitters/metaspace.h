#pragma once

#include <string>

#include "core/base/json_field.h"

namespace rankfold {

struct MetaspaceOptions {
  enum class Prepend { always, first, never };
  std::string replacement = "\u2581";  ///< one character
  /// Whether a piece gets one before it that does not begin so; first: at the text's beginning.
  Prepend prepend = Prepend::always;
  bool splits = true;  ///< before each replacement
};

/// The options of a splitter or a decoder. Throws Error naming file and key.
MetaspaceOptions read_metaspace(const JsonField& field);

}  // namespace rankfold
