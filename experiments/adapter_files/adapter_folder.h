#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "core/base/safetensors.h"
#include "experiments/models/host.h"
#include "experiments/models/shapes.h"
#include "experiments/runs/fingerprint.h"

namespace rankfold {

/// The files of an adapter's folder, by the names that PEFT gave them.
inline constexpr const char* adapter_config_name = "adapter_config.json";
inline constexpr const char* adapter_tensors_name = "adapter_model.safetensors";

/// What one site has of its own where sites differ.
struct SiteChoice {
  std::string name;
  std::string rank = {};             ///< "": the adapter's
  std::optional<double> alpha = {};  ///< nothing: the adapter's
};

/// adapter_config.json: everything that is needed to build the adapter again on its base model.
struct AdapterDescription {
  std::string method;
  MethodSettings settings;  ///< rank, alpha, options: complete once it is resolved
  /// What takes alpha's place in `settings` where it came from a file, which may hold 0 or less.
  std::optional<double> alpha;
  std::string rank;  ///< as it was asked for; "" where the method has none
  std::string targets, layers = "all", train;
  std::vector<SiteChoice> sites;  ///< where the sites are listed one by one: instead of targets
  std::vector<Site> stack;        ///< the adapted weights as the model has them
  std::string task;
  std::size_t labels = 2;
  bool regression = false;
  std::vector<std::string> classes;          ///< by name, in the order of the outputs; or empty
  std::map<std::string, std::string> table;  ///< of a table of one's own: see table_settings
  std::string model;                         ///< name of the base model's folder
  std::string fingerprint;                   ///< of the base checkpoint: see model_fingerprint
  std::size_t max_length = 128;
  std::size_t batch = 32;
  std::size_t max_train = 0;      ///< rows that were asked for; of rows that are drawn it decides
  std::string trained_rows;       ///< their fingerprint (RunFingerprints::train); "": not known
  std::string score_on = "dev";   ///< the examples that the run's score is about
  std::string precision = "f32";  ///< of the run's products with frozen weights: f32 or bf16
  std::uint64_t seed = 42;
  bool head = true;  ///< the tensors of a trained head are in the folder
  /// Frozen tensors of the model that the folder holds: they stand in the place of the base
  /// model's, or are those that it lacks (see Host::replaced, Host::drawn).
  std::vector<std::string> replaced;
  HostOutput output = HostOutput::classifier;  ///< of the model that it was trained in
};

/// Writes adapter_config.json and adapter_model.safetensors: every factor, trainable or frozen,
/// under its parameter name (owner: the site's module name), and the host's trained tensors, those
/// that it drew and the replaced ones under their checkpoint names. Where everything trained, the
/// tensors below the head are replaced ones to who reads them. The configuration is written last.
/// Throws Error naming the file.
void save_adapter(const std::filesystem::path& folder, const AdapterDescription& description,
                  Adapter<float>& adapter, Host& host);
void save_adapter(const std::filesystem::path& folder, const struct LoneAdapter& lone);

/// adapter_config.json alone.
void write_adapter_description(const std::filesystem::path& folder,
                               const AdapterDescription& description, const Stack& stack);

/// Reads adapter_config.json. What a run has a default for may be missing (the file of an older
/// version) and has it: alpha, options, layers, train, max_length, batch, score_on, precision,
/// seed. Throws Error naming the file and the key for the others, and for a wrong value.
AdapterDescription read_adapter_description(const std::filesystem::path& folder);

/// Fills the adapter's factors and the host's trained tensors from the file; bits as they were
/// saved. Returns the host's random tensors: without a head, the trained ones that are missing, and
/// those that it drew. Throws Error naming the file and the tensor: missing, unknown, of another
/// shape or type, not finite.
std::vector<std::string> load_adapter_tensors(const std::filesystem::path& folder,
                                              Adapter<float>& adapter, Host& host,
                                              bool has_head = true);

/// The adapted weights as a catalogue, and lists them in the description where it does not.
SiteCatalogue list_sites(AdapterDescription& description, const std::vector<Site>& sites);

/// Gives the factors that are in no file the start that they have.
void start_unstored(Adapter<float>& adapter, const AdapterDescription& description);

/// The method with the settings of each site, and the stack, that a description names on a
/// catalogue's sites; completes the description's settings.
struct DescribedMethod {
  Method method;
  Stack stack;
  MethodSettings settings;
};
DescribedMethod resolve_description(AdapterDescription& description, const SiteCatalogue& catalogue,
                                    const Registry& registry);

/// Alpha as it was asked for; nothing: the method's default, or it has none.
std::optional<double> asked_alpha(const AdapterDescription& description);

/// The adapter of such a method, its factors zero.
template <class T>
std::unique_ptr<Adapter<T>> make_described_adapter(AdapterDescription& description,
                                                   const SiteCatalogue& catalogue,
                                                   const Registry& registry,
                                                   std::shared_ptr<const Device> device);

/// The same for a folder's description, whose errors name its adapter_config.json: an unknown
/// method may be a plug-in's, and it must not need more numbers than adapter_model.safetensors has.
std::unique_ptr<Adapter<float>> make_folders_adapter(const std::filesystem::path& folder,
                                                     AdapterDescription& description,
                                                     const SiteCatalogue& catalogue,
                                                     const Registry& registry,
                                                     std::shared_ptr<const Device> device);

/// A host with the adapter of `folder` attached. The host refers to the adapter.
struct AdaptedModel {
  AdapterDescription description;
  std::unique_ptr<Adapter<float>> adapter;
  std::unique_ptr<Host> host;
  /// Tensors of the host that the adapter was trained with and that are in neither folder: new
  /// random ones stand in their place.
  std::vector<std::string> untrained = {};
  /// Factors that the folder does not hold were started from the model's weights.
  bool starts_from_weights = false;
};
/// "classifier" or "causal language model".
const char* output_name(HostOutput output);
/// A line for a command that writes no random tensors; "" where there are none.
std::string left_out_note(const std::vector<std::string>& untrained);

/// `folder` is one that save_adapter wrote, or another program's (see foreign_folder.h).
/// `precision` of the host's products, f32 or bf16; "": the adapter's. `output` of the host:
/// without it the adapter's; a language model where another program's folder tells none and has no
/// head and the config.json says so, else a classifier. A language model refuses a trained head.
/// Throws Error naming the file where the adapter belongs to another model (by fingerprint), its
/// method is not registered or its settings do not fit, and as check_precision does.
AdaptedModel load_adapted_model(const std::filesystem::path& model,
                                const std::filesystem::path& folder, const Registry& registry,
                                std::shared_ptr<const Device> device,
                                const std::string& precision = "",
                                std::optional<HostOutput> output = {});

/// The adapter of a folder, to be written in another form.
struct LoneAdapter {
  AdapterDescription description;
  std::unique_ptr<Adapter<float>> adapter;
  std::unique_ptr<Host> host;               ///< where the model was given
  std::vector<std::string> untrained = {};  ///< these two: see AdaptedModel
  bool starts_from_weights = false;
  struct HeadTensor {
    std::string name;
    std::vector<std::size_t> shape;
    std::vector<float> values;
  };
  std::vector<HeadTensor> head;          ///< trained, drawn and replaced tensors of the host
  std::optional<ModelShape> shape = {};  ///< where the model was given
};
/// `model` may be empty. Throws Error as load_adapted_model does, and without a model where the
/// folder does not say which weights it adapts (another program's, an older version's) or the
/// adapter depends on the frozen weights; and where everything trained, of which there is no
/// adapter.
LoneAdapter load_lone_adapter(const std::filesystem::path& folder,
                              const std::filesystem::path& model, const Registry& registry,
                              std::shared_ptr<const Device> device);

}  // namespace rankfold
