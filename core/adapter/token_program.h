#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/adapter/tree_program.h"
#include "core/network/compiled_network.h"

namespace rankfold {

/// One step of an adapter's map, compiled: x -> activation(network x).
struct CompiledStage {
  CompiledNetwork network;
  Activation activation = Activation::none;
};

/// Row strides of the matrices that a program works on, in elements.
struct ProgramStrides {
  std::size_t x = 0, dx = 0;
  std::vector<std::size_t> y;  ///< one a member
  bool operator==(const ProgramStrides&) const = default;
};

/// Multiplications, additions and numbers moved of running a program once: for every token, and
/// whatever their number. `input` is what dX costs beyond the rest.
struct ProgramCost {
  double forward_flops = 0, gradient_flops = 0, input_flops = 0;  ///< a token
  double forward_moved = 0, gradient_moved = 0, input_moved = 0;  ///< numbers a token
  double fixed_flops = 0, fixed_moved = 0;                        ///< a call
};

/// The maps of several sites that read one X, run together by blocks of tokens, of the size that
/// the device chooses: for a block, h_0 = X, h_i = h_{i-1} c_i, Y += scale h_n, and in reverse the
/// gradients of all coefficients c_i, whose sums over the blocks of a lane are added up in the
/// order of the lanes. The first coefficients of all sites lie below each other, so X meets them in
/// one product; equal ones (LoTR's shared factor) are there once. Coefficients that are products
/// themselves are evaluated before the blocks, and differentiated behind them.
///
/// A program holds no numbers: callers give it memory_size(the device's lanes) of them.
template <class T>
class TokenProgram {
 public:
  /// `members`: the stages of each site; they outlive the program.
  TokenProgram(std::vector<std::span<const CompiledStage>> members,
               const std::vector<Parameter<T>>& parameters, ProgramStrides strides,
               const Device& device);

  std::size_t memory_size(std::size_t lanes) const { return shared_ + lanes * private_; }
  const ProgramStrides& strides() const { return strides_; }
  const ProgramCost& cost() const { return cost_; }

  /// outputs[m] += f_m(X), or where `residual` output = X + f(X) of a program of one member.
  void forward(const Device& device, const std::vector<Parameter<T>>& parameters,
               MatrixView<const T> x, std::span<const MatrixView<T>> outputs, bool residual,
               T* memory) const;
  /// dX += sum over m of (df_m/dX)^T d_outputs[m] where dX has memory (of a residual also d_output
  /// itself, into dX as `into` says); with `gradients` adds to those of the trainable parameters.
  void backward(const Device& device, std::vector<Parameter<T>>& parameters, MatrixView<const T> x,
                std::span<const MatrixView<const T>> d_outputs, MatrixView<T> dx, bool residual,
                Into into, bool gradients, T* memory) const;

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  struct Coefficient {
    TreeOperand source;
    std::size_t tree = none;  ///< where it is a product
    std::size_t size = 0;
    bool trainable = false;
    std::size_t value = 0;        ///< in the shared memory
    std::size_t accumulator = 0;  ///< in a lane's memory
    std::vector<Axis> stored;
    TokenLoop gather, scatter;  ///< of a parameter
  };
  struct Link {
    std::size_t coefficient = 0;
    PairProduct<T> forward, to_coefficient, to_input;
    std::size_t value = 0, gradient = 0;  ///< of its result, in a lane's memory
  };
  struct Chain {
    const CompiledTerm* term = nullptr;
    T scale = 1;
    std::vector<Link> links;
    bool stacked = false;      ///< the first link is part of the stack
    bool writes_first = true;  ///< of the chains that write this part of the stack's gradient
  };
  struct Row {  ///< of a constant term
    T scale = 1;
    std::size_t coefficient = 0;
    TokenLoop add, sum;
  };
  struct Stage {
    std::size_t in = 0, out = 0;
    Activation activation = Activation::none;
    std::vector<Chain> chains;
    std::vector<Row> rows;
    std::size_t value = 0, gradient = 0;  ///< of its output, where a stage follows
    std::size_t slopes = 0;               ///< of its activation, but of relu
  };
  struct Member {
    std::vector<Stage> stages;
  };
  /// What a call works on.
  struct Run {
    const Device& device;
    const std::vector<Parameter<T>>& parameters;
    MatrixView<const T> x;
    std::span<const MatrixView<T>> outputs;
    std::span<const MatrixView<const T>> d_outputs;
    MatrixView<T> dx;
    bool residual;
    Into into;
    bool gradients;
    T* shared;
  };

  std::size_t add_coefficient(const TreeOperand& operand, const std::vector<Axis>& stored,
                              std::size_t first_tree, const std::vector<Parameter<T>>& parameters);
  void add_term(const CompiledTerm& term, std::size_t member, std::size_t stage, bool last,
                const std::vector<Parameter<T>>& parameters);
  void place();
  void plan_chain(Chain& chain, std::size_t member, std::size_t stage);

  void evaluate_coefficients(const Device& device, const std::vector<Parameter<T>>& parameters,
                             T* shared) const;
  void add_gradients(const Device& device, std::vector<Parameter<T>>& parameters, std::size_t lanes,
                     T* shared) const;
  void project(const Run& run, std::size_t first, std::size_t tokens, T* mine) const;
  void forward_block(const Run& run, std::size_t first, std::size_t tokens, T* mine) const;
  void backward_block(const Run& run, std::size_t first, std::size_t tokens, T* mine) const;
  void run_chain(const Run& run, const Chain& chain, const T* input, T* output, std::size_t tokens,
                 T* mine) const;
  void run_stage(const Run& run, const Stage& stage, const T* input, T* output, std::size_t tokens,
                 T* mine) const;
  void reverse_chain(const Run& run, const Chain& chain, const T* input, const T* d_output,
                     T* d_input, std::size_t tokens, T* mine) const;
  template <class Function>
  std::size_t for_blocks(const Device& device, std::size_t tokens, T* shared,
                         const Function& function) const;

  ProgramStrides strides_;
  std::size_t in_ = 0, block_ = 0;
  TreeProgram<T> trees_;
  std::vector<Coefficient> coefficients_;
  std::vector<std::size_t> stack_;  ///< the coefficients of the stack, in its order
  std::vector<Member> members_;
  // Of the stack: rows in the shared memory, its accumulator, its products with X and their
  // gradients in a lane's memory.
  std::size_t stack_rows_ = 0, stack_value_ = 0, stack_accumulator_ = 0, stack_product_ = 0,
              stack_gradient_ = 0;
  std::size_t shared_ = 0, private_ = 0, accumulators_ = 0, scratch_ = 0;
  ProgramCost cost_;
};

}  // namespace rankfold
