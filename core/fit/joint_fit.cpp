#include "core/fit/joint_fit.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace rankfold {
namespace {

bool equal(const std::vector<Axis>& a, const std::vector<Axis>& b) {
  return std::ranges::equal(a, b, [](const Axis& x, const Axis& y) {
    return x.mode == y.mode && x.size == y.size && x.stride == y.stride;
  });
}

std::vector<FitParameter> parameters_of(const FitBlock& block) {
  std::vector<FitParameter> parameters;
  for (const FitOperand& operand : block.terms.front().operands)
    parameters.push_back({volume(operand.axes), true});
  return parameters;
}

template <class T>
std::unique_ptr<LeastSquares<T>> make_problem(const FitBlock& block,
                                              const std::shared_ptr<const Device>& device) {
  return std::make_unique<LeastSquares<T>>(std::vector<FitBlock>{block}, parameters_of(block),
                                           device);
}

}  // namespace

template <class T>
JointPlan<T>::JointPlan(const JointNetwork& network, const Site& site, const FitSettings& fit,
                        std::shared_ptr<const Device> device)
    : block_(network.block()), sites_(network.sites.size()), device_(std::move(device)) {
  const std::size_t site_modes = network.site_modes.size(), out_axes = network.network.out_axes;
  out_ = find_side(site_modes, out_axes, site.out);
  in_ = find_side(site_modes + out_axes, network.network.data.size() - out_axes, site.in);
  const bool compressed = out_.width > 0 || in_.width > 0;
  small_block_ = with_sizes(out_.width ? out_.width : site.out, in_.width ? in_.width : site.in);
  tree_ = find_tree(small_block_);
  starts_ = tree_ ? 1 : fit.starts.value_or(compressed ? 8 : 1);
  sweeps_ = fit.iterations.value_or(tree_ && !compressed ? 0 : 100);
  // Two factors are at their best after one singular value decomposition.
  if (tree_ && small_block_.terms.front().operands.size() <= 2) sweeps_ = 0;
  if (!tree_ || sweeps_ > 0) {
    if (compressed)
      small_ = make_problem<double>(small_block_, device_);
    else
      whole_ = make_problem<T>(small_block_, device_);
  }
  if (out_.width && in_.width) half_ = make_problem<T>(with_sizes(site.out, in_.width), device_);
}

/// Axes first .. first + count of the data are a side of the weight.
template <class T>
typename JointPlan<T>::Side JointPlan<T>::find_side(std::size_t first, std::size_t count,
                                                    std::size_t size) const {
  Side side;
  side.size = size;
  if (count != 1) return side;
  side.mode = block_.data[first].mode;
  const std::vector<FitOperand>& operands = block_.terms.front().operands;
  std::size_t holders = 0;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    if (!find_axis(operands[k].axes, side.mode)) continue;
    ++holders;
    side.operand = k;
    side.rank = volume(operands[k].axes) / size;
  }
  const std::size_t width = basis_width(side.rank);
  if (holders == 1 && operands.size() > 1 && width * 3 <= size * 2) side.width = width;
  return side;
}

template <class T>
FitBlock JointPlan<T>::with_sizes(std::size_t out, std::size_t in) const {
  FitBlock block = block_;
  const auto resize = [&](std::vector<Axis>& axes) {
    for (Axis& axis : axes) {
      if (out_.width && axis.mode == out_.mode) axis.size = out;
      if (in_.width && axis.mode == in_.mode) axis.size = in;
    }
    axes = contiguous(axes);
  };
  resize(block.data);
  for (FitOperand& operand : block.terms.front().operands) resize(operand.axes);
  return block;
}

template <class T>
bool JointPlan<T>::suits(const FitBlock& block, const Site& site) const {
  const FitTerm &mine = block_.terms.front(), &other = block.terms.front();
  return equal(block_.data, block.data) && out_.size == site.out && in_.size == site.in &&
         mine.scale == other.scale && mine.operands.size() == other.operands.size() &&
         std::ranges::equal(mine.operands, other.operands,
                            [](const FitOperand& a, const FitOperand& b) {
                              return a.parameter == b.parameter && equal(a.axes, b.axes);
                            });
}

