#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/training/adapter_folder.h"

// Folders of huggingface/peft: adapter_config.json with a peft_type, adapter_model.safetensors.

namespace rankfold {

/// What PEFT puts in front of a module's name.
inline constexpr const char* peft_prefix = "base_model.model.";

/// Whether adapter_config.json names a peft_type.
bool is_peft_folder(const std::filesystem::path& folder);

/// An adapter that PEFT saved: types LORA (with use_dora, use_rslora, rank_pattern, alpha_pattern),
/// LOHA, LOKR, VERA, HIRA, RANDLORA, FOURIERFT; modules_to_save is the head. The sites are the
/// modules that the file has tensors of. Members throw Error naming file and key: another type, a
/// setting that changes the mathematics and is not known here, a pickle, a tensor that is missing,
/// left over, of another size, or not finite.
class PeftFolder {
 public:
  explicit PeftFolder(const std::filesystem::path& folder);
  ~PeftFolder();

  /// Outputs of the head in the file, where there is one.
  std::optional<std::size_t> labels() const;
  /// The method, its settings and the sites among those of the catalogue.
  AdapterDescription describe(const SiteCatalogue& catalogue);
  /// The factors of an adapter made by that description; what PEFT does not store is left alone.
  void fill(Adapter<float>& adapter) const;
  void fill_head(std::vector<TrainedTensor> head) const;

 private:
  struct Contents;
  std::string key_of(const Parameter<float>& parameter) const;
  std::unique_ptr<Contents> contents_;
};

/// The model with PEFT's adapter attached.
AdaptedModel load_peft_model(const std::filesystem::path& model,
                             const std::filesystem::path& folder, const Registry& registry,
                             std::shared_ptr<const Backend> backend, const std::string& precision);

struct PeftExport {
  std::size_t sites = 0, largest_rank = 0, parameters = 0;
  std::vector<std::size_t> ranks;  ///< one a site
};

/// Writes the update of every site as a LoRA of the smallest sufficient rank, exact to rounding,
/// with the trained head: a folder that PEFT loads (rank_pattern and alpha_pattern where ranks
/// differ, scale 1). Throws Error where the method is no weight update, the head is a tensor train,
/// or `out` exists and is not empty.
PeftExport export_as_lora(const LoneAdapter& source, const Registry& registry,
                          const std::filesystem::path& out);

}  // namespace rankfold
