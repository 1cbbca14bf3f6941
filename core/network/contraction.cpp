#include "core/network/contraction.h"

#include <algorithm>

namespace rankfold {
namespace {

/// Appends every mode of `axes` that the list does not have yet.
void add_modes(const std::vector<Axis>& axes, std::vector<Axis>& modes) {
  for (const Axis& axis : axes)
    if (!find_axis(modes, axis.mode)) modes.push_back(axis);
}

std::size_t stride_of(const std::vector<Axis>& axes, int mode) {
  const Axis* axis = find_axis(axes, mode);
  return axis ? axis->stride : 0;
}

/// The axes of `tensor` for `modes`, in their order.
std::vector<Axis> pick(const std::vector<Axis>& tensor, const std::vector<Axis>& modes) {
  std::vector<Axis> axes;
  for (const Axis& mode : modes) axes.push_back(*find_axis(tensor, mode.mode));
  return axes;
}

/// The single stride with which neighbouring axes step as one, if there is one.
std::optional<std::size_t> fused_stride(const std::vector<Axis>& axes) {
  if (axes.empty()) return 1;
  for (std::size_t i = 0; i + 1 < axes.size(); ++i)
    if (axes[i].stride != axes[i + 1].stride * axes[i + 1].size) return {};
  return axes.back().stride;
}

std::vector<Axis> concatenate(std::initializer_list<const std::vector<Axis>*> parts) {
  std::vector<Axis> all;
  for (const auto* part : parts) all.insert(all.end(), part->begin(), part->end());
  return all;
}

/// Below this many multiplications a token, products token by token cost more than a copy.
constexpr std::size_t smallest_token_product = 256;

}  // namespace

std::size_t volume(const std::vector<Axis>& axes) {
  std::size_t size = 1;
  for (const Axis& axis : axes) size *= axis.size;
  return size;
}

std::size_t volume_of_one_token(const std::vector<Axis>& axes) {
  std::size_t size = 1;
  for (const Axis& axis : axes)
    if (axis.mode != token_mode) size *= axis.size;
  return size;
}

double product_volume(const std::vector<Axis>& a, const std::vector<Axis>& b) {
  double size = static_cast<double>(volume_of_one_token(a));
  for (const Axis& axis : b)
    if (axis.mode != token_mode && !find_axis(a, axis.mode)) size *= static_cast<double>(axis.size);
  return size;
}

std::vector<Axis> contiguous(std::vector<Axis> axes) {
  std::size_t stride = 1;
  for (std::size_t i = axes.size(); i-- > 0;) {
    axes[i].stride = stride;
    stride *= axes[i].size;
  }
  return axes;
}

const Axis* find_axis(const std::vector<Axis>& axes, int mode) {
  const auto found = std::ranges::find(axes, mode, &Axis::mode);
  return found == axes.end() ? nullptr : &*found;
}

TokenLoop::TokenLoop(const std::vector<Axis>& a, const std::vector<Axis>& b,
                     const std::vector<Axis>& target) {
  std::vector<Axis> modes = target;
  add_modes(a, modes);
  add_modes(b, modes);
  struct Loop {
    LoopDimension dimension;
    bool tokens;
  };
  std::vector<Loop> loops;
  for (const Axis& mode : modes)
    if (mode.size != 1 || mode.mode == token_mode)
      loops.push_back({{mode.size, stride_of(a, mode.mode), stride_of(b, mode.mode),
                        stride_of(target, mode.mode)},
                       mode.mode == token_mode});
  // The fastest index of the operands goes innermost.
  const auto largest = [](const Loop& loop) {
    return std::max({loop.dimension.target, loop.dimension.a, loop.dimension.b});
  };
  std::ranges::stable_sort(
      loops, [&](const Loop& left, const Loop& right) { return largest(left) > largest(right); });
  bool previous_is_tokens = true;
  for (const auto& [inner, tokens] : loops) {
    // Neighbours that step through every operand as one are one loop.
    if (!previous_is_tokens && !tokens) {
      LoopDimension& outer = loop_.dimensions[loop_.count - 1];
      if (outer.a == inner.a * inner.size && outer.b == inner.b * inner.size &&
          outer.target == inner.target * inner.size) {
        outer = {outer.size * inner.size, inner.a, inner.b, inner.target};
        continue;
      }
    }
    if (tokens) token_dimension_ = loop_.count;
    loop_.add(inner);
    previous_is_tokens = tokens;
  }
}

StridedLoop TokenLoop::for_tokens(std::size_t tokens) const {
  StridedLoop loop = loop_;
  if (token_dimension_ < loop.count) loop.dimensions[token_dimension_].size = tokens;
  return loop;
}

/// The modes of a product c += a b, by where they stand.
template <class T>
struct PairProduct<T>::Roles {
  const std::vector<Axis>&a, &b, &c;
  std::vector<Axis> batch, rows, columns, contracted;
  bool plain = true;  ///< every mode stands in at least two of the three

