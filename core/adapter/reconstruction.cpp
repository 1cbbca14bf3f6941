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
    trees_.set_value(trees_.add(term.reconstruct, first[i], parameters), 0);
    scales_.push_back(static_cast<T>(term.scale));
  }
  memory_ = trees_.place(0);
}

template <class T>
void Reconstruction<T>::add_to(const Device& device, const std::vector<Parameter<T>>& parameters,
                               T* dense, T* memory) const {
  trees_.evaluate(device, parameters, memory, blocks_);
  for (std::size_t i = 0; i < scales_.size(); ++i)
    trees_.add_value(device, parameters, memory, blocks_ + i, scales_[i], dense);
}

template <class T>
void Reconstruction<T>::reverse(const Device& device, std::vector<Parameter<T>>& parameters,
                                const T* dense, T* memory) const {
  trees_.evaluate(device, parameters, memory, blocks_);
  trees_.clear_gradients(device, memory, blocks_);
  for (std::size_t i = 0; i < scales_.size(); ++i)
    trees_.add_value(device, parameters, memory, blocks_ + i, T{1}, nullptr);
  for (std::size_t i = 0; i < scales_.size(); ++i)
    trees_.reverse_one(device, parameters, memory, blocks_ + i, scales_[i], dense);
  trees_.reverse(device, parameters, memory, blocks_);
}

template class Reconstruction<float>;
template class Reconstruction<double>;

}  // namespace rankfold
