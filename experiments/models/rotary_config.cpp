#include "experiments/models/rotary_config.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/foreign_keys.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

using Scaling = RotarySettings::Scaling;

constexpr double largest_theta = 1e12, largest_factor = 1e6;

/// The object of one key as a file of its own, so that messages name both; nothing where it is
/// missing, null or empty.
std::optional<ConfigFile> find_object(const ConfigFile& config, const char* key) {
  if (!config.has(key) || config.values().at(key).empty()) return {};
  return ConfigFile(printable(config.path().string()) + ": " + key, config.values().at(key).dump());
}

Scaling parse_scaling(const ConfigFile& rope) {
  const std::string name = rope.text("rope_type", rope.text("type", "default"));
  static constexpr std::array<std::pair<std::string_view, Scaling>, 5> known = {
      {{"default", Scaling::none},
       {"linear", Scaling::linear},
       {"dynamic", Scaling::dynamic},
       {"llama3", Scaling::llama3},
       {"yarn", Scaling::yarn}}};
  for (const auto& [type, scaling] : known)
    if (name == type) return scaling;
  throw Error("{}: rope_type is '{}', expected default, linear, dynamic, llama3 or yarn",
              rope.path().string(), printable(name, 80));
}

void expect_known_rope(const ConfigFile& rope) {
  static const std::vector<ForeignKey> keys =
      keys_of(ForeignKey::Meaning::read,
              {"rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings",
               "low_freq_factor", "high_freq_factor", "attention_factor", "beta_fast", "beta_slow",
               "mscale", "mscale_all_dim", "truncate", "partial_rotary_factor"});
  expect_known_keys(rope.values(), rope.path(), "", {keys});
}

void expect_whole_heads(const ConfigFile& config) {
  const double part = config.number("partial_rotary_factor", 0.0, 1.0, 1.0);
  if (part != 1)
    throw Error("{}: partial_rotary_factor is {}, expected 1: whole heads are turned",
                config.path().string(), part);
}

double magnitude(double factor, double weight) {
  return factor > 1 ? 0.1 * weight * std::log(factor) + 1 : 1;
}

void read_yarn(const ConfigFile& rope, std::size_t positions, RotarySettings& settings) {
  const double ratio =
      static_cast<double>(positions) / static_cast<double>(settings.trained_positions);
  settings.factor = rope.number("factor", 1.0, largest_factor, ratio);
  const auto turns = [&](const char* key, double fallback) {
    const double value = rope.number(key, 0.0, largest_factor, fallback);
    return value > 0 ? value : fallback;
  };
  settings.fast_turns = turns("beta_fast", 32);
  settings.slow_turns = turns("beta_slow", 1);
  settings.whole_pairs = rope.flag("truncate", true);
  const double weight = rope.number("mscale", 0.0, largest_factor, 0),
               of_all = rope.number("mscale_all_dim", 0.0, largest_factor, 0);
  const double found = weight > 0 && of_all > 0
                           ? magnitude(settings.factor, weight) / magnitude(settings.factor, of_all)
                           : magnitude(settings.factor, 1);
  settings.magnitude = rope.number("attention_factor", 0.0, largest_factor, found);
}

}  // namespace

RotarySettings read_rotary(const std::optional<ConfigFile>& config, std::size_t head_dim,
                           std::size_t positions) {
  RotarySettings settings;
  settings.head_dim = head_dim;
  settings.trained_positions = positions;
  if (!config) return settings;
  settings.theta = config->number("rope_theta", 1.0, largest_theta, settings.theta);
  expect_whole_heads(*config);
  std::optional<ConfigFile> rope = find_object(*config, "rope_scaling");
  if (!rope) rope = find_object(*config, "rope_parameters");
  if (!rope) return settings;
  expect_known_rope(*rope);
  expect_whole_heads(*rope);
  settings.theta = rope->number("rope_theta", 1.0, largest_theta, settings.theta);
  settings.scaling = parse_scaling(*rope);
  if (settings.scaling == Scaling::none) return settings;
  if (settings.scaling != Scaling::dynamic)
    settings.trained_positions = rope->count("original_max_position_embeddings", positions);
  if (settings.scaling == Scaling::yarn) {
    read_yarn(*rope, positions, settings);
    return settings;
  }
  settings.factor = rope->number("factor", 1.0, largest_factor);
  if (settings.scaling == Scaling::dynamic && head_dim <= 2)
    throw Error("{}: rope_type is 'dynamic', expected another for a head_dim of {}",
                rope->path().string(), head_dim);
  if (settings.scaling != Scaling::llama3) return settings;
  settings.low_frequency = rope->number("low_freq_factor", 0.0, largest_factor);
  settings.high_frequency = rope->number("high_freq_factor", 0.0, largest_factor);
  if (settings.low_frequency >= settings.high_frequency)
    throw Error("{}: low_freq_factor is {}, expected less than high_freq_factor {}",
                rope->path().string(), settings.low_frequency, settings.high_frequency);
  return settings;
}

}  // namespace rankfold
