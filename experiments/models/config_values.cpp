#include "experiments/models/config_values.h"

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

double read_dropout(const std::optional<ConfigFile>& config, double replaced, const char* key,
                    double fallback) {
  if (replaced >= 0) return replaced;
  return config ? config->number(key, 0.0, 0.999, fallback) : fallback;
}

float read_epsilon(const std::optional<ConfigFile>& config, const char* key, float fallback) {
  return config ? static_cast<float>(config->number(key, 0.0, 1.0, fallback)) : fallback;
}

HiddenActivation read_activation(const std::optional<ConfigFile>& config, const char* key,
                                 HiddenActivation fallback) {
  if (!config || !config->has(key)) return fallback;
  return parse_activation(config->text(key), printable(config->path().string()), key);
}

std::int32_t read_padding(const std::optional<ConfigFile>& config, std::int32_t fallback) {
  if (!config || !config->values().contains("pad_token_id")) return fallback;
  return static_cast<std::int32_t>(config->integer("pad_token_id", -1, INT32_MAX, -1));
}

std::size_t read_label_count(const ConfigFile& config) {
  constexpr std::size_t most = 1'000'000, otherwise = 2;
  const auto names = config.values().find("id2label");
  if (names == config.values().end() || names->is_null())
    return static_cast<std::size_t>(
        config.integer("num_labels", 1, most, static_cast<std::int64_t>(otherwise)));
  if (!names->is_object() || names->empty())
    throw Error("{}: id2label is {}, expected an object with a name for each label",
                printable(config.path().string()), printable(names->dump(), 80));
  return names->size();
}

}  // namespace rankfold
