#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/adapter_files/foreign_folder.h"

// Folders of huggingface/peft whose adapter is virtual tokens: tensor prompt_embeddings
// [tokens, numbers], without a module's name, and the head behind "base_model.".

namespace rankfold {

/// Types PROMPT_TUNING (an embedding a row) and PREFIX_TUNING (in a row the key, then the value of
/// each layer; also where a projection made them in training). Members throw Error naming file and
/// key as PeftFolder's do, and where sizes are not the model's.
class PeftTokensFolder : public ForeignFolder {
 public:
  static bool is_type(const std::string& peft_type);
  explicit PeftTokensFolder(const std::filesystem::path& folder);
  ~PeftTokensFolder() override;

  std::optional<std::size_t> labels() const override;
  std::optional<HostOutput> output() const override;
  AdapterDescription describe(const SiteCatalogue& catalogue) override;
  bool holds(const std::string& factor) const override;
  void fill(Adapter<float>& adapter) const override;
  bool fill_head(std::vector<TrainedTensor> head) const override;
  bool keeps_head() const override;

 private:
  struct Contents;
  std::unique_ptr<Contents> contents_;
};

/// What the export wrote.
struct PeftTokens {
  std::size_t tokens = 0, parameters = 0;
};
/// Writes an adapter of methods prompt or prefix, with the trained head where there is one, as a
/// folder that PEFT loads onto the model `base_name` ("" for none). Throws Error where the method
/// is another, some layers have no prefix, the head is a tensor train, or `out` exists and is not
/// empty.
PeftTokens export_as_tokens(const LoneAdapter& source, const std::filesystem::path& out,
                            const std::string& base_name = "");

}  // namespace rankfold
