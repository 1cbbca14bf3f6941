#include "core/network_adapter.h"

#include <omp.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/frozen_product.h"
#include "core/start.h"
#include "core/work.h"

namespace rankfold {
namespace {

/// Rows that contraction orders are chosen for; any number may be run.
constexpr std::size_t planned_tokens = 4096;

std::vector<std::size_t> shape_of(const Factor& factor) {
  std::vector<std::size_t> shape;
  for (const Mode& mode : factor.modes) shape.push_back(mode.size);
  return shape;
}

std::vector<Place> places_of(const std::vector<Declaration>& declarations) {
  std::vector<Place> places;
  for (const Declaration& declaration : declarations) places.push_back(declaration.place);
  return places;
}

std::vector<std::size_t> magnitude_sizes(Normalisation::Kind kind, const Site& site) {
  switch (kind) {
    case Normalisation::Kind::rows:
      return {site.out};
    case Normalisation::Kind::rows_then_columns:
      return {site.out, site.in};
    case Normalisation::Kind::whole:
      return {1, 1};
  }
  return {};
}

template <class T>
void copy_rows(MatrixView<const T> from, T* to) {
#pragma omp parallel for schedule(static)
  for (std::size_t row = 0; row < from.rows; ++row)
    std::copy_n(from.row(row), from.columns, to + row * from.columns);
}

}  // namespace

std::string owner_key(Owner owner, const Site& site) {
  switch (owner) {
    case Owner::model:
      return "";
    case Owner::layer:
      return std::to_string(site.layer);
    case Owner::matrix:
      return std::string(to_string(site.matrix));
    case Owner::site:
      return site.name;
  }
  return "";
}

std::string parameter_name(const Factor& factor, const Site& site) {
  const std::string key = owner_key(factor.owner, site);
  return key.empty() ? factor.name : factor.name + "." + key;
}

template <class T>
NetworkAdapter<T>::NetworkAdapter(std::string method, const Stack& stack,
                                  const std::vector<Declaration>& declarations,
                                  std::shared_ptr<const Backend> backend)
    : Adapter<T>(std::move(method), stack, places_of(declarations), backend) {
  PlanCache cache;
  for (std::size_t index = 0; index < stack.sites.size(); ++index) {
    const Site& site = stack.sites[index];
    const std::string what = fmt::format("[{}] site {}", this->method_, site.name);
    CompiledSite compiled;
    const auto find_parameter = [&](const Factor& factor) {
      compiled.factors.push_back(add_parameter(factor, site));
      return compiled.factors.back();
    };
    const Place place = declarations[index].place;
    const std::size_t last = place == Place::before ? site.in : site.out;
    std::size_t width = place == Place::after ? site.out : site.in;
    for (const Stage& stage : declarations[index].stages) {
      CompiledStage ready{
          compile_network(stage.network, planned_tokens, find_parameter, cache, what),
          stage.activation};
      if (ready.network.in != width)
        throw Error("{}: a stage reads {} numbers, expected {}", what, ready.network.in, width);
      width = ready.network.out;
      compiled.stages.push_back(std::move(ready));
    }
    if (!compiled.stages.empty() && width != last)
      throw Error("{}: the update has {} outputs, expected {}", what, width, last);
    if (place == Place::beside && compiled.stages.size() > 1)
      throw Error("{}: an update beside the weight has one stage, got {}", what,
                  compiled.stages.size());
    if (place == Place::beside && !compiled.stages.empty()) {
      const CompiledNetwork& network = compiled.stages.front().network;
      compiled.reconstruction.emplace(network, this->parameters_);
      compiled.purely_linear = compiled.stages.front().activation == Activation::none &&
                               std::ranges::none_of(network.terms, &CompiledTerm::constant);
    }
    if (const auto& normalisation = declarations[index].normalisation) {
      if (!compiled.purely_linear)
        throw Error("{}: only a plain weight update can be normalised", what);
      const std::vector<std::size_t> expected = magnitude_sizes(normalisation->kind, site);
      std::vector<std::size_t> found;
      for (const Factor& magnitude : normalisation->magnitudes) {
        if (!magnitude.trainable)
          throw Error("{}: magnitude '{}' is frozen, expected a trainable one", what,
                      magnitude.name);
        compiled.magnitudes.push_back(find_parameter(magnitude));
        found.push_back(this->parameters_[compiled.magnitudes.back()].value.span().size());
      }
      if (found != expected)
        throw Error("{}: magnitudes of [{}] numbers, expected [{}]", what, fmt::join(found, ", "),
                    fmt::join(expected, ", "));
      compiled.normalised.emplace(normalisation->kind, normalisation->detached, site.out, site.in);
    }
    compiled.start = declarations[index].start;
    sites_.push_back(std::move(compiled));
  }
}

template <class T>
std::size_t NetworkAdapter<T>::add_parameter(const Factor& factor, const Site& site) {
  const std::string name = parameter_name(factor, site);
  std::vector<std::size_t> shape = shape_of(factor);
  auto& parameters = this->parameters_;
  const auto found = std::ranges::find(parameters, name, &Parameter<T>::name);
  if (found != parameters.end()) {
    const auto position = static_cast<std::size_t>(found - parameters.begin());
    if (found->shape != shape)
      throw UsageError(
          "[{}] sites {} and {} share factor '{}' but need unequal shapes: {} and {}; choose "
          "targets "
          "of one shape",
          this->method_, first_user_[position], site.name, factor.name,
          fmt::join(found->shape, "x"), fmt::join(shape, "x"));
    return position;
  }
  std::size_t size = 1;
  for (const std::size_t extent : shape)
    if (__builtin_mul_overflow(size, extent, &size))
      throw Error("[{}] factor '{}' is too large: {}", this->method_, name, fmt::join(shape, "x"));
  Parameter<T> parameter;
  parameter.name = name;
  parameter.factor = factor.name;
  parameter.shape = std::move(shape);
  parameter.trainable = factor.trainable;
  parameter.stored = factor.stored;
  parameter.initialiser = factor.initialiser;
  parameter.value = Buffer<T>(this->backend_, size);
  if (factor.trainable) parameter.gradient = Buffer<T>(this->backend_, size);
  parameters.push_back(std::move(parameter));
  first_user_.push_back(site.name);
  return parameters.size() - 1;
}

template <class T>
T* NetworkAdapter<T>::reserve(Buffer<T>& buffer, std::size_t size) const {
  if (buffer.size() < size) {
    buffer = Buffer<T>();  // given back first, so that both never exist together
    buffer = Buffer<T>(this->backend_, size);
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
      std::move(numbers), TokenProgram<T>(std::move(members), this->parameters_, strides)}));
  return *programs_.back();
}

