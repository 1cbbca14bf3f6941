#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/fit/multi_product.h"

namespace rankfold {

/// A factor as a product reads it: part of parameter `parameter`, from `offset` on.
struct FitOperand {
  std::size_t parameter = 0, offset = 0;
  std::vector<Axis> axes;
};

/// scale * product of operands, summed over every mode that the data do not have.
struct FitTerm {
  double scale = 1;
  std::vector<FitOperand> operands;
};

/// One tensor to be fitted, contiguous over `data`, and the terms whose sum shall be it. Modes of
/// the data have the same numbers in all terms; others may mean something else in each.
struct FitBlock {
  std::vector<Axis> data;
  std::vector<FitTerm> terms;
};

struct FitParameter {
  std::size_t size = 0;
  bool trainable = true;
};

/// The values of all parameters, and what products need: one for each thread.
template <class T>
struct FitState {
  std::vector<std::vector<double>> values;
  std::vector<std::vector<T>> rounded;  ///< the values in the data's precision
  std::vector<T> right, model;
  std::vector<double> normal;
  ProductMemory<T> memory;
  ProductMemory<double> normal_memory;

  void set(std::size_t parameter, std::vector<double> value);
};

/// Alternating least squares for sums of products that are linear in every parameter. For the
/// parameter f with everything else held,
///   min |D - L f|^2  =>  (L^T L) f = L^T D,
/// where L^T D is the contraction of the data with the other factors, and L^T L that of the other
/// factors with themselves: it is block diagonal over the modes that f shares with the data, and
/// the same for all values of those that no other factor has (the rows of a matrix factor). Neither
/// the Jacobian L nor its product with itself over the data's size is formed. Products with data
/// run in T, the normal equations in double.
template <class T>
class LeastSquares {
 public:
  /// Throws Error where a parameter stands twice in one product.
  LeastSquares(std::vector<FitBlock> blocks, std::vector<FitParameter> parameters,
               std::shared_ptr<const Device> device);

  const std::vector<FitParameter>& parameters() const { return parameters_; }
  const std::vector<FitBlock>& blocks() const { return blocks_; }
  /// Whether terms without trainable factors have to be taken off the data first.
  bool has_constant_part() const { return has_constant_part_; }
  /// Takes them off the data of a block, in place.
  void remove_constant_part(std::size_t block, T* data, FitState<T>& state) const;

  FitState<T> make_state() const;
  /// The parameter's best values with all others held. Returns by how much |D - model|^2 of a model
  /// without this parameter's terms falls (x . L^T D).
  double update(std::size_t parameter, std::span<const T* const> data, FitState<T>& state) const;
  /// Whether |D|^2 - update(...) is the residual: there is a single term that is not constant.
  bool knows_residual() const { return knows_residual_; }
  /// |D - model|^2 over all blocks.
  double residual(std::span<const T* const> data, FitState<T>& state) const;

 private:
  struct Read {  ///< of one parameter by one term of a block
    std::size_t term, operand;
    MultiProduct<T> right;                      ///< into the parameter's own strides
    std::vector<std::size_t> inner;             ///< offsets of entries by the place in their system
    std::vector<std::size_t> varying, uniform;  ///< and of the systems
    std::vector<std::size_t> others;
  };
  struct Cross {  ///< another term of the block, which holds other trainable parameters
    std::size_t read, term;
    MultiProduct<T> right;
  };
  struct Pair {  ///< of reads of one block
    std::size_t first, second;
    MultiProduct<double> normal;
  };
  struct BlockPlan {
    std::size_t block;
    std::vector<Read> reads;
    std::vector<Cross> crosses;
    std::vector<Pair> pairs;
  };
  struct System {
    std::vector<std::size_t> entries;
    std::size_t matrix = 0;  ///< where its normal equations begin
  };
  struct ParameterPlan {
    std::vector<BlockPlan> blocks;
    bool regular = false;  ///< one read: systems follow from its offsets
    std::vector<System> systems;
    std::vector<std::size_t> system_of, place_of;
    std::size_t matrices = 0;  ///< numbers in the normal equations of all systems
  };

  ParameterPlan plan(std::size_t parameter) const;
  BlockPlan plan_block(std::size_t parameter, std::size_t block) const;
  static void find_systems(ParameterPlan& plan, std::size_t size);
  void solve_regular(const ParameterPlan& plan, FitState<T>& state,
                     std::vector<double>& values) const;
  void solve_systems(const ParameterPlan& plan, FitState<T>& state,
                     std::vector<double>& values) const;

  std::vector<FitBlock> blocks_;
  std::vector<FitParameter> parameters_;
  std::shared_ptr<const Device> device_;
  std::vector<ParameterPlan> plans_;
  std::vector<std::vector<MultiProduct<T>>> models_;  ///< by block and term
  std::vector<std::vector<bool>> constant_;           ///< by block and term
  bool has_constant_part_ = false, knows_residual_ = true;
};

}  // namespace rankfold
