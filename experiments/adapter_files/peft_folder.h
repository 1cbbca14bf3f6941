#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "experiments/adapter_files/foreign_folder.h"

// Folders of huggingface/peft: adapter_config.json with a peft_type, adapter_model.safetensors.

namespace rankfold {

/// An adapter that PEFT saved: types LORA (with use_dora, use_rslora and the starts pissa and
/// olora, which are taken off the base weight again), LOHA, LOKR, VERA, HIRA, RANDLORA, FOURIERFT,
/// IA3;
/// modules_to_save are the head, and frozen modules (norms, embeddings) that its tensors replace.
/// The sites are the modules that the file has tensors of, which must be those that the
/// configuration adapts; ranks are those of the tensors. Members throw Error naming file and key:
/// another type, a setting that changes the mathematics and is not known here, a pickle, a tensor
/// that is missing, left over, of another shape, or not finite.
class PeftFolder : public ForeignFolder {
 public:
  explicit PeftFolder(const std::filesystem::path& folder);
  ~PeftFolder() override;

  std::optional<std::size_t> labels() const override;
  std::optional<HostOutput> output() const override;
  AdapterDescription describe(const SiteCatalogue& catalogue) override;
  bool holds(const std::string& factor) const override;
  void fill(Adapter<float>& adapter) const override;
  std::shared_ptr<ReplacedTensors> replaced() const override;
  bool fill_head(std::vector<TrainedTensor> head) const override;
  bool keeps_head() const override;

 private:
  struct Contents;
  std::string key_of(const Parameter<float>& parameter, std::set<std::string>& used) const;
  std::unique_ptr<Contents> contents_;
};

struct PeftExport {
  std::size_t sites = 0, largest_rank = 0, parameters = 0;
  std::vector<std::size_t> ranks;  ///< one a module
};

/// Writes the update of every module as a LoRA of the smallest sufficient rank, exact to rounding:
/// those of parts of a fused weight as one of the whole, which is what PEFT adapts; with the
/// trained head where there is one: a folder that PEFT loads (rank_pattern and alpha_pattern where
/// ranks differ, scale 1) onto the model `base_name`, a Hub id or path, "" for none. Throws Error
/// where the method is no weight update, the head is a tensor train, parts are adapted and the
/// source has no model that tells where they lie, or `out` exists and is not empty.
PeftExport export_as_lora(const LoneAdapter& source, const Registry& registry,
                          const std::filesystem::path& out, const std::string& base_name = "");

/// The same of an adapter of ia3 as PEFT's IA3: parts of a fused weight are one module, whose other
/// parts have scales of 1. Throws Error where the adapter is of another method, or scales the input
/// of a part.
PeftExport export_as_ia3(const LoneAdapter& source, const std::filesystem::path& out,
                         const std::string& base_name = "");

}  // namespace rankfold