template <class T>
Plan NetworkAdapter<T>::choose(const SitesProgram& entry, std::size_t tokens, bool training) const {
  const MachineRates rates = this->backend_->rates();
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
    const double formed = seconds(site.reconstruction->flops(), 3 * size);
    plan.merged_seconds += formed;
    if (training) plan.dense_seconds += 2 * rows * size / rates.large_flops + 2 * formed;
  }
  if (normalised) {  // there is no other way
    plan.merged = true;
    plan.dense = training;
    return plan;
  }
  plan.merged =
      plan.can_merge && this->policy_.merged.value_or(plan.merged_seconds < plan.factored_seconds);
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
  const Reconstruction<T>& reconstruction = *sites_[index].reconstruction;
  reconstruction.add_to(*this->backend_, this->parameters_, weight,
                        reserve(memory_, reconstruction.memory_size()));
}

/// The weight W' of a site: W + dW, or what its norms make of them.
template <class T>
const T* NetworkAdapter<T>::merge(std::size_t index, Buffer<T>& merged) const {
  const WorkTimer timer(*this->backend_, Work::adapter);
  const Site& site = this->stack_.sites[index];
  const CompiledSite& compiled = sites_[index];
  T* weight = reserve(merged, site.out * site.in);
  if (this->frozen_[index].weight && !compiled.normalised)
    copy_rows<T>({this->frozen_[index].weight, site.out, site.in}, weight);
  else
    std::fill_n(weight, site.out * site.in, T{0});
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

/// From dLoss/dW' to dLoss/ddW, in place; adds to the gradients of the magnitudes.
template <class T>
void NetworkAdapter<T>::reverse_norms(std::size_t index, T* gradient) {
  const Site& site = this->stack_.sites[index];
  const CompiledSite& compiled = sites_[index];
  T* update = reserve(update_, site.out * site.in);
  std::fill_n(update, site.out * site.in, T{0});
  form_update(index, update);
  compiled.normalised->reverse(frozen_weight(index), magnitudes(compiled, false),
                               magnitudes(compiled, true), update, gradient);
}

template <class T>
bool NetworkAdapter<T>::needs_frozen() const {
  return std::ranges::any_of(
             sites_, [](const CompiledSite& site) { return site.normalised.has_value(); }) ||
         std::ranges::any_of(this->parameters_,
                             [](const Parameter<T>& parameter) { return !parameter.stored; });
}

template <class T>
void NetworkAdapter<T>::do_start(std::uint64_t seed) {
  for (std::size_t index = 0; index < sites_.size(); ++index) {
    const CompiledSite& compiled = sites_[index];
    if (!compiled.start) continue;
    const Site& site = this->stack_.sites[index];
    const auto find = [&](std::string_view name) -> Parameter<T>& {
      for (const std::size_t factor : compiled.factors)
        if (this->parameters_[factor].factor == name) return this->parameters_[factor];
      throw Error("[{}] site {}: its start asks for a factor '{}' that it does not have",
                  this->method_, site.name, name);
    };
    Start start(site, fmt::format("start/{}", this->method_), seed,
                {[&](std::string_view name) {
                   const auto values = find(name).value.span();
                   return std::vector<double>(values.begin(), values.end());
                 },
                 [&](std::string_view name, std::span<const double> values) {
                   Parameter<T>& parameter = find(name);
                   if (values.size() != parameter.value.size())
                     throw Error("[{}] site {}: factor '{}' starts with {} numbers, expected {}",
                                 this->method_, site.name, name, values.size(),
                                 parameter.value.size());
                   std::ranges::transform(values, parameter.value.data(),
                                          [](double value) { return static_cast<T>(value); });
                 },
                 [&] {
                   const T* weight = frozen_weight(index);
                   return std::vector<double>(weight, weight + site.out * site.in);
                 }});
    compiled.start(start);
  }
}

template <class T>
void NetworkAdapter<T>::run_forward(const SitesProgram& entry, MatrixView<const T> x,
                                    std::span<const Output> outputs, bool residual) const {
  const WorkTimer timer(*this->backend_, Work::adapter);
  std::array<MatrixView<T>, most_sites_a_call> views;
  for (std::size_t i = 0; i < outputs.size(); ++i) views[i] = outputs[i].matrix;
  const auto threads = static_cast<std::size_t>(omp_get_max_threads());
  entry.program.forward(*this->backend_, this->parameters_, x, {views.data(), outputs.size()},
                        residual, reserve(memory_, entry.program.memory_size(threads)));
}

template <class T>
void NetworkAdapter<T>::run_backward(const SitesProgram& entry, MatrixView<const T> x,
                                     std::span<const Gradient> d_outputs, MatrixView<T> dx,
                                     bool gradients, bool residual, Into into) {
  if (!dx.data && !gradients) return;
  const WorkTimer timer(*this->backend_, Work::adapter);
  std::array<MatrixView<const T>, most_sites_a_call> views;
  for (std::size_t i = 0; i < d_outputs.size(); ++i) views[i] = d_outputs[i].matrix;
  const auto threads = static_cast<std::size_t>(omp_get_max_threads());
  entry.program.backward(*this->backend_, this->parameters_, x, {views.data(), d_outputs.size()},
                         dx, residual, into, gradients,
                         reserve(memory_, entry.program.memory_size(threads)));
}

template <class T>
void NetworkAdapter<T>::do_forward(std::span<const Output> outputs, MatrixView<const T> x,
                                   Trace<T>* trace, Bias bias) const {
  Trace<T>& kept = trace ? *trace : own_trace_;
  if (kept.buffers.size() < outputs.size()) kept.buffers.resize(outputs.size());
  kept.merged = false;
  if (all_beside(outputs)) return forward_beside(outputs, x, kept, trace != nullptr, bias);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Output& output = outputs[i];
    if (this->places_[output.site] != Place::beside) {
      forward_around(output, x, kept.buffers[i]);
    } else {
      frozen_forward(*this->backend_, this->frozen_[output.site], x, output.matrix, bias);
      run_forward(program(outputs.subspan(i, 1), x.stride, x.columns), x, outputs.subspan(i, 1));
    }
  }
}

