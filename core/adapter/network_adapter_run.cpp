#include <algorithm>
#include <array>

#include "core/adapter/frozen_product.h"
#include "core/adapter/network_adapter.h"
#include "core/base/error.h"
#include "core/device/work.h"

// The calls of NetworkAdapter: outputs, and gradients.

namespace rankfold {
template <class T>
T* NetworkAdapter<T>::reserve(Buffer<T>& buffer, std::size_t size) const {
  if (buffer.size() < size) {
    buffer = Buffer<T>();  // given back first, so that both never exist together
    buffer = Buffer<T>(this->device_, size);
  }
  return buffer.data();
}

template <class T>
template <class Matrix>
bool NetworkAdapter<T>::all_beside(std::span<const SiteMatrix<Matrix>> sites) const {
  return std::ranges::all_of(sites, [&](const SiteMatrix<Matrix>& entry) {
    return this->places_[entry.site] == Place::beside;
  });
}

/// The program for these sites and strides, made when it is first asked for.
template <class T>
template <class Matrix>
const typename NetworkAdapter<T>::SitesProgram& NetworkAdapter<T>::program(
    std::span<const SiteMatrix<Matrix>> sites, std::size_t x_stride, std::size_t dx_stride) const {
  for (const auto& entry : programs_) {
    const ProgramStrides& strides = entry->program.strides();
    bool same =
        entry->sites.size() == sites.size() && strides.x == x_stride && strides.dx == dx_stride;
    for (std::size_t i = 0; same && i < sites.size(); ++i)
      same = entry->sites[i] == sites[i].site && strides.y[i] == sites[i].matrix.stride;
    if (same) return *entry;
  }
  ProgramStrides strides{x_stride, dx_stride, {}};
  std::vector<std::size_t> numbers;
  std::vector<std::span<const CompiledStage>> members;
  for (const SiteMatrix<Matrix>& entry : sites) {
    strides.y.push_back(entry.matrix.stride);
    numbers.push_back(entry.site);
    members.push_back(sites_[entry.site].stages);
  }
  programs_.push_back(std::make_unique<SitesProgram>(SitesProgram{
      std::move(numbers),
      TokenProgram<T>(std::move(members), this->parameters_, strides, *this->device_)}));
  return *programs_.back();
}

template <class T>
Plan NetworkAdapter<T>::choose(const SitesProgram& entry, std::size_t tokens, bool training) const {
  const MachineRates rates = this->device_->rates();
  const ProgramCost& cost = entry.program.cost();
  const auto rows = static_cast<double>(tokens);
  const auto seconds = [&](double flops, double moved) {
    return flops / rates.thin_flops + moved / rates.moved;
  };
  const double fixed = seconds(cost.fixed_flops, cost.fixed_moved);
  Plan plan;
  plan.factored_seconds = fixed + rows * seconds(cost.forward_flops, cost.forward_moved);
  if (training) {
    plan.factored_seconds += rows * seconds(cost.input_flops, cost.input_moved);
    plan.factored_gradient_seconds =
        fixed + rows * seconds(cost.gradient_flops, cost.gradient_moved);
  }
  bool normalised = false;
  for (const std::size_t index : entry.sites) {
    const CompiledSite& site = sites_[index];
    normalised = normalised || site.normalised;
    const Site& shape = this->stack_.sites[index];
    plan.can_be_dense = plan.can_be_dense && site.purely_linear;
    plan.can_merge =
        plan.can_merge && site.purely_linear && (site.normalised || !this->frozen_[index].bfloat16);
    if (!site.purely_linear) continue;
    const double size = static_cast<double>(shape.out) * static_cast<double>(shape.in);
    const double formed = seconds(site.reconstructions.front().flops(), 3 * size);
    plan.merged_seconds += formed;
    if (training) plan.dense_seconds += 2 * rows * size / rates.large_flops + 2 * formed;
    if (training && site.normalised) {  // Y kept, read, and dY scaled; X and dX with columns' norms
      const std::size_t width = shape.out + (site.normalised->has_columns() ? shape.in : 0);
      plan.factored_gradient_seconds += seconds(0, 5 * rows * static_cast<double>(width)) +
                                        (1 + site.normalised->has_rest()) * formed;
    }
  }
  // What the factors see is not what the weight sees.
  if (training && this->dropout_.probability > 0) plan.can_merge = plan.can_be_dense = false;
  plan.merged = plan.can_merge &&
                (normalised ||  // there is no other way
                 this->policy_.merged.value_or(plan.merged_seconds < plan.factored_seconds));
  plan.dense = training && plan.can_be_dense &&
               this->policy_.dense.value_or(plan.dense_seconds < plan.factored_gradient_seconds);
  return plan;
}

template <class T>
Plan NetworkAdapter<T>::do_plan(std::span<const std::size_t> sites, std::size_t tokens,
                                bool training) const {
  std::vector<Output> outputs;
  for (const std::size_t site : sites)
    outputs.push_back({site, {nullptr, 0, 0, this->stack_.sites[site].out}});
  const std::size_t in = this->stack_.sites[sites.front()].in;
  return choose(program<T>(outputs, in, in), tokens, training);
}

/// weight += dW of a site.
template <class T>
void NetworkAdapter<T>::form_update(std::size_t index, T* weight) const {
  if (sites_[index].reconstructions.empty()) return;
  const Reconstruction<T>& reconstruction = sites_[index].reconstructions.front();
  reconstruction.add_to(*this->device_, this->parameters_, weight,
                        reserve(memory_, reconstruction.memory_size()));
}

/// update = F W after the weight, W F before it, with F = F_n ... F_1 of the site's stages. W is
/// multiplied by one stage after the other, from its own side.
template <class T>
void NetworkAdapter<T>::form_update_around(std::size_t index, T* update) const {
  const Site& shape = this->stack_.sites[index];
  const CompiledSite& site = sites_[index];
  const bool after = this->places_[index] == Place::after;
  const Device& device = *this->device_;
  Buffer<T> product(this->device_, shape.out * shape.in);
  device.copy(frozen_weight(index), product.size() * sizeof(T), product.data());
  for (std::size_t step = 0; step < site.stages.size(); ++step) {
    const std::size_t stage = after ? step : site.stages.size() - 1 - step;
    const CompiledNetwork& network = site.stages[stage].network;
    const Reconstruction<T>& reconstruction = site.reconstructions[stage];
    Buffer<T> factor(this->device_, network.out * network.in);
    reconstruction.add_to(device, this->parameters_, factor.data(),
                          reserve(memory_, reconstruction.memory_size()));
    Buffer<T> next(this->device_, after ? network.out * shape.in : shape.out * network.in);
    if (after)
      device.gemm(false, false, network.out, shape.in, network.in, T{1}, factor.data(), network.in,
                  product.data(), shape.in, T{0}, next.data(), shape.in);
    else
      device.gemm(false, false, shape.out, network.in, network.out, T{1}, product.data(),
                  network.out, factor.data(), network.in, T{0}, next.data(), network.in);
    product = std::move(next);
  }
  device.copy(product.data(), product.size() * sizeof(T), update);
}

/// The weight W' of a site: W + dW, or what its norms make of them.
template <class T>
const T* NetworkAdapter<T>::merge(std::size_t index, Buffer<T>& merged) const {
  const WorkTimer timer(*this->device_, Work::adapter);
  const Site& site = this->stack_.sites[index];
  const CompiledSite& compiled = sites_[index];
  T* weight = reserve(merged, site.out * site.in);
  if (this->frozen_[index].weight && !compiled.normalised)
    this->device_->copy_matrix({this->frozen_[index].weight, site.out, site.in},
                               MatrixView<T>(weight, site.out, site.in));
  else
    this->device_->fill(site.out * site.in, T{0}, weight);
  form_update(index, weight);
  if (compiled.normalised)
    compiled.normalised->form(frozen_weight(index), magnitudes(compiled, false),
                              this->policy_.hold_norms, weight);
  return weight;
}

template <class T>
typename NetworkAdapter<T>::Magnitudes NetworkAdapter<T>::magnitudes(const CompiledSite& site,
                                                                     bool gradients) const {
  Magnitudes found{};
  for (std::size_t i = 0; i < site.magnitudes.size(); ++i) {
    const Parameter<T>& magnitude = this->parameters_[site.magnitudes[i]];
    found[i] = const_cast<T*>(gradients ? magnitude.gradient.data() : magnitude.value.data());
  }
  return found;
}

template <class T>
const T* NetworkAdapter<T>::frozen_weight(std::size_t index) const {
  const T* weight = this->frozen_[index].weight;
  if (!weight)
    throw Error("[{}] site {}: the update depends on the frozen weight, which was not given",
                this->method_, this->stack_.sites[index].name);
  return weight;
}

template <class T>
void NetworkAdapter<T>::run_forward(const SitesProgram& entry, MatrixView<const T> x,
                                    std::span<const Output> outputs, bool residual) const {
  const WorkTimer timer(*this->device_, Work::adapter);
  std::array<MatrixView<T>, most_sites_a_call> views;
  for (std::size_t i = 0; i < outputs.size(); ++i) views[i] = outputs[i].matrix;
  entry.program.forward(*this->device_, this->parameters_, x, {views.data(), outputs.size()},
                        residual,
                        reserve(memory_, entry.program.memory_size(this->device_->lanes())));
}

template <class T>
void NetworkAdapter<T>::run_backward(const SitesProgram& entry, MatrixView<const T> x,
                                     std::span<const Gradient> d_outputs, MatrixView<T> dx,
                                     bool gradients, bool residual, Into into) {
  if (!dx.data && !gradients) return;
  const WorkTimer timer(*this->device_, Work::adapter);
  std::array<MatrixView<const T>, most_sites_a_call> views;
  for (std::size_t i = 0; i < d_outputs.size(); ++i) views[i] = d_outputs[i].matrix;
  entry.program.backward(*this->device_, this->parameters_, x, {views.data(), d_outputs.size()}, dx,
                         residual, into, gradients,
                         reserve(memory_, entry.program.memory_size(this->device_->lanes())));
}

template <class T>
void NetworkAdapter<T>::do_forward(std::span<const Output> outputs, MatrixView<const T> x,
                                   Trace<T>* trace, Bias bias) const {
  Trace<T>& kept = trace ? *trace : own_trace_;
  if (kept.buffers.size() < outputs.size()) kept.buffers.resize(outputs.size());
  kept.merged = kept.dense = false;
  if (all_beside(outputs)) return forward_beside(outputs, x, kept, trace != nullptr, bias);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Output& output = outputs[i];
    if (this->places_[output.site] != Place::beside) {
      forward_around(output, x, kept.buffers[i]);
    } else {
      frozen_forward(*this->device_, this->frozen_[output.site], x, output.matrix, bias);
      run_forward(program(outputs.subspan(i, 1), x.stride, x.columns), x, outputs.subspan(i, 1));
    }
  }
}

