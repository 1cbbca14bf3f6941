#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/safetensors.h"

namespace rankfold {

/// The longest header that is read or written, in bytes: the reference implementation's limit.
inline constexpr std::size_t safetensors_header_limit = 100'000'000;

struct SafetensorsHeader {
  /// Sorted by name.
  std::vector<TensorEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Shape x size of the type in bytes; nothing where it does not fit into std::size_t.
std::optional<std::size_t> tensor_size(const std::vector<std::size_t>& shape, DataType type);

/// Reads and checks the JSON `text` of the header of `file`, whose data has `data_size` bytes; what
/// is checked is listed at SafetensorsFile. Throws Error naming the file and the tensor.
SafetensorsHeader parse_safetensors_header(const std::filesystem::path& file, std::string_view text,
                                           std::size_t data_size);

}  // namespace rankfold