template <class T>
void NetworkAdapter<T>::forward_beside(std::span<const Output> outputs, MatrixView<const T> x,
                                       Trace<T>& kept, bool training, Bias bias) const {
  const SitesProgram& entry = program(outputs, x.stride, x.columns);
  kept.merged = choose(entry, x.rows, training).merged;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    FrozenLinear<T> layer = this->frozen_[outputs[i].site];
    if (kept.merged) {
      layer.weight = merge(outputs[i].site, kept.buffers[i]);
      layer.bfloat16 = nullptr;
    }
    frozen_forward(*this->backend_, layer, x, outputs[i].matrix, bias);
  }
  if (!kept.merged) run_forward(entry, x, outputs);
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
    frozen_forward(*this->backend_, layer, x, inner, Bias::add);
    run_forward(program<T>({&target, 1}, width, width), inner, {&target, 1}, true);
  } else {
    target.matrix = inner;
    run_forward(program<T>({&target, 1}, x.stride, width), x, {&target, 1}, true);
    frozen_forward<T>(*this->backend_, layer, inner, output.matrix, Bias::add);
  }
}

template <class T>
void NetworkAdapter<T>::do_reconstruct(std::size_t index, MatrixView<T> delta) const {
  const CompiledSite& site = sites_[index];
  T* dense = reserve(matrix_, delta.rows * delta.columns);
  std::fill_n(dense, delta.rows * delta.columns, T{0});
  if (site.reconstruction) form_update(index, dense);
  if (site.normalised) {
    const T* frozen = frozen_weight(index);
    site.normalised->form(frozen, magnitudes(site, false), this->policy_.hold_norms, dense);
    for (std::size_t i = 0; i < delta.rows * delta.columns; ++i) dense[i] -= frozen[i];
  }
  for (std::size_t row = 0; row < delta.rows; ++row)
    std::copy_n(dense + row * delta.columns, delta.columns, delta.row(row));
}

