#pragma once

#include "experiments/adapter_files/foreign_folder.h"

namespace rankfold {

/// A checkpoint of ihounie/lorta: one tensor each that is called lora_A (hidden, rank), lora_B
/// (rank, head dimension), lora_C_h (heads, rank), lora_C_l (layers, rank) and lora_C_m (4, rank;
/// q, k, v, o), whatever stands before the name, and the head. The user writes adapter_config.json:
///   {"layout": "lorta", "alpha": a, "rslora": false, "targets": "q,k,v,o", "head-axis": "input"}
/// alpha as it was trained (LortaConfig's lora_alpha); the others are the defaults. The code's PEFT
/// tuner lays heads along the input of every matrix, its lit_gpt along the output. Throws Error
/// naming file and key or tensor: another key or layout, a tensor that is missing, there twice,
/// left over, of another shape, or not finite.
class LortaFolder : public ForeignFolder {
 public:
  explicit LortaFolder(const std::filesystem::path& folder);

  std::optional<std::size_t> labels() const override;
  AdapterDescription describe(const SiteCatalogue& catalogue) override;
  bool holds(const std::string&) const override { return true; }
  void fill(Adapter<float>& adapter) const override;
  bool fill_head(std::vector<TrainedTensor> head) const override;
  bool keeps_head() const override { return false; }

 private:
  double alpha_ = 0;
  bool rslora_ = false;
  std::string targets_ = "q,k,v,o", head_axis_ = "input";
  SafetensorsFile file_;
  std::map<std::string, std::string> factors_, head_;  ///< name here -> key
};

}  // namespace rankfold
