#include "core/adapter/reconstruction.h"

namespace rankfold {

template <class T>
Reconstruction<T>::Reconstruction(const CompiledNetwork& network,
                                  const std::vector<Parameter<T>>& parameters) {
  std::vector<std::size_t> first;
  for (const CompiledTerm& term : network.terms) {
    first.push_back(trees_.size());
    if (term.constant) continue;
    for (std::size_t i = 0; i < term.regrouped; ++i)
      trees_.add(term.blocks[i], first.back(), parameters);
  }
  blocks_ = trees_.size();
  for (std::size_t i = 0; i < network.terms.size(); ++i) {
    const CompiledTerm& term = network.terms[i];
    if (term.constant) continue;
    const std::size_t tree = trees_.add(term.reconstruct, first[i], parameters);
    scales_.push_back(static_cast<T>(term.scale));
    diagonals_.emplace_back();
    if (term.diagonal.empty()) {
      trees_.set_value(tree, 0);
      continue;
    }
    const std::vector<Axis>& values = term.reconstruct.output;
    diagonals_.back() = {TokenLoop(values, {}, term.diagonal),
                         TokenLoop(term.diagonal, {}, values)};
  }
  memory_ = trees_.place(0);
}

template <class T>
void Reconstruction<T>::add_to(const Device& device, const std::vector<Parameter<T>>& parameters,
                               T* dense, T* memory) const {
  trees_.evaluate(device, parameters, memory, blocks_);
  for (std::size_t i = 0; i < scales_.size(); ++i) {
    const std::size_t tree = blocks_ + i;
    T* const value = diagonals_[i] ? memory + trees_.value(tree) : dense;
    if (diagonals_[i]) device.fill(trees_.output_size(tree), T{0}, value);
    trees_.add_value(device, parameters, memory, tree, scales_[i], value);
    if (diagonals_[i])
      device.accumulate(diagonals_[i]->scatter.for_tokens(1), T{1}, value,
                        static_cast<const T*>(nullptr), dense);
  }
}

template <class T>
void Reconstruction<T>::reverse(const Device& device, std::vector<Parameter<T>>& parameters,
                                const T* dense, T* memory) const {
  trees_.evaluate(device, parameters, memory, blocks_);
  trees_.clear_gradients(device, memory, blocks_);
  for (std::size_t i = 0; i < scales_.size(); ++i)
    trees_.add_value(device, parameters, memory, blocks_ + i, T{1}, nullptr);
  for (std::size_t i = 0; i < scales_.size(); ++i) {
    const std::size_t tree = blocks_ + i;
    const T* gradient = dense;
    if (diagonals_[i]) {
      T* const gathered = memory + trees_.gradient(tree);
      device.fill(trees_.output_size(tree), T{0}, gathered);
      device.accumulate(diagonals_[i]->gather.for_tokens(1), T{1}, dense,
                        static_cast<const T*>(nullptr), gathered);
      gradient = gathered;
    }
    trees_.reverse_one(device, parameters, memory, tree, scales_[i], gradient);
  }
  trees_.reverse(device, parameters, memory, blocks_);
}

template class Reconstruction<float>;
template class Reconstruction<double>;

}  // namespace rankfold
