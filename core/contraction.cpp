#include "core/contraction.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

namespace rankfold {
namespace {

const Axis* find_axis(const std::vector<Axis>& axes, int mode) {
  const auto found = std::ranges::find(axes, mode, &Axis::mode);
  return found == axes.end() ? nullptr : &*found;
}

/// Appends every mode of `axes` that the loop does not have yet.
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

/// How a tensor looks as a matrix [rows, columns] for a matrix product.
struct MatrixLayout {
  bool transposed = false;  ///< stored as [columns, rows]
  std::size_t stride = 0;
};

std::optional<MatrixLayout> matrix_layout(const std::vector<Axis>& tensor,
                                          const std::vector<Axis>& rows,
                                          const std::vector<Axis>& columns) {
  const auto row_stride = fused_stride(pick(tensor, rows));
  const auto column_stride = fused_stride(pick(tensor, columns));
  if (!row_stride || !column_stride) return {};
  const std::size_t row_count = volume(rows), column_count = volume(columns);
  if ((*column_stride == 1 || column_count == 1) && (*row_stride >= column_count || row_count == 1))
    return MatrixLayout{false, std::max(row_count == 1 ? column_count : *row_stride, column_count)};
  if ((*row_stride == 1 || row_count == 1) && (*column_stride >= row_count || column_count == 1))
    return MatrixLayout{true, std::max(column_count == 1 ? row_count : *column_stride, row_count)};
  return {};
}

std::vector<Axis> contiguous(std::vector<Axis> axes) {
  std::size_t stride = 1;
  for (std::size_t i = axes.size(); i-- > 0;) {
    axes[i].stride = stride;
    stride *= axes[i].size;
  }
  return axes;
}

std::vector<Axis> concatenate(std::initializer_list<const std::vector<Axis>*> parts) {
  std::vector<Axis> all;
  for (const auto* part : parts) all.insert(all.end(), part->begin(), part->end());
  return all;
}

/// The same tensor stored contiguously in the order batch, rows, columns.
template <class T>
TensorView<const T> reorder(const Backend& backend, Scratch<T>& scratch,
                            const TensorView<const T>& from, std::vector<Axis> order) {
  TensorView<T> copy{nullptr, contiguous(std::move(order))};
  copy.data = scratch.take(volume(copy.axes));
  accumulate<T>(backend, T{1}, from, copy);
  return {copy.data, copy.axes};
}

/// The modes of a product c += a b, by where they stand.
struct Roles {
  std::vector<Axis> batch, rows, columns, contracted;
  bool plain = true;  ///< every mode stands in at least two of the three
};

Roles sort_roles(const std::vector<Axis>& a, const std::vector<Axis>& b,
                 const std::vector<Axis>& c) {
  Roles roles;
  for (const Axis& axis : c) {
    const bool in_a = find_axis(a, axis.mode), in_b = find_axis(b, axis.mode);
    if (in_a && in_b)
      roles.batch.push_back(axis);
    else if (in_a)
      roles.rows.push_back(axis);
    else if (in_b)
      roles.columns.push_back(axis);
    else
      roles.plain = false;
  }
  const std::vector<Axis>& larger = volume(a) >= volume(b) ? a : b;
  for (const Axis& axis : larger)
    if (find_axis(a, axis.mode) && find_axis(b, axis.mode) && !find_axis(c, axis.mode))
      roles.contracted.push_back(axis);
  for (const auto* operand : {&a, &b})
    for (const Axis& axis : *operand)
      if (!find_axis(c, axis.mode) && !(find_axis(a, axis.mode) && find_axis(b, axis.mode)))
        roles.plain = false;
  return roles;
}

}  // namespace

std::size_t volume(const std::vector<Axis>& axes) {
  std::size_t size = 1;
  for (const Axis& axis : axes) size *= axis.size;
  return size;
}

template <class T>
T* Scratch<T>::take(std::size_t size) {
  if (used_ == blocks_.size()) blocks_.emplace_back();
  Buffer<T>& block = blocks_[used_++];
  if (block.size() < size)
    block = Buffer<T>(backend_, size);
  else
    std::memset(static_cast<void*>(block.data()), 0, size * sizeof(T));
  return block.data();
}

template <class T>
void accumulate(const Backend& backend, T alpha, const TensorView<const T>& a,
                const TensorView<T>& c) {
  std::vector<Axis> modes = c.axes;
  add_modes(a.axes, modes);
  StridedLoop loop;
  for (const Axis& mode : modes) {
    loop.sizes.push_back(mode.size);
    loop.a.push_back(stride_of(a.axes, mode.mode));
    loop.target.push_back(stride_of(c.axes, mode.mode));
  }
  backend.accumulate(loop, alpha, a.data, static_cast<const T*>(nullptr), c.data);
}

template <class T>
void contract_by_loops(const Backend& backend, T alpha, const TensorView<const T>& a,
                       const TensorView<const T>& b, const TensorView<T>& c) {
  std::vector<Axis> modes = c.axes;
  add_modes(a.axes, modes);
  add_modes(b.axes, modes);
  StridedLoop loop;
  for (const Axis& mode : modes) {
    loop.sizes.push_back(mode.size);
    loop.a.push_back(stride_of(a.axes, mode.mode));
    loop.b.push_back(stride_of(b.axes, mode.mode));
    loop.target.push_back(stride_of(c.axes, mode.mode));
  }
  backend.accumulate(loop, alpha, a.data, b.data, c.data);
}

template <class T>
void contract(const Backend& backend, Scratch<T>& scratch, T alpha, const TensorView<const T>& a,
              const TensorView<const T>& b, const TensorView<T>& c) {
  const Roles roles = sort_roles(a.axes, b.axes, c.axes);
  const bool vectors = roles.rows.empty() || roles.columns.empty();
  if (!roles.plain || roles.contracted.empty() || (!roles.batch.empty() && vectors))
    return contract_by_loops(backend, alpha, a, b, c);

  // a as [rows, contracted], b as [contracted, columns], c as [rows, columns]; what does not lie
  // like that is copied into that order first, or written there and added afterwards.
  TensorView<const T> left = a, right = b;
  auto left_layout = matrix_layout(a.axes, roles.rows, roles.contracted);
  if (!left_layout) {
    left =
        reorder(backend, scratch, a, concatenate({&roles.batch, &roles.rows, &roles.contracted}));
    left_layout = matrix_layout(left.axes, roles.rows, roles.contracted);
  }
  auto right_layout = matrix_layout(b.axes, roles.contracted, roles.columns);
  if (!right_layout) {
    right = reorder(backend, scratch, b,
                    concatenate({&roles.batch, &roles.contracted, &roles.columns}));
    right_layout = matrix_layout(right.axes, roles.contracted, roles.columns);
  }
  TensorView<T> target = c;
  auto target_layout = matrix_layout(c.axes, roles.rows, roles.columns);
  if (!target_layout) {
    target.axes = contiguous(concatenate({&roles.batch, &roles.rows, &roles.columns}));
    target.data = scratch.take(volume(target.axes));
    target_layout = matrix_layout(target.axes, roles.rows, roles.columns);
  }

  const std::size_t m = volume(roles.rows), n = volume(roles.columns), k = volume(roles.contracted);
  const std::size_t batches = volume(roles.batch);
  for (std::size_t index = 0; index < batches; ++index) {
    std::size_t offset_a = 0, offset_b = 0, offset_c = 0, rest = index;
    for (std::size_t i = roles.batch.size(); i-- > 0;) {
      const std::size_t position = rest % roles.batch[i].size;
      rest /= roles.batch[i].size;
      offset_a += position * stride_of(left.axes, roles.batch[i].mode);
      offset_b += position * stride_of(right.axes, roles.batch[i].mode);
      offset_c += position * stride_of(target.axes, roles.batch[i].mode);
    }
    const T* data_a = left.data + offset_a;
    const T* data_b = right.data + offset_b;
    if (!target_layout->transposed)
      backend.gemm(left_layout->transposed, right_layout->transposed, m, n, k, alpha, data_a,
                   left_layout->stride, data_b, right_layout->stride, T{1}, target.data + offset_c,
                   target_layout->stride);
    else  // C^T = B^T A^T
      backend.gemm(!right_layout->transposed, !left_layout->transposed, n, m, k, alpha, data_b,
                   right_layout->stride, data_a, left_layout->stride, T{1}, target.data + offset_c,
                   target_layout->stride);
  }
  if (target.data != c.data) accumulate<T>(backend, T{1}, {target.data, target.axes}, c);
}

template class Scratch<float>;
template class Scratch<double>;
template void accumulate(const Backend&, float, const TensorView<const float>&,
                         const TensorView<float>&);
template void accumulate(const Backend&, double, const TensorView<const double>&,
                         const TensorView<double>&);
template void contract(const Backend&, Scratch<float>&, float, const TensorView<const float>&,
                       const TensorView<const float>&, const TensorView<float>&);
template void contract(const Backend&, Scratch<double>&, double, const TensorView<const double>&,
                       const TensorView<const double>&, const TensorView<double>&);
template void contract_by_loops(const Backend&, float, const TensorView<const float>&,
                                const TensorView<const float>&, const TensorView<float>&);
template void contract_by_loops(const Backend&, double, const TensorView<const double>&,
                                const TensorView<const double>&, const TensorView<double>&);

}  // namespace rankfold
