#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "core/backend.h"

namespace rankfold {

/// One index of a strided tensor: which mode it is, how many values, and the step between them.
struct Axis {
  int mode = 0;
  std::size_t size = 0, stride = 0;
};

/// How many numbers a tensor over these axes has.
std::size_t volume(const std::vector<Axis>& axes);

/// A strided tensor in somebody else's memory. Axes of size 1 need not be listed.
template <class T>
struct TensorView {
  T* data = nullptr;
  std::vector<Axis> axes;
};

/// Working memory that is reused call after call: take what is needed, reset at the start of a
/// call.
template <class T>
class Scratch {
 public:
  explicit Scratch(std::shared_ptr<const Backend> backend) : backend_(std::move(backend)) {}
  void reset() { used_ = 0; }
  /// `size` zeros, valid until reset.
  T* take(std::size_t size);

 private:
  std::shared_ptr<const Backend> backend_;
  std::deque<Buffer<T>> blocks_;
  std::size_t used_ = 0;
};

/// c[...] += alpha * sum of a[...] b[...] over every mode that c does not have; a mode may stand in
/// any of the three, and one that only c has is broadcast. Uses matrix products wherever the modes
/// group into rows, columns and a contracted side, in one strided loop nest otherwise.
template <class T>
void contract(const Backend& backend, Scratch<T>& scratch, T alpha, const TensorView<const T>& a,
              const TensorView<const T>& b, const TensorView<T>& c);

/// c[...] += alpha * a[...], summed and broadcast as above.
template <class T>
void accumulate(const Backend& backend, T alpha, const TensorView<const T>& a,
                const TensorView<T>& c);

/// The generic path of contract, always one loop nest: slow and simple, the oracle of its tests.
template <class T>
void contract_by_loops(const Backend& backend, T alpha, const TensorView<const T>& a,
                       const TensorView<const T>& b, const TensorView<T>& c);

/// Contraction of operand or earlier step `left` with `right` into a tensor over `modes`, in order.
/// Operands are 0 .. n-1, the result of step k is n + k.
struct ContractionStep {
  std::size_t left = 0, right = 0;
  std::vector<int> modes;
};

/// The cheapest order (FLOPs, then bytes) in which to multiply `operands` (each a list of modes)
/// into a tensor over `output`, by dynamic programming over subsets; `sizes` by mode. Fewer than
/// two operands need no step. The last step's modes are `output` in its order.
std::vector<ContractionStep> plan_contraction(const std::vector<std::vector<int>>& operands,
                                              const std::vector<int>& output,
                                              const std::vector<std::size_t>& sizes);

}  // namespace rankfold
