#include "experiments/training/gradient_source.h"

namespace rankfold {

double Backpropagation::form_gradients(Host& host, Adapter<float>& adapter, const Batch& batch,
                                       std::uint64_t seed, std::uint64_t step) {
  host.zero_gradients();
  adapter.zero_gradients();
  return host.train_pass(batch, seed, step);
}

}  // namespace rankfold
