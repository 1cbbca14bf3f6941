#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/device/device.h"

namespace rankfold {

/// The mode of tokens in every compiled network: the one whose size changes from call to call.
inline constexpr int token_mode = 0;

/// One index of a strided tensor: which mode it is, how many values, and the step between them.
struct Axis {
  int mode = 0;
  std::size_t size = 0, stride = 0;
};

/// How many numbers a tensor over these axes has.
std::size_t volume(const std::vector<Axis>& axes);
/// The same of one token: without the token mode.
std::size_t volume_of_one_token(const std::vector<Axis>& axes);
/// Multiplications of the product of two tensors, for one token: the volume over the modes of both.
double product_volume(const std::vector<Axis>& a, const std::vector<Axis>& b);
/// The same modes stored without gaps in this order.
std::vector<Axis> contiguous(std::vector<Axis> axes);
const Axis* find_axis(const std::vector<Axis>& axes, int mode);

/// A loop nest decided once and run for any number of tokens up to the size of the token axis.
class TokenLoop {
 public:
  TokenLoop() = default;
  /// target[...] += a[...] b[...]: every mode of the three is a loop; axes of b may be empty.
  TokenLoop(const std::vector<Axis>& a, const std::vector<Axis>& b,
            const std::vector<Axis>& target);

  StridedLoop for_tokens(std::size_t tokens) const;

 private:
  StridedLoop loop_;
  std::size_t token_dimension_ = StridedLoop::most;
};

/// c[...] = alpha * sum of a[...] b[...] over every mode that c does not have (overwritten or
/// added); a mode may stand in any of the three, and one that only c has is broadcast. Layouts,
/// loops and copies are decided when it is made: matrix products wherever the modes group into
/// rows, columns and a contracted side (token by token where only that makes them group), copies
/// into such an order where they do not, one strided loop nest where there is no product of
/// matrices. Running takes no memory, and any number of tokens up to the size of the token axis.
template <class T>
class PairProduct {
 public:
  PairProduct() = default;
  PairProduct(const std::vector<Axis>& a, const std::vector<Axis>& b, const std::vector<Axis>& c);

  /// Numbers of working memory that `run` needs.
  std::size_t scratch_size() const { return scratch_; }
  void run(const Device& device, T alpha, const T* a, const T* b, T* c, bool overwrite,
           std::size_t tokens, T* scratch) const;

 private:
  enum class Tokens { absent, row, column, contracted, batch };
  struct Layout {
    bool transposed = false;  ///< stored as [columns, rows]
    std::size_t stride = 0;
  };
  struct Roles;
  bool lay_out(const Roles& roles, bool copying);
  static std::optional<Layout> layout(const std::vector<Axis>& tensor,
                                      const std::vector<Axis>& rows,
                                      const std::vector<Axis>& columns);
  void multiply(const Device& device, T alpha, const T* a, const T* b, T* c, T beta,
                std::size_t tokens) const;

  bool by_loops_ = false;
  TokenLoop loop_, fill_;  ///< the whole product, or the zeroing of c
  Tokens tokens_ = Tokens::absent;
  std::size_t m_ = 1, n_ = 1, k_ = 1;  ///< of one token where tokens are among them
  Layout a_, b_, c_;
  std::vector<LoopDimension> batch_;
  std::size_t token_batch_ = StridedLoop::most;
  std::optional<TokenLoop> copy_a_, copy_b_, copy_c_;
  std::size_t size_a_ = 0, size_b_ = 0, size_c_ = 0, scratch_ = 0;
};

/// The product as one loop nest: slow and simple, the oracle of the tests. Adds to c.
template <class T>
void contract_by_loops(const Device& device, T alpha, const T* a, const std::vector<Axis>& a_axes,
                       const T* b, const std::vector<Axis>& b_axes, T* c,
                       const std::vector<Axis>& c_axes);

/// Contraction of operand or earlier step `left` with `right` into a tensor over `modes`, in order.
/// Operands are 0 .. n-1, the result of step k is n + k.
struct ContractionStep {
  std::size_t left = 0, right = 0;
  std::vector<int> modes;
};

/// The cheapest order (multiplications, plus four for every number moved) in which to multiply
/// `operands` (each a list of modes) into a tensor over `output`, by dynamic programming over
/// subsets; `sizes` by mode. Fewer than two operands need no step. The last step's modes are
/// `output` in its order.
std::vector<ContractionStep> plan_contraction(const std::vector<std::vector<int>>& operands,
                                              const std::vector<int>& output,
                                              const std::vector<std::size_t>& sizes);

}  // namespace rankfold