template <class T>
void NetworkAdapter<T>::forward_beside(std::span<const Output> outputs, MatrixView<const T> x,
                                       Trace<T>& kept, bool training, Bias bias) const {
  const SitesProgram& entry = program(outputs, x.stride, x.columns);
  const Plan plan = choose(entry, x.rows, training);
  kept.merged = plan.merged;
  kept.dense = plan.dense;
  kept.keeps_outputs = training && !plan.dense;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Output& output = outputs[i];
    FrozenLinear<T> layer = this->frozen_[output.site];
    if (kept.merged) {
      layer.weight = merge(output.site, kept.buffers[i]);
      layer.bfloat16 = nullptr;
    }
    const bool keeps = training && sites_[output.site].normalised;
    if (keeps) {
      if (kept.outputs.size() <= i) kept.outputs.resize(outputs.size());
      reserve(kept.outputs[i], x.rows * output.matrix.columns);
      reserve_normalised(output, x);
    }
    if (!keeps || plan.dense) {
      frozen_forward(*this->device_, layer, x, output.matrix, bias);
    } else {
      frozen_forward(*this->device_, layer, x, output.matrix, Bias::omit);
      this->device_->keep_and_add_row(bias == Bias::add ? layer.bias : nullptr, output.matrix,
                                      kept.outputs[i].data());
    }
  }
  if (training && kept.dropout.probability > 0) {
    for (std::size_t i = 0; i < outputs.size(); ++i)
      forward_dropped(program(outputs.subspan(i, 1), x.columns, x.columns), outputs[i], x, kept);
  } else if (!kept.merged) {
    run_forward(entry, x, outputs);
  }
}

