#include "core/network_adapter.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

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

std::size_t volume(const std::vector<Axis>& axes) {
  std::size_t size = 1;
  for (const Axis& axis : axes) size *= axis.size;
  return size;
}

std::vector<Axis> with_tokens(std::vector<Axis> axes, std::size_t tokens) {
  if (!axes.empty() && axes.front().mode == token_mode) axes.front().size = tokens;
  return axes;
}

/// A matrix [tokens, ...] over the modes that `axes` lists after the token mode.
template <class T, class Value>
TensorView<T> as_tensor(MatrixView<T> matrix, std::vector<Axis> axes, Value tokens) {
  axes.front().size = tokens;
  axes.front().stride = matrix.stride;
  return {matrix.data, std::move(axes)};
}

template <class T>
T* ensure(Trace<T>& trace, std::size_t slot, std::size_t size,
          const std::shared_ptr<const Backend>& backend) {
  if (trace.buffers.size() <= slot) trace.buffers.resize(slot + 1);
  Buffer<T>& buffer = trace.buffers[slot];
  if (buffer.size() < size)
    buffer = Buffer<T>(backend, size);
  else
    std::memset(static_cast<void*>(buffer.data()), 0, size * sizeof(T));
  return buffer.data();
}

std::vector<Place> places_of(const std::vector<Declaration>& declarations) {
  std::vector<Place> places;
  for (const Declaration& declaration : declarations) places.push_back(declaration.place);
  return places;
}

/// Trace slots of a term: for each block its steps (or a copy), then the steps of the product.
std::size_t slots_of(const ContractionTree& tree) {
  return std::max<std::size_t>(tree.steps.size(), 1);
}
std::size_t slots_of(const CompiledTerm& term) {
  std::size_t slots = slots_of(term.apply);
  for (const ContractionTree& block : term.blocks) slots += slots_of(block);
  return slots;
}

}  // namespace

/// One term at work for one call: knows where every operand and intermediate lies.
template <class T>
struct NetworkAdapter<T>::TermRun {
  const Backend& backend;
  const std::shared_ptr<const Backend>& shared_backend;
  Scratch<T>& scratch;
  const std::vector<Parameter<T>>& parameters;
  const CompiledTerm& term;
  std::size_t first_slot;
  MatrixView<const T> x;

  std::size_t block_slot(std::size_t block) const {
    std::size_t slot = first_slot;
    for (std::size_t i = 0; i < block; ++i) slot += slots_of(term.blocks[i]);
    return slot;
  }
  std::size_t product_slot() const { return block_slot(term.blocks.size()); }

  TensorView<const T> value(const ContractionTree& tree, std::size_t tree_slot, std::size_t index,
                            const Trace<T>& trace) const {
    if (index >= tree.operands.size()) {
      const std::size_t step = index - tree.operands.size();
      return {trace.buffers[tree_slot + step].data(), with_tokens(tree.results[step], x.rows)};
    }
    const TreeOperand& operand = tree.operands[index];
    switch (operand.kind) {
      case TreeOperand::Kind::parameter:
        return {parameters[operand.index].value.data() + operand.offset, operand.axes};
      case TreeOperand::Kind::input:
        return as_tensor(x, operand.axes, x.rows);
      case TreeOperand::Kind::block:
        break;
    }
    const ContractionTree& block = term.blocks[operand.index];
    return {trace.buffers[block_slot(operand.index) + slots_of(block) - 1].data(), operand.axes};
  }

  /// target += scale * product; intermediate results go to the trace.
  void evaluate(const ContractionTree& tree, std::size_t tree_slot, T scale, Trace<T>& trace,
                const TensorView<T>& target) const {
    if (tree.steps.empty())
      return accumulate<T>(backend, scale, value(tree, tree_slot, 0, trace), target);
    for (std::size_t i = 0; i < tree.steps.size(); ++i) {
      const bool last = i + 1 == tree.steps.size();
      TensorView<T> result = target;
      if (!last) {
        result.axes = with_tokens(tree.results[i], x.rows);
        result.data = ensure(trace, tree_slot + i, volume(result.axes), shared_backend);
      }
      contract<T>(backend, scratch, last ? scale : T{1},
                  value(tree, tree_slot, tree.steps[i].left, trace),
                  value(tree, tree_slot, tree.steps[i].right, trace), result);
    }
  }

