#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace rankfold {

/// One loop of a nest: how often, and the step (in elements) of each operand; step 0 broadcasts a
/// source or sums into the target.
struct LoopDimension {
  std::size_t size = 1, a = 0, b = 0, target = 0;
};

/// A loop nest, outermost first. It lives on the stack: running it takes no memory.
struct StridedLoop {
  static constexpr std::size_t most = 32;
  std::array<LoopDimension, most> dimensions = {};
  std::size_t count = 0;

  /// Throws Error where there are more than `most`.
  void add(const LoopDimension& dimension);
  std::span<const LoopDimension> nest() const { return {dimensions.data(), count}; }
};

/// Rows x columns of somebody else's memory, row-major with a row stride (in elements).
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0, columns = 0, stride = 0;

  MatrixView() = default;
  MatrixView(T* values, std::size_t row_count, std::size_t column_count)
      : MatrixView(values, row_count, column_count, column_count) {}
  MatrixView(T* values, std::size_t row_count, std::size_t column_count, std::size_t row_stride)
      : data(values), rows(row_count), columns(column_count), stride(row_stride) {}
  /// A view of mutable values is also one of constant values.
  operator MatrixView<const T>() const { return {data, rows, columns, stride}; }
  T* row(std::size_t index) const { return data + index * stride; }
};

/// A function of the number of a lane, for Device::run_lanes: refers to one that outlives the call
/// and takes no memory.
class LaneWork {
 public:
  template <class Function>
  LaneWork(const Function& function)
      : function_(&function), call_([](const void* called, std::size_t lane) {
          (*static_cast<const Function*>(called))(lane);
        }) {}
  void operator()(std::size_t lane) const { call_(function_, lane); }

 private:
  const void* function_;
  void (*call_)(const void*, std::size_t);
};

}  // namespace rankfold
