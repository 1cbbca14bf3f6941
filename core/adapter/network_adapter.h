#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/adapter/normalised_weight.h"
#include "core/adapter/reconstruction.h"
#include "core/adapter/token_program.h"
#include "core/network/compiled_network.h"
#include "core/network/factor_copies.h"
#include "core/network/network.h"

namespace rankfold {

/// The adapter of any declared method: a chain of networks a site. For every call it chooses, by
/// the cost that the device's rates predict, between the factors (a TokenProgram over all sites of
/// the call) and the merged weights W + dW, and for the factors' gradients between the program and
/// the dense dY^T X.
template <class T>
class NetworkAdapter final : public Adapter<T> {
 public:
  /// `declarations`: one a site. Parameters have the numbers of FactorCopies over them. Throws
  /// Error naming both sites where a shared factor has unequal shapes. Calls on one adapter must
  /// not overlap in time (they share working memory).
  NetworkAdapter(std::string method, const Stack& stack,
                 const std::vector<Declaration>& declarations,
                 std::shared_ptr<const Device> device);

  using Adapter<T>::is_weight_update;
  bool is_weight_update(std::size_t site) const override;
  bool needs_frozen() const override;
  bool adds_bias(std::size_t site) const override;
  StartSamples start_samples() const override { return start_samples_; }

 private:
  struct CompiledSite {
    std::vector<CompiledStage> stages;
    std::vector<Reconstruction<T>> reconstructions;  ///< of the stages, where they are linear
    bool purely_linear = false;  ///< beside the weight, and W' - W is all of the map
    /// Where W' is no sum: its norms, which a forward call refreshes, and the magnitudes.
    mutable std::optional<NormalisedWeight<T>> normalised;
    std::vector<std::size_t> magnitudes;
    std::vector<std::size_t> factors;  ///< the site's copies, for its start
    std::function<void(Start&)> start;
  };
  struct SitesProgram {
    std::vector<std::size_t> sites;
    TokenProgram<T> program;
  };
  using Output = SiteMatrix<T>;
  using Gradient = SiteMatrix<const T>;

  void do_reconstruct(std::size_t site, MatrixView<T> delta) const override;
  void do_forward(std::span<const Output> outputs, MatrixView<const T> x, Trace<T>* trace,
                  Bias bias) const override;
  void do_backward(std::span<const Gradient> d_outputs, MatrixView<const T> x,
                   const Trace<T>& trace, MatrixView<T> dx, Into into) override;
  Plan do_plan(std::span<const std::size_t> sites, std::size_t tokens,
               bool training) const override;
  void do_start(std::uint64_t seed) override;
  std::string dropout_obstacle(std::size_t site) const override;

  void add_parameters(const FactorCopies& copies);
  template <class Matrix>
  const SitesProgram& program(std::span<const SiteMatrix<Matrix>> sites, std::size_t x_stride,
                              std::size_t dx_stride) const;
  Plan choose(const SitesProgram& entry, std::size_t tokens, bool training) const;
  void form_update(std::size_t site, T* weight) const;
  void form_update_around(std::size_t site, T* update) const;
  const T* merge(std::size_t site, Buffer<T>& merged) const;
  using Magnitudes = std::array<T*, 2>;
  Magnitudes magnitudes(const CompiledSite& site, bool gradients) const;
  const T* frozen_weight(std::size_t site) const;
  void reverse_norms(std::size_t site, T* gradient);
  void reserve_normalised(const Output& output, MatrixView<const T> x) const;
  void add_normalised_gradients(const Gradient& d_output, MatrixView<const T> x,
                                const FrozenLinear<T>& layer, const Buffer<T>& output,
                                MatrixView<T> dx, Into into);
  template <class Matrix>
  bool all_beside(std::span<const SiteMatrix<Matrix>> sites) const;

  void forward_beside(std::span<const Output> outputs, MatrixView<const T> x, Trace<T>& kept,
                      bool training, Bias bias) const;
  void forward_around(const Output& output, MatrixView<const T> x, Buffer<T>& kept) const;
  void backward_beside(std::span<const Gradient> d_outputs, MatrixView<const T> x,
                       const Trace<T>& trace, MatrixView<T> dx, Into into);
  void backward_around(const Gradient& d_output, MatrixView<const T> x, const Buffer<T>& kept,
                       MatrixView<T> dx, Into into);
  void drop(const Trace<T>& trace, std::size_t site, MatrixView<T> x) const;
  MatrixView<const T> kept_input(const Trace<T>& trace, std::size_t site,
                                 MatrixView<const T> x) const;
  void forward_dropped(const SitesProgram& entry, const Output& output, MatrixView<const T> x,
                       const Trace<T>& trace) const;
  void backward_dropped(const SitesProgram& entry, const Gradient& d_output, MatrixView<const T> x,
                        const Trace<T>& trace, MatrixView<T> dx);
  void run_forward(const SitesProgram& entry, MatrixView<const T> x,
                   std::span<const Output> outputs, bool residual = false) const;
  void run_backward(const SitesProgram& entry, MatrixView<const T> x,
                    std::span<const Gradient> d_outputs, MatrixView<T> dx, bool gradients,
                    bool residual = false, Into into = Into::add);
  void add_dense_gradients(const Gradient& d_output, MatrixView<const T> x);
  T* reserve(Buffer<T>& buffer, std::size_t size) const;

  std::vector<CompiledSite> sites_;
  StartSamples start_samples_ = StartSamples::none;
  mutable std::vector<std::unique_ptr<SitesProgram>> programs_;
  mutable Buffer<T> memory_;         ///< of programs and reconstructions
  mutable Buffer<T> matrix_;         ///< a matrix of one call
  mutable Buffer<T> update_;         ///< dW, where norms are differentiated
  mutable Buffer<T> scaled_, sums_;  ///< dY and X with norms, and sums of them over tokens
  mutable Buffer<T> row_sums_;
  mutable Buffer<T> dropped_, d_dropped_;  ///< X with dropout, and the gradient of that
  mutable Trace<T> own_trace_;
};

}  // namespace rankfold