  void evaluate_blocks(Trace<T>& trace) const {
    for (std::size_t i = 0; i < term.blocks.size(); ++i) {
      const ContractionTree& block = term.blocks[i];
      const std::size_t root = block_slot(i) + slots_of(block) - 1;
      T* data = ensure(trace, root, volume(block.output), shared_backend);
      evaluate(block, block_slot(i), T{1}, trace, {data, block.output});
    }
  }

  void apply(Trace<T>& trace, MatrixView<T> y) const {
    evaluate_blocks(trace);
    if (!term.constant)
      return evaluate(term.apply, product_slot(), static_cast<T>(term.scale), trace,
                      as_tensor(y, term.apply.output, y.rows));
    const std::size_t slot = product_slot() + slots_of(term.apply) - 1;
    T* row = ensure(trace, slot, volume(term.apply.output), shared_backend);
    evaluate(term.apply, product_slot(), T{1}, trace, {row, term.apply.output});
    std::vector<Axis> every_row = term.apply.output;
    every_row.insert(every_row.begin(), Axis{token_mode, y.rows, y.stride});
    accumulate<T>(backend, static_cast<T>(term.scale), {row, term.apply.output},
                  {y.data, every_row});
  }

  void reconstruct(Trace<T>& trace, T* delta) const {
    evaluate_blocks(trace);
    evaluate(term.reconstruct, product_slot(), static_cast<T>(term.scale), trace,
             {delta, term.reconstruct.output});
  }
};

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
        compiled.slots += slots_of(term);
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
      out.data = ensure(trace, stage.output_slot, out.rows * out.columns, this->backend_);
    }
    for (std::size_t i = 0; i < stage.network.terms.size(); ++i)
      TermRun{*this->backend_,        this->backend_,      scratch_, this->parameters_,
              stage.network.terms[i], stage.first_slot[i], x}
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
    T* copy = ensure(trace, site.input_slot, y.rows * y.columns, this->backend_);
    for (std::size_t row = 0; row < y.rows; ++row)
      std::copy_n(y.row(row), y.columns, copy + row * y.columns);
    return run_stages(site, {copy, y.rows, y.columns}, y, trace);
  }
  T* change = ensure(trace, site.input_slot, x.rows * x.columns, this->backend_);
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
        TermRun{*this->backend_,
                this->backend_,
                scratch_,
                this->parameters_,
                stage.network.terms[i],
                stage.first_slot[i],
                {nullptr, planned_tokens, stage.network.in}}
            .reconstruct(trace, dense.data());
  for (std::size_t row = 0; row < delta.rows; ++row)
    std::copy_n(dense.data() + row * delta.columns, delta.columns, delta.row(row));
}

namespace {

/// Walks one contraction tree in reverse: every operand's gradient from that of the product.
template <class T, class Run>
class TreeReversal {
 public:
  /// `target(operand)` gives where that operand's gradient is added, or no memory to skip it.
  using Target = std::function<TensorView<T>(const TreeOperand&)>;

  TreeReversal(const Run& run, const ContractionTree& tree, std::size_t slot, const Trace<T>& trace,
               Target target)
      : run_(run), tree_(tree), slot_(slot), trace_(trace), target_(std::move(target)) {}