/// The factor that holds a compressed side, with that side's basis multiplied in.
template <class T>
std::vector<double> JointPlan<T>::expand(const std::vector<double>& values, const Side& side,
                                         const std::vector<T>& basis) const {
  const std::vector<Axis>& axes = block_.terms.front().operands[side.operand].axes;
  std::size_t before = 1, behind = 1;
  bool met = false;
  for (const Axis& axis : axes) {
    if (axis.mode == side.mode)
      met = true;
    else
      (met ? behind : before) *= axis.size;
  }
  const std::vector<double> exact(basis.begin(), basis.end());
  std::vector<double> expanded(before * side.size * behind);
  for (std::size_t b = 0; b < before; ++b)
    device_->gemm(false, false, side.size, behind, side.width, 1.0, exact.data(), side.width,
                  values.data() + b * side.width * behind, behind, 0.0,
                  expanded.data() + b * side.size * behind, behind);
  return expanded;
}

template <class T>
template <class Value>
std::vector<std::vector<double>> JointPlan<T>::solve(const LeastSquares<Value>* problem,
                                                     const FitBlock& block, const Value* tensor,
                                                     double outside, const FitSettings& settings,
                                                     const std::string& purpose,
                                                     FitHistory& history) const {
  std::vector<std::vector<double>> values;
  if (tree_) values = decompose_tree(*tree_, block, tensor, *device_);
  if (!problem) return values;
  FitData<Value> data{{tensor}, sum_of_squares(tensor, volume(block.data)), outside};
  FitState<Value> state = problem->make_state();
  if (tree_) {
    for (std::size_t i = 0; i < values.size(); ++i) state.set(i, std::move(values[i]));
    run_sweeps(*problem, data, settings, sweeps_, state, history);
  } else {
    run_starts(*problem, data, settings, starts_, sweeps_, purpose, state, history);
  }
  return std::move(state.values);
}

template <class T>
std::vector<std::vector<double>> JointPlan<T>::fit(
    const UpdateSource<T>& source, const std::vector<std::size_t>& sites,
    const FitSettings& settings, const std::string& purpose,
    const std::function<std::string(std::size_t)>& describe, FitHistory& history) const {
  const std::size_t size = out_.size * in_.size;
  if (!out_.width && !in_.width) {
    std::vector<T> scratch, joint;
    const T* tensor = source.read(sites.front(), scratch);
    // One after the other in memory is one tensor already.
    bool in_place = true;
    for (std::size_t i = 1; in_place && i < sites.size(); ++i) {
      std::vector<T> other;
      in_place = source.read(sites[i], other) == tensor + i * size;
    }
    if (!in_place) {
      joint.resize(sites.size() * size);
      for (std::size_t i = 0; i < sites.size(); ++i)
        std::copy_n(source.read(sites[i], scratch), size, joint.data() + i * size);
      tensor = joint.data();
    }
    if (!std::isfinite(sum_of_squares(tensor, sites.size() * size)))
      for (std::size_t i = 0; i < sites.size(); ++i)
        if (!std::isfinite(sum_of_squares(tensor + i * size, size)))
          throw Error("{}: holds numbers that are not finite", describe(sites[i]));
    std::vector<std::vector<double>> values =
        solve(whole_.get(), small_block_, tensor, 0, settings, purpose, history);
    for (const std::size_t site : sites) source.release(site);
    return values;
  }
  const Compression<T> part =
      compress<T>(source, sites, out_.size, in_.size, {out_.width, out_.rank},
                  {in_.width, in_.rank}, *device_, describe);
  const SingleThread single(part.core.size() < (std::size_t{1} << 22));
  const std::vector<double> core(part.core.begin(), part.core.end());
  double total = 0;
  for (const double square : part.squares) total += square;
  const double outside = std::max(0.0, total - sum_of_squares(core.data(), core.size()));
  std::vector<std::vector<double>> values =
      solve(small_.get(), small_block_, core.data(), outside, settings, purpose, history);
  if (out_.width) {
    std::vector<double>& factor = values[out_.operand];
    factor = expand(factor, out_, part.left);
  }
  if (half_) {
    // The factor of the out side may leave the basis: its best values for the data behind it.
    FitState<T> state = half_->make_state();
    for (std::size_t i = 0; i < values.size(); ++i) state.set(i, std::move(values[i]));
    const T* half = part.half.data();
    half_->update(out_.operand, {&half, 1}, state);
    values = std::move(state.values);
  }
  if (in_.width) {
    std::vector<double>& factor = values[in_.operand];
    factor = expand(factor, in_, part.right);
  }
  return values;
}

template class JointPlan<float>;
template class JointPlan<double>;

}  // namespace rankfold
