#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/device.h"
#include "core/network/network.h"
#include "core/network/stack.h"

namespace rankfold {

/// One copy of a factor: its value and its gradient, row-major over `shape`.
template <class T>
struct Parameter {
  std::string name;  ///< "<factor>" where the model owns one copy, else "<factor>.<owner>"
  std::string factor;
  std::vector<std::size_t> shape;
  bool trainable = true;
  Storage storage = Storage::file;
  Initialiser initialiser;
  Buffer<T> value, gradient;

  bool is_stored() const { return storage == Storage::file; }
};

/// Of one site: what starts of the task's data read (see StartSamples).
struct SiteSamples {
  std::vector<double> input_moments;    ///< mean of x x^T [in, in], or empty
  std::vector<double> weight_gradient;  ///< [out, in], or empty
};

class Bfloat16Weight;

/// The frozen weight and bias of a site; bias may be null. The memory is the device's and belongs
/// to the model.
template <class T>
struct FrozenLinear {
  const T* weight = nullptr;                 ///< [out, in]
  const T* bias = nullptr;                   ///< [out]
  const Bfloat16Weight* bfloat16 = nullptr;  ///< where products with the weight run in bfloat16
};

/// Dropout of what an adapter beside its weight reads, in calls with a trace: y = W x + F(drop(x)),
/// where W and what else reads x see all of it (PEFT's lora_dropout). Every site of
/// every call has a mask of its own, calls in the order in which a pass makes them.
struct AdapterDropout {
  double probability = 0;  ///< 0 or more, below 1
  std::uint64_t seed = 0, pass = 0;
};

/// What one forward call leaves for its backward. Its owner keeps X alive and unchanged meanwhile;
/// one object for the sites of a call, reused over steps without new memory.
template <class T>
struct Trace {
  std::vector<Buffer<T>> buffers;  ///< one a site of the call: W + dW, or what f was applied to
  bool merged = false;             ///< the first
  bool dense = false;              ///< the plan's choice for the factors' gradients
  std::vector<Buffer<T>> outputs;  ///< X W'^T of sites with norms
  bool keeps_outputs = false;
  AdapterDropout dropout;          ///< in effect,
  std::size_t call = 0;            ///< and the call's number in the pass
  std::vector<std::size_t> sites;  ///< of the call,
  std::size_t tokens = 0;          ///< and its rows
};

/// A site of a call, and the matrix of its output (or of that output's gradient).
template <class T>
struct SiteMatrix {
  std::size_t site = 0;
  MatrixView<T> matrix;
};
/// The most sites that one call takes.
inline constexpr std::size_t most_sites_a_call = 8;

/// Whether forward adds the frozen bias, or leaves that to the caller.
enum class Bias { add, omit };
/// Whether a result is added to what is there, or replaces it.
enum class Into { add, overwrite };

/// How the sites of a call are computed. Every choice gives the same numbers up to rounding. The
/// seconds are those that the machine's rates predict, beyond the products with the frozen weights.
struct Plan {
  bool merged = false;  ///< products with W + dW, formed once, instead of W and the factors apart
  bool dense = false;   ///< factors' gradients through dY^T X [out, in] instead of token by token
  double merged_seconds = 0, factored_seconds = 0;          ///< of outputs and dX
  double dense_seconds = 0, factored_gradient_seconds = 0;  ///< of the factors' gradients
  bool can_merge = true, can_be_dense = true;               ///< whether the site admits it
};
/// Choices that are made whatever they cost, where a site admits them.
struct PlanPolicy {
  std::optional<bool> merged = {}, dense = {};
  /// Keeps the norms of weights as the last forward call found them: for differences of a loss
  /// whose gradient takes norms for constants.
  bool hold_norms = false;
};

/// Adapted linear layers over a stack of frozen ones: the one interface of all methods. Public
/// members check sites, shapes and aliasing and throw Error "[method] site ...: got ..., expected
/// ..."; what methods implement only computes.
template <class T>
class Adapter {
 public:
  virtual ~Adapter() = default;

  const std::string& method() const { return method_; }
  const Stack& stack() const { return stack_; }
  /// In whose memory parameters, frozen weights and the matrices of all calls lie.
  const std::shared_ptr<const Device>& device() const { return device_; }
  Place place(std::size_t site) const;
  std::vector<Parameter<T>>& parameters() { return parameters_; }
  const std::vector<Parameter<T>>& parameters() const { return parameters_; }
  /// The parameter of that name; throws Error with the nearest name.
  Parameter<T>& parameter(std::string_view name);
  /// Trainable numbers, shared factors counted once.
  std::size_t parameter_count() const;

  /// Draws every factor from its initialiser; addressed by (seed, "initialise/<method>/<name>").
  /// Starts that follow from the frozen weights or from samples need these before, and throw Error
  /// without them.
  void initialise(std::uint64_t seed);
  /// What the declared starts read of the task's data.
  virtual StartSamples start_samples() const = 0;
  /// One for each site; an empty list takes them away again. Throws Error for other sizes.
  void set_samples(std::vector<SiteSamples> samples);
  void zero_gradients();