/// A site that acts after its weight, y = z + f(z) with z = W x + b, or before it, y = W (x + f(x))
/// + b.
template <class T>
void NetworkAdapter<T>::forward_around(const Output& output, MatrixView<const T> x,
                                       Buffer<T>& kept) const {
  const FrozenLinear<T>& layer = this->frozen_[output.site];
  const bool after = this->places_[output.site] == Place::after;
  const std::size_t width = after ? output.matrix.columns : x.columns;
  const MatrixView<T> inner(reserve(after ? kept : matrix_, x.rows * width), x.rows, width);
  Output target = output;
  if (after) {
    frozen_forward(*this->device_, layer, x, inner, Bias::add);
    run_forward(program<T>({&target, 1}, width, width), inner, {&target, 1}, true);
  } else {
    target.matrix = inner;
    run_forward(program<T>({&target, 1}, x.stride, width), x, {&target, 1}, true);
    frozen_forward<T>(*this->device_, layer, inner, output.matrix, Bias::add);
  }
}

template <class T>
void NetworkAdapter<T>::do_reconstruct(std::size_t index, MatrixView<T> delta) const {
  const CompiledSite& site = sites_[index];
  T* dense = reserve(matrix_, delta.rows * delta.columns);
  this->device_->fill(delta.rows * delta.columns, T{0}, dense);
  if (this->places_[index] == Place::beside)
    form_update(index, dense);
  else if (!site.stages.empty())
    form_update_around(index, dense);
  if (site.normalised) {
    const T* frozen = frozen_weight(index);
    site.normalised->form(frozen, magnitudes(site, false), this->policy_.hold_norms, dense);
    this->device_->combine(delta.rows * delta.columns, T{-1}, frozen, T{1}, dense);
  }
  this->device_->copy_matrix({dense, delta.rows, delta.columns}, delta);
}