  Roles(const std::vector<Axis>& left, const std::vector<Axis>& right,
        const std::vector<Axis>& result)
      : a(left), b(right), c(result) {
    for (const Axis& axis : c) {
      const bool in_a = find_axis(a, axis.mode), in_b = find_axis(b, axis.mode);
      if (in_a && in_b)
        batch.push_back(axis);
      else if (in_a)
        rows.push_back(axis);
      else if (in_b)
        columns.push_back(axis);
      else
        plain = false;
    }
    const std::vector<Axis>& larger = volume(a) >= volume(b) ? a : b;
    for (const Axis& axis : larger)
      if (find_axis(a, axis.mode) && find_axis(b, axis.mode) && !find_axis(c, axis.mode))
        contracted.push_back(axis);
    for (const auto* operand : {&a, &b})
      for (const Axis& axis : *operand)
        if (!find_axis(c, axis.mode) && !(find_axis(a, axis.mode) && find_axis(b, axis.mode)))
          plain = false;
    // Only the outermost of modes that step as one may have fewer values than planned.
    for (auto* role : {&rows, &columns, &contracted}) {
      const auto tokens = std::ranges::find(*role, token_mode, &Axis::mode);
      if (tokens != role->end()) std::rotate(role->begin(), tokens, tokens + 1);
    }
  }

  bool has_vectors() const { return rows.empty() || columns.empty(); }