  void reverse(T scale, const TensorView<const T>& gradient) {
    const std::size_t operands = tree_.operands.size();
    if (tree_.steps.empty()) {
      const TensorView<T> into = target_(tree_.operands[0]);
      if (into.data) accumulate<T>(run_.backend, scale, gradient, into);
      return;
    }
    std::vector<TensorView<T>> into(operands + tree_.steps.size());
    for (std::size_t i = 0; i < operands; ++i) into[i] = target_(tree_.operands[i]);
    for (std::size_t i = 0; i + 1 < tree_.steps.size(); ++i) {
      if (!into[tree_.steps[i].left].data && !into[tree_.steps[i].right].data) continue;
      TensorView<T>& step = into[operands + i];
      step.axes = with_tokens(tree_.results[i], run_.x.rows);
      step.data = run_.scratch.take(volume(step.axes));
    }
    for (std::size_t i = tree_.steps.size(); i-- > 0;) {
      const bool last = i + 1 == tree_.steps.size();
      const auto [left, right, modes] = tree_.steps[i];
      const TensorView<const T> above =
          last ? gradient : TensorView<const T>{into[operands + i].data, into[operands + i].axes};
      for (const auto& [operand, other] : {std::pair(left, right), std::pair(right, left)})
        if (into[operand].data)
          contract<T>(run_.backend, run_.scratch, last ? scale : T{1}, above,
                      run_.value(tree_, slot_, other, trace_), into[operand]);
    }
  }

 private:
  const Run& run_;
  const ContractionTree& tree_;
  std::size_t slot_;
  const Trace<T>& trace_;
  Target target_;
};

}  // namespace

template <class T>
void NetworkAdapter<T>::reverse_stages(const CompiledSite& site, MatrixView<const T> x,
                                       MatrixView<const T> dy, const Trace<T>& trace,
                                       MatrixView<T> dx) {
  std::vector<T*> block_gradients;
  for (std::size_t index = site.stages.size(); index-- > 0;) {
    const CompiledStage& stage = site.stages[index];
    MatrixView<const T> input = x;
    MatrixView<T> input_gradient = dx;
    if (index > 0) {
      const CompiledStage& below = site.stages[index - 1];
      input = {trace.buffers[below.output_slot].data(), x.rows, below.network.out};
      input_gradient = {scratch_.take(x.rows * below.network.out), x.rows, below.network.out};
    }
    for (std::size_t i = 0; i < stage.network.terms.size(); ++i) {
      const CompiledTerm& term = stage.network.terms[i];
      const TermRun run{*this->backend_,     this->backend_, scratch_, this->parameters_, term,
                        stage.first_slot[i], input};
      block_gradients.assign(term.blocks.size(), nullptr);
      const auto target = [&](const TreeOperand& operand) -> TensorView<T> {
        if (operand.kind == TreeOperand::Kind::parameter) {
          Parameter<T>& parameter = this->parameters_[operand.index];
          return {parameter.trainable ? parameter.gradient.data() + operand.offset : nullptr,
                  operand.axes};
        }
        if (operand.kind == TreeOperand::Kind::input)
          return input_gradient.data ? as_tensor(input_gradient, operand.axes, x.rows)
                                     : TensorView<T>{};
        T*& gradient = block_gradients[operand.index];
        if (!gradient) gradient = scratch_.take(volume(operand.axes));
        return {gradient, operand.axes};
      };
      using Reversal = TreeReversal<T, TermRun>;
      std::vector<Axis> axes = term.apply.output;
      TensorView<const T> above{dy.data, axes};
      if (term.constant) {
        // The bias meets every row: its gradient is the column sums of dY.
        axes.insert(axes.begin(), Axis{token_mode, dy.rows, dy.stride});
        T* sums = scratch_.take(volume(term.apply.output));
        accumulate<T>(*this->backend_, T{1}, {dy.data, axes}, {sums, term.apply.output});
        above.data = sums;
      } else {
        above = as_tensor(dy, axes, dy.rows);
      }
      Reversal(run, term.apply, run.product_slot(), trace, target)
          .reverse(static_cast<T>(term.scale), above);
      for (std::size_t block = term.blocks.size(); block-- > 0;)
        if (block_gradients[block])
          Reversal(run, term.blocks[block], run.block_slot(block), trace, target)
              .reverse(T{1}, {block_gradients[block], term.blocks[block].output});
    }
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
