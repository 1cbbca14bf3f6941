#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/safetensors.h"
#include "experiments/adapter_files/adapter_folder.h"

// Adapter folders that other programs wrote: adapter_config.json says which (peft_type: PEFT,
// layout: lotr, lorta), adapter_model.safetensors holds the tensors.

namespace rankfold {

/// An adapter in another program's form. Members throw Error naming file and key or tensor.
class ForeignFolder {
 public:
  virtual ~ForeignFolder() = default;
  /// Outputs of the head in the file, where there is one.
  virtual std::optional<std::size_t> labels() const = 0;
  /// What the model was that it was trained in; nothing where the form does not tell.
  virtual std::optional<HostOutput> output() const { return {}; }
  /// The method, its settings and the sites among those of the catalogue.
  virtual AdapterDescription describe(const SiteCatalogue& catalogue) = 0;
  /// Whether the file has a place for this factor; the others start as their method has it.
  virtual bool holds(const std::string& factor) const = 0;
  /// The factors of an adapter made by that description; what the file never holds is left alone.
  virtual void fill(Adapter<float>& adapter) const = 0;
  /// The tensors of the file that stand in the place of frozen ones of the model; null where it has
  /// none.
  virtual std::shared_ptr<ReplacedTensors> replaced() const { return nullptr; }
  /// False where the file has no head.
  virtual bool fill_head(std::vector<TrainedTensor> head) const = 0;
  /// Whether the adapter was trained on the model's own head: then a file without a head lacks
  /// nothing.
  virtual bool keeps_head() const = 0;
};

/// Whether adapter_config.json names a peft_type or a layout.
bool is_foreign_folder(const std::filesystem::path& folder);

/// Throws Error naming the file: an unknown type or layout, and as the form's own class does.
std::unique_ptr<ForeignFolder> read_foreign_folder(const std::filesystem::path& folder);

/// The model with the folder's adapter attached.
AdaptedModel load_foreign_model(const std::filesystem::path& model,
                                const std::filesystem::path& folder, const Registry& registry,
                                std::shared_ptr<const Device> device, const std::string& precision,
                                std::optional<HostOutput> output = {});

/// adapter_model.safetensors; where there is a pickle instead, throws Error with the command that
/// converts it.
SafetensorsFile open_foreign_tensors(const std::filesystem::path& folder);

/// The site that a module's name means: its name, or the end of no other's. Throws Error naming
/// `file` and the nearest name, or two names that end so.
const Site& find_site(const SiteCatalogue& catalogue, const std::string& module,
                      const std::string& file);

/// A tensor's numbers. Throws Error where it has another shape (but for sides of 1) or they are not
/// finite.
void read_numbers(const SafetensorsFile& file, const std::string& key, const std::string& what,
                  const std::vector<std::size_t>& shape, std::span<float> target);

/// Outputs of the classifier among head tensors (name in the model -> key in the file).
std::optional<std::size_t> head_labels(const SafetensorsFile& file,
                                       const std::map<std::string, std::string>& head);

/// Fills the head from those tensors; false where there are none. Throws Error naming one that the
/// head does not have, and one of the head that is missing beside others.
bool fill_foreign_head(const SafetensorsFile& file, const std::map<std::string, std::string>& keys,
                       const std::vector<TrainedTensor>& head);

}  // namespace rankfold