  /// Tokens one by one; whether there were any in another role.
  bool move_tokens_to_batch() {
    for (auto* role : {&rows, &columns, &contracted}) {
      const auto found = std::ranges::find(*role, token_mode, &Axis::mode);
      if (found == role->end()) continue;
      batch.push_back(*found);
      role->erase(found);
      return true;
    }
    return false;
  }
};

template <class T>
std::optional<typename PairProduct<T>::Layout> PairProduct<T>::layout(
    const std::vector<Axis>& tensor, const std::vector<Axis>& rows,
    const std::vector<Axis>& columns) {
  const auto row_stride = fused_stride(pick(tensor, rows));
  const auto column_stride = fused_stride(pick(tensor, columns));
  if (!row_stride || !column_stride) return {};
  const std::size_t row_count = volume(rows), column_count = volume(columns);
  if ((*column_stride == 1 || column_count == 1) && (*row_stride >= column_count || row_count == 1))
    return Layout{false, std::max(row_count == 1 ? column_count : *row_stride, column_count)};
  if ((*row_stride == 1 || row_count == 1) && (*column_stride >= row_count || column_count == 1))
    return Layout{true, std::max(column_count == 1 ? row_count : *column_stride, row_count)};
  return {};
}

/// Decides the matrix product for these roles; without `copying` only where every operand lies as a
/// matrix already.
template <class T>
bool PairProduct<T>::lay_out(const Roles& roles, bool copying) {
  std::vector<Axis> a = roles.a, b = roles.b, c = roles.c;
  auto layout_a = layout(a, roles.rows, roles.contracted);
  auto layout_b = layout(b, roles.contracted, roles.columns);
  auto layout_c = layout(c, roles.rows, roles.columns);
  if (!copying && !(layout_a && layout_b && layout_c)) return false;
  if (!layout_a) {
    a = contiguous(concatenate({&roles.batch, &roles.rows, &roles.contracted}));
    layout_a = layout(a, roles.rows, roles.contracted);
    copy_a_ = TokenLoop(roles.a, {}, a);
    size_a_ = volume(a);
  }
  if (!layout_b) {
    b = contiguous(concatenate({&roles.batch, &roles.contracted, &roles.columns}));
    layout_b = layout(b, roles.contracted, roles.columns);
    copy_b_ = TokenLoop(roles.b, {}, b);
    size_b_ = volume(b);
  }
  if (!layout_c) {
    c = contiguous(concatenate({&roles.batch, &roles.rows, &roles.columns}));
    layout_c = layout(c, roles.rows, roles.columns);
    copy_c_ = TokenLoop(c, {}, roles.c);
    size_c_ = volume(c);
  }
  a_ = *layout_a, b_ = *layout_b, c_ = *layout_c;
  scratch_ = size_a_ + size_b_ + size_c_;
  m_ = volume_of_one_token(roles.rows);
  n_ = volume_of_one_token(roles.columns);
  k_ = volume_of_one_token(roles.contracted);
  if (find_axis(roles.rows, token_mode)) tokens_ = Tokens::row;
  if (find_axis(roles.columns, token_mode)) tokens_ = Tokens::column;
  if (find_axis(roles.contracted, token_mode)) tokens_ = Tokens::contracted;
  for (const Axis& axis : roles.batch) {
    if (axis.mode == token_mode) {
      tokens_ = Tokens::batch;
      token_batch_ = batch_.size();
    }
    batch_.push_back(
        {axis.size, stride_of(a, axis.mode), stride_of(b, axis.mode), stride_of(c, axis.mode)});
  }
  return true;
}

template <class T>
PairProduct<T>::PairProduct(const std::vector<Axis>& a, const std::vector<Axis>& b,
                            const std::vector<Axis>& c) {
  fill_ = TokenLoop({}, {}, c);
  Roles roles(a, b, c);
  if (!roles.plain || roles.contracted.empty() || (!roles.batch.empty() && roles.has_vectors())) {
    by_loops_ = true;
    loop_ = TokenLoop(a, b, c);
    return;
  }
  if (lay_out(roles, false)) return;
  Roles one_by_one = roles;
  if (one_by_one.move_tokens_to_batch() && !one_by_one.has_vectors() &&
      !one_by_one.contracted.empty() &&
      volume(one_by_one.rows) * volume(one_by_one.columns) * volume(one_by_one.contracted) >=
          smallest_token_product &&
      lay_out(one_by_one, false))
    return;
  lay_out(roles, true);
}

template <class T>
void PairProduct<T>::multiply(const Device& device, T alpha, const T* a, const T* b, T* c, T beta,
                              std::size_t tokens) const {
  const auto count = [&](std::size_t one, Tokens role) {
    return tokens_ == role ? one * tokens : one;
  };
  const std::size_t m = count(m_, Tokens::row), n = count(n_, Tokens::column),
                    k = count(k_, Tokens::contracted);
  const auto size = [&](std::size_t i) { return i == token_batch_ ? tokens : batch_[i].size; };
  std::size_t batches = 1;
  for (std::size_t i = 0; i < batch_.size(); ++i) batches *= size(i);
  for (std::size_t index = 0; index < batches; ++index) {
    std::size_t offset_a = 0, offset_b = 0, offset_c = 0, rest = index;
    for (std::size_t i = batch_.size(); i-- > 0;) {
      const std::size_t position = rest % size(i);
      rest /= size(i);
      offset_a += position * batch_[i].a;
      offset_b += position * batch_[i].b;
      offset_c += position * batch_[i].target;
    }
    if (!c_.transposed)
      device.gemm(a_.transposed, b_.transposed, m, n, k, alpha, a + offset_a, a_.stride,
                  b + offset_b, b_.stride, beta, c + offset_c, c_.stride);
    else  // C^T = B^T A^T
      device.gemm(!b_.transposed, !a_.transposed, n, m, k, alpha, b + offset_b, b_.stride,
                  a + offset_a, a_.stride, beta, c + offset_c, c_.stride);
  }
}

template <class T>
void PairProduct<T>::run(const Device& device, T alpha, const T* a, const T* b, T* c,
                         bool overwrite, std::size_t tokens, T* scratch) const {
  constexpr const T* nothing = nullptr;
  const auto copy = [&](const std::optional<TokenLoop>& loop, const T* from, T* to,
                        std::size_t size) {
    device.fill(size, T{0}, to);
    device.accumulate(loop->for_tokens(tokens), T{1}, from, nothing, to);
    return to;
  };
  // A batch of tokens summed into one c (or c behind a copy or a loop) is added to: it starts at 0.
  const bool fills = overwrite && (by_loops_ || copy_c_ || tokens_ == Tokens::batch);
  if (fills) device.clear(fill_.for_tokens(tokens), c);
  if (by_loops_) return device.accumulate(loop_.for_tokens(tokens), alpha, a, b, c);
  if (copy_a_) a = copy(copy_a_, a, scratch, size_a_);
  if (copy_b_) b = copy(copy_b_, b, scratch + size_a_, size_b_);
  T* target = copy_c_ ? scratch + size_a_ + size_b_ : c;
  multiply(device, alpha, a, b, target, copy_c_ || (overwrite && !fills) ? T{0} : T{1}, tokens);
  if (copy_c_) device.accumulate(copy_c_->for_tokens(tokens), T{1}, target, nothing, c);
}

template <class T>
void contract_by_loops(const Device& device, T alpha, const T* a, const std::vector<Axis>& a_axes,
                       const T* b, const std::vector<Axis>& b_axes, T* c,
                       const std::vector<Axis>& c_axes) {
  const Axis* tokens = nullptr;
  for (const auto* axes : {&a_axes, &b_axes, &c_axes})
    if (const Axis* found = find_axis(*axes, token_mode)) tokens = found;
  device.accumulate(TokenLoop(a_axes, b_axes, c_axes).for_tokens(tokens ? tokens->size : 0), alpha,
                    a, b, c);
}

template class PairProduct<float>;
template class PairProduct<double>;
template void contract_by_loops(const Device&, float, const float*, const std::vector<Axis>&,
                                const float*, const std::vector<Axis>&, float*,
                                const std::vector<Axis>&);
template void contract_by_loops(const Device&, double, const double*, const std::vector<Axis>&,
                                const double*, const std::vector<Axis>&, double*,
                                const std::vector<Axis>&);

}  // namespace rankfold
