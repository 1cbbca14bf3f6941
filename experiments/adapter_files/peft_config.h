#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json_field.h"
#include "core/base/pattern.h"
#include "experiments/models/host.h"

namespace rankfold {

/// adapter_config.json of huggingface/peft by its keys. Every accessor throws Error naming file,
/// key, what was found and what was expected. What each key means for a type: peft_form.h.
class PeftConfig {
 public:
  explicit PeftConfig(const std::filesystem::path& folder);

  const std::filesystem::path& file() const { return document_.file(); }
  OrderedJsonField document() const { return document_.root(); }
  std::string type() const;

  /// Nothing where it is missing or null.
  std::optional<OrderedJsonField> find(const char* key) const;
  bool flag(const char* key) const;  ///< false where it is missing or null
  /// A number of at most 1e9 in size, or the fallback where it is missing.
  double number(const char* key, double fallback) const;
  std::size_t whole(const char* key, std::size_t fallback, std::size_t smallest,
                    std::size_t largest) const;
  std::string text(const char* key) const;  ///< "" where it is missing or null
  std::vector<std::string> texts(const char* key) const;

  [[noreturn]] void refuse(const char* key, std::string_view expected) const;

 private:
  OrderedJsonDocument document_;
};

/// What task_type says of the model; nothing where it says neither.
std::optional<HostOutput> peft_output(const PeftConfig& config);

/// rank_pattern or alpha_pattern: the value of the first entry, in the file's order, whose key is a
/// regular expression that matches the module's name or all of it behind a dot (PEFT's
/// get_pattern_key).
class PeftPatterns {
 public:
  PeftPatterns(const PeftConfig& config, const char* key);
  std::optional<double> value_of(const std::string& module) const;

 private:
  struct Entry {
    std::string key;
    Pattern pattern;
    double value;
  };
  std::vector<Entry> entries_;
};

/// Which modules PEFT adapts (its check_target_module_exists): target_modules (an expression that
/// matches the whole name, or names and their ends), less exclude_modules and modules_to_save, and
/// of names that are not given in full those of the layers in layers_to_transform, whose index
/// stands behind layers_pattern.
class PeftTargets {
 public:
  explicit PeftTargets(const PeftConfig& config);
  /// Whether the file says it: an older PEFT's may leave target_modules to the model's type.
  bool are_known() const { return known_; }
  bool adapts(const std::string& module) const;

  /// An entry of modules_to_save. It saves every module whose name ends so, whatever stands before
  /// ("norm": input_layernorm too), with all below it; it takes from the adapted ones what its
  /// expression matches (PEFT's _set_trainable and check_target_module_exists).
  struct Saved {
    std::string name;
    Pattern taken;
    bool has(const std::string& module) const;
  };
  const std::vector<Saved>& saved() const { return saved_; }
  bool saves(const std::string& module) const;

  /// A list of names, or an expression.
  struct Names {
    std::vector<std::string> names;
    std::optional<Pattern> expression;
    Names(const PeftConfig& config, const char* key);
    bool have(const std::string& module) const;
    bool name_ends(const std::string& module) const;
  };

 private:
  bool is_chosen_layer(const std::string& module) const;

  std::string file_;
  Names targets_, excluded_;
  bool known_ = false, all_linear_ = false;
  std::vector<Saved> saved_;
  std::vector<Pattern> layer_patterns_;
  std::vector<long long> layers_;
};

}  // namespace rankfold
