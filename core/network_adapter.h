#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/adapter.h"
#include "core/compiled_network.h"
#include "core/network.h"

namespace rankfold {

/// The adapter of any declared method: a chain of networks a site, each applied and differentiated
/// by walking its contraction tree forwards and in reverse.
template <class T>
class NetworkAdapter final : public Adapter<T> {
 public:
  /// `declarations`: one a site. Throws Error naming both sites where a shared factor has unequal
  /// shapes. Calls on one adapter must not overlap in time (they share working memory).
  NetworkAdapter(std::string method, const Stack& stack,
                 const std::vector<Declaration>& declarations,
                 std::shared_ptr<const Backend> backend);

 private:
  struct CompiledStage {
    CompiledNetwork network;
    Activation activation;
    std::vector<std::size_t> first_slot;  ///< of each term, in the trace
    std::size_t output_slot;              ///< of what the stage hands to the next
  };
  struct CompiledSite {
    std::vector<CompiledStage> stages;
    std::size_t input_slot = 0;  ///< a copy of z (after), or f(x) (before)
    std::size_t slots = 0;
  };

  void do_reconstruct(std::size_t site, MatrixView<T> delta) const override;
  void do_forward(std::size_t site, MatrixView<const T> x, MatrixView<T> y,
                  Trace<T>* trace) const override;
  void do_backward(std::size_t site, MatrixView<const T> x, MatrixView<const T> dy,
                   const Trace<T>& trace, MatrixView<T> dx) override;

  std::size_t add_parameter(const Factor& factor, const Site& site);
  void run_stages(const CompiledSite& site, MatrixView<const T> x, MatrixView<T> y,
                  Trace<T>& trace) const;
  void reverse_stages(const CompiledSite& site, MatrixView<const T> x, MatrixView<const T> dy,
                      const Trace<T>& trace, MatrixView<T> dx);

  std::vector<CompiledSite> sites_;
  std::vector<std::string> first_user_;  ///< the site that created each parameter, for messages
  mutable Scratch<T> scratch_;
  mutable Trace<T> own_trace_;
};

}  // namespace rankfold
