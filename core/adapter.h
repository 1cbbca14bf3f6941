#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend.h"
#include "core/network.h"
#include "core/stack.h"

namespace rankfold {

/// One copy of a factor: its value and its gradient, row-major over `shape`.
template <class T>
struct Parameter {
  std::string name;  ///< "<factor>" where the model owns one copy, else "<factor>.<owner>"
  std::string factor;
  std::vector<std::size_t> shape;
  bool trainable = true;
  Initialiser initialiser;
  Buffer<T> value, gradient;
};

/// The frozen weight and bias of a site; bias may be null. The memory belongs to the model.
template <class T>
struct FrozenLinear {
  const T* weight = nullptr;  ///< [out, in]
  const T* bias = nullptr;    ///< [out]
};

/// What one forward call leaves for its backward. Its owner keeps X alive and unchanged meanwhile;
/// one object a site and call, reused over steps without new memory.
template <class T>
struct Trace {
  std::vector<Buffer<T>> buffers;
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
  Place place(std::size_t site) const { return places_.at(site); }
  std::vector<Parameter<T>>& parameters() { return parameters_; }
  const std::vector<Parameter<T>>& parameters() const { return parameters_; }
  /// The parameter of that name; throws Error with the nearest name.
  Parameter<T>& parameter(std::string_view name);
  /// Trainable numbers, shared factors counted once.
  std::size_t parameter_count() const;

  /// Draws every factor from its initialiser; addressed by (seed, "initialise/<method>/<name>").
  void initialise(std::uint64_t seed);
  void zero_gradients();

  /// One frozen layer a site, in the stack's order; needed where frozen weights enter (backward's
  /// frozen path, adapters before or after the weight).
  void set_frozen(std::vector<FrozenLinear<T>> frozen);

  /// W' - W of a site, [out, in], overwritten (the linear part, where a method adds a bias too).
  /// Throws Error where the method is no weight update.
  bool is_weight_update() const;
  void reconstruct(std::size_t site, MatrixView<T> delta) const;

  /// Y[tokens, out] holds X W^T + b on entry and the adapted output on return. X is [tokens, in].
  /// Where `trace` is given, it keeps what backward needs.
  void forward(std::size_t site, MatrixView<const T> x, MatrixView<T> y, Trace<T>* trace) const;

  /// Given dY = dLoss/dY[tokens, out]: adds dLoss/dX including the frozen path to dX (skipped where
  /// dX.data is null), and dLoss/dfactor to the gradient of every trainable factor (a shared factor
  /// collects the sum over its sites). X and trace are those of the forward call.
  void backward(std::size_t site, MatrixView<const T> x, MatrixView<const T> dy,
                const Trace<T>& trace, MatrixView<T> dx);

 protected:
  Adapter(std::string method, Stack stack, std::vector<Place> places,
          std::shared_ptr<const Backend> backend);

  std::string method_;
  Stack stack_;
  std::vector<Place> places_;  ///< one a site
  std::shared_ptr<const Backend> backend_;
  std::vector<Parameter<T>> parameters_;
  std::vector<FrozenLinear<T>> frozen_;

 private:
  virtual void do_reconstruct(std::size_t site, MatrixView<T> delta) const = 0;
  virtual void do_forward(std::size_t site, MatrixView<const T> x, MatrixView<T> y,
                          Trace<T>* trace) const = 0;
  virtual void do_backward(std::size_t site, MatrixView<const T> x, MatrixView<const T> dy,
                           const Trace<T>& trace, MatrixView<T> dx) = 0;
};

}  // namespace rankfold
