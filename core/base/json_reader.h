#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace rankfold {

/// What a document may ask of the reader: bytes, levels of arrays and objects, and values, each of
/// which takes some 50 bytes of memory.
struct JsonLimits {
  std::size_t bytes = std::size_t{1} << 24;
  std::size_t depth = 64;
  std::size_t values = 1'000'000;
};

/// The document of a file, or of a text that `name` stands for in messages: the one way in which
/// JSON enters the program. Json is nlohmann::json, or nlohmann::ordered_json where the order of
/// keys counts (whose objects are searched one by one: meant for small files, at most 20,000
/// values whatever the limits say). A key that appears twice has its last value, as in Python.
///
/// Throws Error naming the file and the byte: no such file, too large, nested too deep, too many
/// values, no JSON, a number beyond a double's range.
template <class Json = nlohmann::json>
Json read_json(const std::filesystem::path& file, const JsonLimits& limits = {});
template <class Json = nlohmann::json>
Json parse_json(std::string_view text, const std::filesystem::path& name,
                const JsonLimits& limits = {});

}  // namespace rankfold
