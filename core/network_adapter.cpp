#include "core/network_adapter.h"

#include <algorithm>

#include "core/error.h"
#include "core/term_run.h"

namespace rankfold {
namespace {

/// Rows that contraction orders are chosen for; any number may be run.
constexpr std::size_t planned_tokens = 1024;

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

}  // namespace

template <class T>
NetworkAdapter<T>::NetworkAdapter(std::string method, const Stack& stack,
                                  const std::vector<Declaration>& declarations,
                                  std::shared_ptr<const Backend> backend)
    : Adapter<T>(std::move(method), stack, places_of(declarations), backend), scratch_(backend) {
  PlanCache cache;
  for (std::size_t index = 0; index < stack.sites.size(); ++index) {
    const Site& site = stack.sites[index];
    const std::string what = fmt::format("[{}] site {}", this->method_, site.name);
    const auto find_parameter = [&](const Factor& factor) { return add_parameter(factor, site); };
    const Place place = declarations[index].place;
    const std::size_t last = place == Place::before ? site.in : site.out;
    std::size_t width = place == Place::after ? site.out : site.in;
    CompiledSite compiled;
    if (place != Place::beside) compiled.input_slot = compiled.slots++;
    for (const Stage& stage : declarations[index].stages) {
      CompiledStage ready{
          compile_network(stage.network, planned_tokens, find_parameter, cache, what),
          stage.activation,
          {},
          0};
      if (ready.network.in != width)
        throw Error("{}: a stage reads {} numbers, expected {}", what, ready.network.in, width);
      width = ready.network.out;
      for (const CompiledTerm& term : ready.network.terms) {
        ready.first_slot.push_back(compiled.slots);
        compiled.slots += trace_slots(term);
      }
      ready.output_slot = compiled.slots++;
      compiled.stages.push_back(std::move(ready));
    }
    if (!compiled.stages.empty() && width != last)
      throw Error("{}: the update has {} outputs, expected {}", what, width, last);
    if (place == Place::beside && compiled.stages.size() > 1)
      throw Error("{}: an update beside the weight has one stage, got {}", what,
                  compiled.stages.size());
    sites_.push_back(std::move(compiled));
  }
}

template <class T>
std::size_t NetworkAdapter<T>::add_parameter(const Factor& factor, const Site& site) {
  const std::string key = owner_key(factor.owner, site);
  const std::string name = key.empty() ? factor.name : factor.name + "." + key;
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
  parameter.initialiser = factor.initialiser;
  parameter.value = Buffer<T>(this->backend_, size);
  if (factor.trainable) parameter.gradient = Buffer<T>(this->backend_, size);
  parameters.push_back(std::move(parameter));
  first_user_.push_back(site.name);
  return parameters.size() - 1;
}

template <class T>
void NetworkAdapter<T>::run_stages(const CompiledSite& site, MatrixView<const T> x, MatrixView<T> y,
                                   Trace<T>& trace) const {
  for (const CompiledStage& stage : site.stages) {
    const bool last = &stage == &site.stages.back();
    MatrixView<T> out = y;
    if (!last) {
      out = MatrixView<T>(nullptr, x.rows, stage.network.out);
      out.data = reserve_slot(trace, stage.output_slot, out.rows * out.columns, this->backend_);
    }
    for (std::size_t i = 0; i < stage.network.terms.size(); ++i)
      TermRun<T>(this->backend_, scratch_, this->parameters_, stage.network.terms[i],
                 stage.first_slot[i], x)
          .apply(trace, out);
    if (stage.activation == Activation::relu)
      for (std::size_t i = 0; i < out.rows * out.columns; ++i)
        out.data[i] = std::max(out.data[i], T{0});
    x = out;
  }
}

template <class T>
void NetworkAdapter<T>::do_forward(std::size_t index, MatrixView<const T> x, MatrixView<T> y,
                                   Trace<T>* given) const {
  const CompiledSite& site = sites_[index];
  Trace<T>& trace = given ? *given : own_trace_;
  if (trace.buffers.size() < site.slots) trace.buffers.resize(site.slots);
  scratch_.reset();
  if (this->places_[index] == Place::beside) return run_stages(site, x, y, trace);
  if (this->places_[index] == Place::after) {
    T* copy = reserve_slot(trace, site.input_slot, y.rows * y.columns, this->backend_);
    for (std::size_t row = 0; row < y.rows; ++row)
      std::copy_n(y.row(row), y.columns, copy + row * y.columns);
    return run_stages(site, {copy, y.rows, y.columns}, y, trace);
  }
  T* change = reserve_slot(trace, site.input_slot, x.rows * x.columns, this->backend_);
  run_stages(site, x, {change, x.rows, x.columns}, trace);
  this->backend_->gemm(false, true, y.rows, y.columns, x.columns, T{1}, change, x.columns,
                       this->frozen_[index].weight, x.columns, T{1}, y.data, y.stride);
}

template <class T>
void NetworkAdapter<T>::do_reconstruct(std::size_t index, MatrixView<T> delta) const {
  scratch_.reset();
  Trace<T> trace;
  trace.buffers.resize(sites_[index].slots);
  std::vector<T> dense(delta.rows * delta.columns, T{0});
  for (const CompiledStage& stage : sites_[index].stages)
    for (std::size_t i = 0; i < stage.network.terms.size(); ++i)
      if (!stage.network.terms[i].constant)
        TermRun<T>(this->backend_, scratch_, this->parameters_, stage.network.terms[i],
                   stage.first_slot[i], {nullptr, planned_tokens, stage.network.in})
            .reconstruct(trace, dense.data());
  for (std::size_t row = 0; row < delta.rows; ++row)
    std::copy_n(dense.data() + row * delta.columns, delta.columns, delta.row(row));
}

template <class T>
void NetworkAdapter<T>::reverse_stages(const CompiledSite& site, MatrixView<const T> x,
                                       MatrixView<const T> dy, const Trace<T>& trace,
                                       MatrixView<T> dx) {
  for (std::size_t index = site.stages.size(); index-- > 0;) {
    const CompiledStage& stage = site.stages[index];
    MatrixView<const T> input = x;
    MatrixView<T> input_gradient = dx;
    if (index > 0) {
      const CompiledStage& below = site.stages[index - 1];
      input = {trace.buffers[below.output_slot].data(), x.rows, below.network.out};
      input_gradient = {scratch_.take(x.rows * below.network.out), x.rows, below.network.out};
    }
    for (std::size_t i = 0; i < stage.network.terms.size(); ++i)
      TermRun<T>(this->backend_, scratch_, this->parameters_, stage.network.terms[i],
                 stage.first_slot[i], input)
          .reverse(trace, dy, input_gradient, this->parameters_);
    if (index > 0) {
      if (site.stages[index - 1].activation == Activation::relu)
        for (std::size_t i = 0; i < input.rows * input.columns; ++i)
          if (!(input.data[i] > T{0})) input_gradient.data[i] = T{0};
      dy = input_gradient;
    }
  }
}

template <class T>
void NetworkAdapter<T>::do_backward(std::size_t index, MatrixView<const T> x,
                                    MatrixView<const T> dy, const Trace<T>& trace,
                                    MatrixView<T> dx) {
  const CompiledSite& site = sites_[index];
  if (trace.buffers.size() < site.slots)
    throw Error("[{}] site {}: backward was called without the trace of a forward call",
                this->method_, this->stack_.sites[index].name);
  scratch_.reset();
  const T* weight = this->frozen_[index].weight;
  const std::size_t in = this->stack_.sites[index].in, out = this->stack_.sites[index].out;
  const auto add_frozen = [&](MatrixView<const T> upper) {
    if (dx.data && weight)
      this->backend_->gemm(false, false, upper.rows, in, out, T{1}, upper.data, upper.stride,
                           weight, in, T{1}, dx.data, dx.stride);
  };
  if (this->places_[index] == Place::beside) {
    reverse_stages(site, x, dy, trace, dx);
    add_frozen(dy);
  } else if (this->places_[index] == Place::after) {
    // dz = dY + (df/dz)^T dY, dX += dz W
    const MatrixView<const T> z(trace.buffers[site.input_slot].data(), dy.rows, out);
    MatrixView<T> dz;
    if (dx.data) {
      dz = {scratch_.take(dy.rows * out), dy.rows, out};
      for (std::size_t row = 0; row < dy.rows; ++row) std::copy_n(dy.row(row), out, dz.row(row));
    }
    reverse_stages(site, z, dy, trace, dz);
    if (dx.data) add_frozen(dz);
  } else {
    // dh = dY W with y = W (x + f(x)) + b, dX += dh + (df/dx)^T dh
    MatrixView<T> dh(scratch_.take(dy.rows * in), dy.rows, in);
    this->backend_->gemm(false, false, dy.rows, in, out, T{1}, dy.data, dy.stride, weight, in, T{0},
                         dh.data, dh.stride);
    if (dx.data)
      for (std::size_t row = 0; row < dy.rows; ++row)
        for (std::size_t i = 0; i < in; ++i) dx.row(row)[i] += dh.row(row)[i];
    reverse_stages(site, x, dh, trace, dx);
  }
}

template class NetworkAdapter<float>;
template class NetworkAdapter<double>;

}  // namespace rankfold
