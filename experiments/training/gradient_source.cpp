#include "experiments/training/gradient_source.h"

namespace rankfold {

double Backpropagation::form_gradients(Host& host, Adapter<float>& adapter, const Batch& batch,
                                       std::uint64_t seed, std::uint64_t pass) {
  host.zero_gradients();
  adapter.zero_gradients();
  return host.train_pass(batch, seed, pass);
}

double Backpropagation::add_gradients(Host& host, Adapter<float>&, const Batch& batch,
                                      std::uint64_t seed, std::uint64_t pass) {
  return host.train_pass(batch, seed, pass);
}

}  // namespace rankfold
