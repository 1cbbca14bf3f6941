#include "experiments/models/blocks/relative_embedding.h"

#include <algorithm>
#include <cmath>

#include "core/device/work.h"

namespace rankfold {

std::size_t PositionBuckets::row(std::int64_t distance) const {
  std::int64_t bucket = distance;
  const auto middle = static_cast<std::int64_t>(buckets / 2);
  if (const std::int64_t far = std::abs(distance); buckets > 0 && far > middle) {
    const auto half = static_cast<float>(middle);
    const float steps = std::log(static_cast<float>(far) / half) /
                        std::log(static_cast<float>(farthest - 1) / half);
    bucket = static_cast<std::int64_t>(std::ceil(steps * (half - 1.0f))) + middle;
    if (distance < 0) bucket = -bucket;
  }
  const auto reach = static_cast<std::int64_t>(span);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(bucket + reach, 0, 2 * reach - 1));
}

namespace {

void choose_rows(const PositionBuckets& buckets, std::size_t longest, RelativeRows& rows) {
  rows.longest = longest;
  rows.of_table.clear();
  rows.of_distance.clear();
  // Keys from the farthest before a query to the farthest behind it.
  for (auto distance = static_cast<std::int64_t>(longest) - 1;
       distance > -static_cast<std::int64_t>(longest); --distance) {
    const std::size_t row = buckets.row(distance);
    if (rows.of_table.empty() || rows.of_table.back() != row) rows.of_table.push_back(row);
    rows.of_distance.push_back(static_cast<std::uint32_t>(rows.of_table.size() - 1));
  }
}

}  // namespace

void RelativeEmbedding::start(EncoderPass& pass, RelativeRows& rows, Arena& arena) const {
  std::size_t longest = 1;
  for (std::size_t s = 0; s < pass.sequences(); ++s)
    longest = std::max(longest, pass.starts[s + 1] - pass.starts[s]);
  if (rows.longest != longest) choose_rows(buckets_, longest, rows);
  const Device& device = arena.device();
  const std::size_t count = rows.of_table.size();
  RelativePass& relative = pass.relative;
  relative.rows = rows.of_distance;
  relative.embedding = arena.take_matrix(count, hidden_);
  device.gather_rows({table_, 2 * buckets_.span, hidden_}, rows.of_table, relative.embedding);
  if (norm_) {
    // The gathered rows become the normalised ones in place.
    relative.norm = {relative.embedding, arena.take(count)};
    relative.embedding = arena.take_matrix(count, hidden_);
    add_and_normalise(*norm_, relative.norm.normalised, nullptr, Dropout(), {}, relative.norm,
                      relative.embedding, device);
  }
  if (!trains() || !pass.training) return;
  relative.gradient = arena.take_matrix(count, hidden_);
  device.fill(count * hidden_, 0.0f, relative.gradient.data);
}

void RelativeEmbedding::backward(const EncoderPass& pass, const RelativeRows& rows,
                                 Arena& arena) const {
  const MatrixView<float>& gradient = pass.relative.gradient;
  if (!gradient.data) return;
  const Device& device = arena.device();
  if (!table_gradient_) {
    const WorkTimer timer(device, Work::elementwise);
    return add_norm_gradients(*norm_, gradient, pass.relative.norm.normalised, device);
  }
  if (norm_) {
    const ArenaScope scope(arena);
    const MatrixView<float> same = arena.take_matrix(gradient.rows, gradient.columns);
    add_and_normalise_backward(*norm_, Dropout(), gradient, pass.relative.norm, gradient, same,
                               device);
  }
  const WorkTimer timer(device, Work::elementwise);
  device.add_to_rows(gradient, rows.of_table, {table_gradient_, 2 * buckets_.span, hidden_});
}

}  // namespace rankfold
