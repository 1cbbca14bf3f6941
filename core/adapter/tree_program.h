#pragma once

#include <cstddef>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/network/compiled_network.h"
#include "core/network/tensor_tree.h"

namespace rankfold {

/// Products without tokens that read parameters and each other, with a place in somebody's memory
/// for the value, the inner results and the gradients of each.
template <class T>
class TreeProgram {
 public:
  /// Adds the tree; its blocks are those added since tree `first`. Returns its number.
  std::size_t add(const ContractionTree& tree, std::size_t first,
                  const std::vector<Parameter<T>>& parameters);
  std::size_t size() const { return trees_.size(); }
  /// A value may lie in memory that something else owns; the rest is taken by `place`.
  void set_value(std::size_t tree, std::size_t offset) { trees_[tree].value = offset; }
  /// Takes memory from `used` on, with one scratch for all of them; returns its new end.
  std::size_t place(std::size_t used);

  bool trainable(std::size_t tree) const { return trees_[tree].trainable; }
  std::size_t value(std::size_t tree) const { return trees_[tree].value; }
  std::size_t gradient(std::size_t tree) const { return trees_[tree].gradient; }
  std::size_t output_size(std::size_t tree) const { return trees_[tree].planned.output_size(); }
  double flops() const;

  /// Values of all trees below `end`, each before those that read it.
  void evaluate(const Device& device, const std::vector<Parameter<T>>& parameters, T* memory,
                std::size_t end) const;
  /// target += scale * tree, or nothing but the inner results where the target has no memory.
  void add_value(const Device& device, const std::vector<Parameter<T>>& parameters, T* memory,
                 std::size_t tree, T scale, T* target) const;

  void clear_gradients(const Device& device, T* memory, std::size_t end) const;
  /// Adds scale * `gradient` of the tree to the parameters and the trees that it reads.
  void reverse_one(const Device& device, std::vector<Parameter<T>>& parameters, T* memory,
                   std::size_t tree, T scale, const T* gradient) const;
  /// The same for all trees below `end` from their own gradients, the last first.
  void reverse(const Device& device, std::vector<Parameter<T>>& parameters, T* memory,
               std::size_t end) const;

 private:
  static constexpr std::size_t unplaced = static_cast<std::size_t>(-1);
  struct Tree {
    TensorTree<T> planned;
    std::vector<TreeOperand> operands;
    std::size_t first = 0;
    std::size_t value = unplaced, inner = 0, gradient = 0, inner_gradient = 0;
    bool trainable = false;
  };
  void run(const Device& device, const std::vector<Parameter<T>>& parameters, T* memory,
           const Tree& tree, T scale, T* target, bool overwrite) const;

  std::vector<Tree> trees_;
  std::size_t scratch_ = 0;
};

}  // namespace rankfold
