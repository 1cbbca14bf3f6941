#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/adapter/method_settings.h"
#include "core/network/network.h"
#include "core/network/stack.h"

namespace rankfold {

/// Where a method acts: on weights, or by virtual tokens: their embeddings before those of every
/// sequence, or their keys and values before those of every layer.
enum class Entry { weights, embeddings, keys_and_values };

/// What the registry knows of a method; all else is derived from `declare`.
struct Method {
  std::string name;
  std::string summary;
  std::string formula;    ///< the index formula of the update
  std::string reference;  ///< paper and section
  std::vector<MethodOption> options = {};
  std::vector<Preset> presets = {};
  bool has_rank = true;
  bool adapts_sites = true;          ///< false: nothing but the head trains
  bool is_reference = false;         ///< what others are compared with: no budget leaves it out
  double alpha = 1;                  ///< default of --alpha; 0: the method has no alpha
  std::string default_targets = {};  ///< where it differs from q,v
  /// A part of the model that trains with it, as `--train` names them.
  std::string trained_part = {};
  /// Where it acts. Of virtual tokens its option `tokens` tells how many there are, its
  /// default_targets are what they enter by, and `declare` gets these sites.
  Entry entry = Entry::weights;
  bool takes_everything = false;  ///< `--targets everything` means all weights of the model
  /// The modes that have a rank each (`--rank 8x8x4`; one number is that of all of them). Empty:
  /// the method has one rank.
  std::function<std::vector<std::string>(const MethodSettings&)> rank_modes = {};
  /// The largest rank for a stack, or nothing where the method has no limit of its own.
  std::function<std::optional<std::size_t>(const Stack&)> rank_limit = {};
  std::function<Declaration(const Site&, const Stack&, const MethodSettings&)> declare;
  /// Lines on what was chosen where the settings leave it open; may be empty.
  std::function<std::vector<std::string>(const Stack&, const MethodSettings&)> notes = {};
  /// What checks try on a small stack where ranks 1 and 3 with every choice of every option will
  /// not do (a rank that must be a multiple, a number that an option must divide); the method
  /// accepts each, and a stack without any is one that it refuses.
  std::function<std::vector<MethodRequest>(const Stack&)> small_cases = {};
  /// Where it is set, the update is U[out,r] S[r,r] V[in,r]^T of the site's own factors of these
  /// names, and trains by the steps of core/linalg/low_rank_dynamics.h with this tolerance; the
  /// rank is the largest allowed. Elsewhere every factor trains by its gradient.
  std::function<double(const MethodSettings&)> truncation = {};
};

/// Completes and checks what the user gave: preset, alpha, options; unknown option or choice, rank
/// 0 or missing, rank beyond the limit: UsageError naming the method, the found and the expected.
MethodSettings resolve_settings(const Method& method, const MethodRequest& request,
                                const Stack& stack);

/// The sites that a method acts on: those that select_stack chooses, or what its virtual tokens
/// enter by in the chosen layers. Throws UsageError as select_stack; for virtual tokens where
/// targets are others than theirs, some layers are chosen of what comes before all, or the model
/// takes none.
Stack select_sites(const Method& method, const SiteCatalogue& catalogue, const std::string& targets,
                   const std::string& layers, const MethodRequest& request);

/// The method's declaration of one site, its factors checked (check_factors).
Declaration declare_site(const Method& method, const Site& site, const Stack& stack,
                         const MethodSettings& settings);

/// One factor of a method on a stack, copies of one shape together.
struct FactorCount {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t copies = 0;
  bool trainable = true;
};
struct Count {
  std::size_t trainable = 0;
  std::vector<FactorCount> factors;
};
/// Counts parameters from the declaration alone; no memory is taken. Throws Error naming both sites
/// where a shared factor has unequal shapes.
Count count_parameters(const Method& method, const Stack& stack, const MethodSettings& settings);

/// The adapter that the method declares. Factors start as zeros: call initialise.
template <class T>
std::unique_ptr<Adapter<T>> make_adapter(const Method& method, const Stack& stack,
                                         const MethodSettings& settings,
                                         std::shared_ptr<const Device> device);

/// The method with settings of each site's own, by its name; `settings` where it has none.
Method with_site_settings(const Method& method, std::map<std::string, MethodSettings> settings);

}  // namespace rankfold