template <class T>
void NetworkAdapter<T>::do_backward(std::span<const Gradient> d_outputs, MatrixView<const T> x,
                                    const Trace<T>& trace, MatrixView<T> dx, Into into) {
  if (trace.buffers.size() < d_outputs.size())
    throw Error("[{}] site {}: backward was called without the trace of a forward call",
                this->method_, this->stack_.sites[d_outputs.front().site].name);
  if (all_beside(d_outputs)) return backward_beside(d_outputs, x, trace, dx, into);
  for (std::size_t i = 0; i < d_outputs.size(); ++i) {
    const Gradient& d_output = d_outputs[i];
    if (this->places_[d_output.site] != Place::beside) {
      backward_around(d_output, x, trace.buffers[i], dx, into);
    } else {
      if (dx.data)
        frozen_backward(*this->backend_, this->frozen_[d_output.site], d_output.matrix, dx, into);
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
  const Plan plan = choose(entry, x.rows, true);
  for (std::size_t i = 0; dx.data && i < d_outputs.size(); ++i) {
    FrozenLinear<T> layer = this->frozen_[d_outputs[i].site];
    if (trace.merged) {
      layer.weight = trace.buffers[i].data();
      layer.bfloat16 = nullptr;
    }
    frozen_backward(*this->backend_, layer, d_outputs[i].matrix, dx, i == 0 ? into : Into::add);
  }
  if (plan.dense)
    for (const Gradient& d_output : d_outputs) add_dense_gradients(d_output, x);
  run_backward(entry, x, d_outputs, trace.merged ? MatrixView<T>() : dx, !plan.dense);
}

/// The factors' gradients from dLoss/dW' = dY^T X.
template <class T>
void NetworkAdapter<T>::add_dense_gradients(const Gradient& d_output, MatrixView<const T> x) {
  const WorkTimer timer(*this->backend_, Work::adapter);
  const MatrixView<const T> dy = d_output.matrix;
  T* dense = reserve(matrix_, dy.columns * x.columns);
  this->backend_->gemm(true, false, dy.columns, x.columns, x.rows, T{1}, dy.data, dy.stride, x.data,
                       x.stride, T{0}, dense, x.columns);
  if (sites_[d_output.site].normalised) reverse_norms(d_output.site, dense);
  const Reconstruction<T>& reconstruction = *sites_[d_output.site].reconstruction;
  reconstruction.reverse(*this->backend_, this->parameters_, dense,
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
    if (dx.data) frozen_backward<T>(*this->backend_, layer, inner, dx, into);
  } else {
    // dh = dY W with y = W (x + f(x)) + b, dX += dh + (df/dx)^T dh
    frozen_backward(*this->backend_, layer, dy, inner, Into::overwrite);
    above.matrix = inner;
    run_backward(program<const T>({&above, 1}, x.stride, dx.data ? dx.stride : width), x,
                 {&above, 1}, dx, true, true, into);
  }
}

template class NetworkAdapter<float>;
template class NetworkAdapter<double>;

}  // namespace rankfold
