#pragma once

#include <string>
#include <string_view>

namespace rankfold {

/// The text with each byte that is no part of UTF-8 written \xNN.
std::string utf8_text(std::string_view text);

}  // namespace rankfold
