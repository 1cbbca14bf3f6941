#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/fit/update_source.h"
#include "experiments/adapter_files/adapter_folder.h"

namespace rankfold {

/// The updates of some sites of an adapter, which must outlive it, formed when they are read: by
/// one thread at a time, because an adapter reconstructs in memory of its own.
class AdapterUpdates final : public UpdateSource<float> {
 public:
  AdapterUpdates(const Adapter<float>& adapter, std::vector<std::size_t> sites);
  const float* read(std::size_t site, std::vector<float>& scratch) const override;

 private:
  const Adapter<float>& adapter_;
  std::vector<std::size_t> sites_;
  mutable std::mutex mutex_;
};

/// Whether every site has one product B[out, r] A[r, in] of trainable factors of its own, so that
/// every site may have a rank of its own.
bool has_one_pair_a_site(const DescribedMethod& described);

}  // namespace rankfold