template <class T>
void NetworkAdapter<T>::do_backward(std::span<const Gradient> d_outputs, MatrixView<const T> x,
                                    const Trace<T>& trace, MatrixView<T> dx, Into into) {
  if (all_beside(d_outputs)) return backward_beside(d_outputs, x, trace, dx, into);
  for (std::size_t i = 0; i < d_outputs.size(); ++i) {
    const Gradient& d_output = d_outputs[i];
    if (this->places_[d_output.site] != Place::beside) {
      backward_around(d_output, x, trace.buffers[i], dx, into);
    } else {
      if (dx.data)
        frozen_backward(*this->device_, this->frozen_[d_output.site], d_output.matrix, dx, into);
      const SitesProgram& entry =
          program(d_outputs.subspan(i, 1), x.stride, dx.data ? dx.stride : x.columns);
      run_backward(entry, x, d_outputs.subspan(i, 1), dx, true);
    }
    into = Into::add;
  }
}

template <class T>
void NetworkAdapter<T>::backward_beside(std::span<const Gradient> d_outputs, MatrixView<const T> x,
                                        const Trace<T>& trace, MatrixView<T> dx, Into into) {
  const SitesProgram& entry = program(d_outputs, x.stride, dx.data ? dx.stride : x.columns);
  bool normalised = false;
  for (std::size_t i = 0; i < d_outputs.size(); ++i) {
    const Gradient& d_output = d_outputs[i];
    const CompiledSite& site = sites_[d_output.site];
    FrozenLinear<T> layer = this->frozen_[d_output.site];
    if (trace.merged) {
      layer.weight = trace.buffers[i].data();
      layer.bfloat16 = nullptr;
    }
    normalised = normalised || site.normalised;
    const bool by_tokens = site.normalised && !trace.dense && trace.keeps_outputs &&
                           site.normalised->separates(magnitudes(site, false)) &&
                           (dx.data || !site.normalised->has_columns());
    if (by_tokens)
      add_normalised_gradients(d_output, x, layer, trace.outputs[i], dx, into);
    else if (dx.data)
      frozen_backward(*this->device_, layer, d_output.matrix, dx, into);
    if (!by_tokens && (trace.dense || site.normalised)) add_dense_gradients(d_output, x);
    into = Into::add;
  }
  if (trace.dropout.probability > 0) {
    for (std::size_t i = 0; i < d_outputs.size(); ++i)
      backward_dropped(program(d_outputs.subspan(i, 1), x.columns, x.columns), d_outputs[i], x,
                       trace, dx);
    return;
  }
  if (!normalised)
    return run_backward(entry, x, d_outputs, trace.merged ? MatrixView<T>() : dx, !trace.dense);
  if (trace.dense) return;
  for (std::size_t i = 0; i < d_outputs.size(); ++i)
    if (!sites_[d_outputs[i].site].normalised)
      run_backward(program(d_outputs.subspan(i, 1), x.stride, x.columns), x,
                   d_outputs.subspan(i, 1), MatrixView<T>(), true);
}

