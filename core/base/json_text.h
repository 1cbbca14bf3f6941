#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace rankfold {

/// A document as files and `--json` have it: indented by two, a line end behind it; bytes that are
/// no UTF-8 become U+FFFD.
std::string json_text(const nlohmann::ordered_json& document);

}  // namespace rankfold
