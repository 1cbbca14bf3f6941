#include "experiments/models/blocks/token_output.h"

#include <algorithm>
#include <utility>

#include "core/device/work.h"

namespace rankfold {
namespace {

Site output_site(std::size_t vocabulary, std::size_t hidden) {
  Site site;
  site.name = "lm_head";
  site.out = vocabulary;
  site.in = hidden;
  return site;
}

}  // namespace

TokenOutput::TokenOutput(const float* weight, std::size_t vocabulary, std::size_t hidden,
                         std::shared_ptr<const Device> device, bool bfloat16)
    : linear_(output_site(vocabulary, hidden), {weight, nullptr, nullptr}, std::move(device),
              bfloat16) {}

void TokenOutput::logits(MatrixView<const float> x, MatrixView<float> logits) const {
  linear_.forward(x, logits, nullptr);
}

void TokenOutput::losses(const LayerNorm& norm, MatrixView<const float> x,
                         std::span<const std::size_t> rows, std::span<const std::int32_t> labels,
                         std::span<double> losses, Arena& arena) const {
  losses_and_gradients(norm, x, rows, labels, {}, losses, {}, arena);
}

void TokenOutput::losses_and_gradients(const LayerNorm& norm, MatrixView<const float> x,
                                       std::span<const std::size_t> rows,
                                       std::span<const std::int32_t> labels,
                                       std::span<const float> scales, std::span<double> losses,
                                       MatrixView<float> dx, Arena& arena) const {
  const ArenaScope temporaries(arena);
  const Device& device = arena.device();
  const bool backward = !scales.empty();
  const std::size_t block = device.vocabulary_rows(rows.size(), vocabulary());
  const MatrixView<float> all_logits = arena.take_matrix(block, vocabulary()),
                          all_chosen = arena.take_matrix(block, x.columns),
                          all_normed = arena.take_matrix(block, x.columns);
  if (dx.data) device.fill_rows(static_cast<const float*>(nullptr), dx);
  for (std::size_t begin = 0; begin < rows.size(); begin += block) {
    const std::size_t count = std::min(block, rows.size() - begin);
    const std::span<const std::size_t> of_block = rows.subspan(begin, count);
    const MatrixView<float> logits(all_logits.data, count, vocabulary()),
        chosen(all_chosen.data, count, x.columns), normed(all_normed.data, count, x.columns);
    device.gather_rows(x, of_block, chosen);
    normalise(norm, chosen, normed, device);
    linear_.forward(normed, logits, nullptr);
    {
      const WorkTimer timer(device, Work::elementwise);
      device.cross_entropy_in_place(logits, labels.subspan(begin, count),
                                    backward ? scales.subspan(begin, count) : scales,
                                    losses.subspan(begin, count));
    }
    if (!backward) continue;
    // The gradient takes the place of the normalised rows.
    linear_.backward(normed, logits, {}, normed, Into::overwrite);
    MatrixView<float> d_chosen = normed;
    if (!dx.data) d_chosen.data = nullptr;
    normalise_backward(norm, normed, chosen, false, d_chosen, device);
    if (dx.data) device.add_to_rows(normed, of_block, dx);
  }
}

}  // namespace rankfold