/// The factors' gradients from dLoss/dW' = dY^T X.
template <class T>
void NetworkAdapter<T>::add_dense_gradients(const Gradient& d_output, MatrixView<const T> x) {
  const WorkTimer timer(*this->device_, Work::adapter);
  const MatrixView<const T> dy = d_output.matrix;
  T* dense = reserve(matrix_, dy.columns * x.columns);
  this->device_->gemm(true, false, dy.columns, x.columns, x.rows, T{1}, dy.data, dy.stride, x.data,
                      x.stride, T{0}, dense, x.columns);
  if (sites_[d_output.site].normalised) reverse_norms(d_output.site, dense);
  const Reconstruction<T>& reconstruction = sites_[d_output.site].reconstructions.front();
  reconstruction.reverse(*this->device_, this->parameters_, dense,
                         reserve(memory_, reconstruction.memory_size()));
}

template <class T>
void NetworkAdapter<T>::backward_around(const Gradient& d_output, MatrixView<const T> x,
                                        const Buffer<T>& kept, MatrixView<T> dx, Into into) {
  const FrozenLinear<T>& layer = this->frozen_[d_output.site];
  const bool after = this->places_[d_output.site] == Place::after;
  const MatrixView<const T> dy = d_output.matrix;
  const std::size_t width = after ? dy.columns : x.columns;
  const MatrixView<T> inner(reserve(matrix_, x.rows * width), x.rows, width);
  Gradient above = d_output;
  if (after) {
    // dz = dY + (df/dz)^T dY, dX += dz W
    const MatrixView<const T> z(kept.data(), x.rows, width);
    run_backward(program<const T>({&above, 1}, width, width), z, {&above, 1},
                 dx.data ? inner : MatrixView<T>(), true, true, Into::overwrite);
    if (dx.data) frozen_backward<T>(*this->device_, layer, inner, dx, into);
  } else {
    // dh = dY W with y = W (x + f(x)) + b, dX += dh + (df/dx)^T dh
    frozen_backward(*this->device_, layer, dy, inner, Into::overwrite);
    above.matrix = inner;
    run_backward(program<const T>({&above, 1}, x.stride, dx.data ? dx.stride : width), x,
                 {&above, 1}, dx, true, true, into);
  }
}

template class NetworkAdapter<float>;
template class NetworkAdapter<double>;

}  // namespace rankfold