  /// One frozen layer a site, in the stack's order; needed where frozen weights enter (backward's
  /// frozen path, adapters before or after the weight).
  void set_frozen(std::vector<FrozenLinear<T>> frozen);

  /// What set_frozen was given for the site.
  const FrozenLinear<T>& frozen(std::size_t site) const;

  /// Whether every site's adapter changes its weight alone: then reconstruct and merge apply.
  bool is_weight_update() const;
  /// Whether that of one site does: it is linear in X, beside the weight (W' = W + F), after it
  /// (W' = W + F W) or before it (W' = W + W F). Virtual tokens have no weight.
  virtual bool is_weight_update(std::size_t site) const = 0;
  /// Whether the update itself depends on the frozen weights: by norms, by factors of
  /// Storage::weight, or because it acts after or before them.
  virtual bool needs_frozen() const = 0;
  /// Whether a site's output also gets a trained bias, which reconstruct leaves out. What acts
  /// after the weight changes its bias b by F b.
  virtual bool adds_bias(std::size_t site) const = 0;
  /// W' - W of a site, [out, in], overwritten. Throws Error where the method is no weight update,
  /// or depends on a frozen weight that was not given.
  void reconstruct(std::size_t site, MatrixView<T> delta) const;

  /// Y[tokens, out] = the adapted output for X[tokens, in], frozen weight and bias included where
  /// they were given (without a weight the update alone); overwritten. The sites of one call read
  /// one X (q, k and v) and share the work on it; at most most_sites_a_call, each once, and no two
  /// outputs share memory (columns of one matrix may alternate). The bias may be omitted where
  /// every site's adapter acts beside its weight. `trace`, where given, keeps what backward needs.
  void forward(std::span<const SiteMatrix<T>> outputs, MatrixView<const T> x, Trace<T>* trace,
               Bias bias = Bias::add) const;
  void forward(std::size_t site, MatrixView<const T> x, MatrixView<T> y, Trace<T>* trace) const;

  /// Given dY = dLoss/dY[tokens, out] of every site: dLoss/dX including the frozen paths, summed
  /// over the sites, into dX (skipped where dX.data is null), and dLoss/dfactor added to the
  /// gradient of every trainable factor (a shared factor collects the sum over its sites). Sites, X
  /// and trace are those of the forward call; throws Error for a trace of other sites or rows.
  void backward(std::span<const SiteMatrix<const T>> d_outputs, MatrixView<const T> x,
                const Trace<T>& trace, MatrixView<T> dx, Into into = Into::add);
  void backward(std::size_t site, MatrixView<const T> x, MatrixView<const T> dy,
                const Trace<T>& trace, MatrixView<T> dx);

  /// The plan for a call on these sites, of one width, with `tokens` rows; of a step with backward,
  /// or a forward alone.
  Plan plan(std::span<const std::size_t> sites, std::size_t tokens, bool training) const;
  void set_policy(const PlanPolicy& policy) { policy_ = policy; }
  /// Of the calls from now on, which begin a pass. Throws Error naming the site where dropout of
  /// its input means nothing: the adapter acts after or before the weight, normalises it or adds a
  /// bias alone, or there are no factors at all; or for a probability outside [0, 1).
  void set_dropout(const AdapterDropout& dropout);

 protected:
  Adapter(std::string method, Stack stack, std::vector<Place> places,
          std::shared_ptr<const Device> device);

  std::string method_;
  Stack stack_;
  std::vector<Place> places_;  ///< one a site
  std::shared_ptr<const Device> device_;
  std::vector<Parameter<T>> parameters_;
  std::vector<FrozenLinear<T>> frozen_;
  std::vector<SiteSamples> samples_;  ///< none, or one a site
  PlanPolicy policy_;
  AdapterDropout dropout_;
  mutable std::size_t dropout_calls_ = 0;  ///< with a trace, since set_dropout

 private:
  /// Why dropout of a site's input means nothing; "" where it does.
  virtual std::string dropout_obstacle(std::size_t) const { return "takes none"; }
  void check_site(std::size_t site) const;
  template <class Matrix>
  void check_call(std::span<const SiteMatrix<Matrix>> sites, const char* name,
                  MatrixView<const T> x) const;
  virtual void do_reconstruct(std::size_t site, MatrixView<T> delta) const = 0;
  virtual void do_forward(std::span<const SiteMatrix<T>> outputs, MatrixView<const T> x,
                          Trace<T>* trace, Bias bias) const = 0;
  virtual void do_backward(std::span<const SiteMatrix<const T>> d_outputs, MatrixView<const T> x,
                           const Trace<T>& trace, MatrixView<T> dx, Into into) = 0;
  virtual Plan do_plan(std::span<const std::size_t> sites, std::size_t tokens,
                       bool training) const = 0;
  /// What of the start is no matter of independent draws.
  virtual void do_start(std::uint64_t seed) = 0;
};

}  // namespace rankfold
