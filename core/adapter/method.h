#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/network/network.h"
#include "core/network/stack.h"

namespace rankfold {

/// A key of `--set` that a method understands.
struct MethodOption {
  std::string name;
  std::string fallback;              ///< the default, as text
  std::vector<std::string> choices;  ///< empty: free text (number, shape)
  std::string meaning;
};

/// A published set-up: values for alpha and options by name, with their source.
struct Preset {
  std::string name, source;
  std::map<std::string, std::string> values;  ///< "alpha" or option names
};

/// What the user chose for a method; options already completed with the defaults.
struct MethodSettings {
  std::size_t rank = 0;  ///< the largest where every mode has its own
  double alpha = 0;
  std::map<std::string, std::string> options;
  std::vector<std::size_t> ranks = {};  ///< one a mode of Method::rank_modes

  const std::string& text(const std::string& option) const;
  double number(const std::string& option) const;
  std::size_t count(const std::string& option) const;               ///< a positive integer
  bool flag(const std::string& option) const;                       ///< true | false
  std::vector<std::size_t> shape(const std::string& option) const;  ///< "8,12,8,8"; empty text: {}
};

/// What a user asks for, as given.
struct MethodRequest {
  std::string rank;  ///< empty where the method has none
  std::optional<double> alpha;
  std::string preset;
  std::map<std::string, std::string> options;
};

/// What the registry knows of a method; all else is derived from `declare`.
struct Method {
  std::string name;
  std::string summary;
  std::string formula;    ///< the index formula of the update
  std::string reference;  ///< paper and section
  std::vector<MethodOption> options = {};
  std::vector<Preset> presets = {};
  bool has_rank = true;
  bool is_reference = false;         ///< what others are compared with: no budget leaves it out
  double alpha = 1;                  ///< default of --alpha; 0: the method has no alpha
  std::string default_targets = {};  ///< where it differs from q,v
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

/// Changes the weight update of another method: `dora(lotr)` is the wrapper dora over lotr.
struct Wrapper {
  std::string name;
  std::string summary;
  std::string formula;  ///< of W', with dW for the other method's update
  std::string reference;
  std::vector<MethodOption> options = {};
  /// Changes the declaration of one site, which is a plain weight update.
  std::function<void(Declaration&, const Site&, const MethodSettings&)> wrap;
};

/// The method `wrapper(inner)`. Its declarations throw UsageError where `inner` is no plain weight
/// update or trains by truncation; so does this where both have an option of one name.
Method compose(const Wrapper& wrapper, const Method& inner);

/// The method with settings of each site's own, by its name; `settings` where it has none.
Method with_site_settings(const Method& method, std::map<std::string, MethodSettings> settings);

/// The most wrappers over one method.
inline constexpr std::size_t most_wrappers = 8;

/// An explicit table of methods by name; a value that tests copy and extend.
class Registry {
 public:
  /// A wrapper of that name alone is the wrapper over lora, as its paper has it.
  explicit Registry(std::vector<Method> methods, std::vector<Wrapper> wrappers = {});
  /// Throws Error naming the method and what it lacks: a name that is taken or is no word of
  /// letters, digits, '-' and '_', no declare, an option or preset that cannot be set.
  void add(Method method);
  /// The same for a wrapper and the method that it is over lora.
  void add(Wrapper wrapper);
  /// A method, or `wrapper(method)`, nested up to most_wrappers deep. Throws UsageError naming the
  /// nearest one.
  const Method& at(std::string_view name) const&;
  Method at(std::string_view name) && { return std::as_const(*this).at(name); }
  /// Sorted by name. A temporary registry gives values, so that no reference outlives it.
  const std::vector<Method>& methods() const& { return methods_; }
  std::vector<Method> methods() && { return std::move(methods_); }
  std::vector<std::string> names() const;

  const std::vector<Wrapper>& wrappers() const& { return wrappers_; }

 private:
  std::vector<Method> methods_;
  std::vector<Wrapper> wrappers_;
  mutable std::map<std::string, Method, std::less<>> composed_;
};

/// alpha / rank, or alpha / sqrt(rank) where the option rslora is true.
double alpha_over_rank(const MethodSettings& settings, std::size_t rank);

}  // namespace rankfold
