#pragma once

#include "experiments/adapter_files/foreign_folder.h"

namespace rankfold {

/// A checkpoint of daskol/lotr: adapter_model.safetensors is its state_dict without the frozen
/// weights, MODULE.lotr.lhs (rank, out), .mid (rank, rank) and .rhs (in, rank), lhs and rhs
/// repeated by every module, and the head. The code saves no configuration, so the user writes
/// adapter_config.json: {"layout": "lotr", "scale": S}, S being LoTRLinear's `scale`:
/// dW = S/rank lhs^T mid^T rhs^T. Throws Error naming file and key or tensor: another key or
/// layout, a tensor that is missing, left over, of another shape, not finite, or that differs
/// between modules where it is shared.
class LotrFolder : public ForeignFolder {
 public:
  explicit LotrFolder(const std::filesystem::path& folder);

  std::optional<std::size_t> labels() const override;
  AdapterDescription describe(const SiteCatalogue& catalogue) override;
  bool holds(const std::string&) const override { return true; }
  void fill(Adapter<float>& adapter) const override;
  bool fill_head(std::vector<TrainedTensor> head) const override;
  bool keeps_head() const override { return false; }

 private:
  double scale_ = 0;
  SafetensorsFile file_;
  std::map<std::string, std::map<std::string, std::string>> modules_;  ///< module, factor -> key
  std::map<std::string, std::string> head_;                            ///< name in the model -> key
  std::map<std::string, std::string> sites_;                           ///< site -> module
};

}  // namespace rankfold
