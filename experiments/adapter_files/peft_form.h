#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/foreign_keys.h"
#include "core/base/safetensors.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/adapter_files/peft_config.h"

// How PEFT stores the methods that rankfold has.

namespace rankfold {

/// What PEFT puts in front of a module's name.
inline constexpr const char* peft_prefix = "base_model.model.";

/// A tensor behind a module's name: NAME, NAME.ADAPTER, with .weight behind it where it has one.
struct PeftParameter {
  enum class Ending { none, weight, either };
  std::string name;    ///< "lora_A"
  std::string factor;  ///< ours
  Ending ending = Ending::none;
};

struct PeftForm {
  std::string type;  ///< peft_type
  std::vector<PeftParameter> parameters;
  std::vector<PeftParameter> shared = {};  ///< of the model: behind "base_model."
  /// The factors whose size along an axis is the module's rank; the first that is there tells.
  struct RankPlace {
    std::string factor;
    std::size_t axis;
  };
  std::vector<RankPlace> ranks = {};
  std::vector<ForeignKey> keys;  ///< of this type, beside peft_common_keys
  std::size_t default_rank = 8;
  const char* alpha_key = nullptr;
  double default_alpha = 0;
  /// Fills in method and options.
  std::function<void(const PeftConfig&, AdapterDescription&)> describe;
  /// What follows from the modules as well, given as sites and their modules' names; may be empty.
  std::function<void(const PeftConfig&, const std::vector<std::pair<Site, std::string>>&,
                     AdapterDescription&)>
      describe_modules = {};

  bool has_factor(const std::string& factor) const;
};

const std::vector<PeftForm>& peft_forms();
/// Keys of every type's adapter_config.json.
std::span<const ForeignKey> peft_common_keys();

/// The form of the file's peft_type. Throws Error: another type, a key that is on and is not known
/// or not applied here (core/base/foreign_keys.h).
const PeftForm& find_peft_form(const PeftConfig& config);

/// The tensors of the file by what they belong to.
struct PeftTensors {
  std::map<std::string, std::map<std::string, std::string>> modules;  ///< module -> factor -> key
  std::map<std::string, std::string> shared;                          ///< factor -> key
  std::map<std::string, std::string> rest;  ///< name in the model -> key: the head

  /// Adapters' names in keys (lora_A.default.weight, modules_to_save.default) are dropped, copies
  /// of what a trained module was before (original_module) are passed over. Throws Error naming a
  /// tensor that no module begins, is there twice, or is of another adapter than the others.
  PeftTensors(const SafetensorsFile& file, const PeftForm& form);

 private:
  void add(const SafetensorsFile& file, const PeftForm& form, const std::string& key);
  void expect_adapter(const std::string& file, const std::string& key, const std::string& name);
  std::string adapter_, adapter_key_;
};

}  // namespace rankfold
