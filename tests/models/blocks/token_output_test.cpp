#include "experiments/models/blocks/token_output.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "models/decoder_reference.h"

namespace rankfold {
namespace {

using reference::normal;

TEST(TokenOutput, FormsTheLossOfManyBlocksAndItsGradients) {
  // Rows of several blocks; some have no label.
  constexpr std::size_t rows = 76, hidden = 6, vocabulary = 200'000;
  const auto device = make_cpu_device();
  const std::vector<float> x = normal(rows * hidden, "x"), w = normal(vocabulary * hidden, "w"),
                           scale = normal(hidden, "scale");
  std::vector<std::size_t> labelled;
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < rows; ++i) {
    if (i % 7 == 2) continue;
    labelled.push_back(i);
    labels.push_back(static_cast<std::int32_t>(i * 977 % vocabulary));
  }
  ASSERT_LT(device->vocabulary_rows(labelled.size(), vocabulary), labelled.size());
  const TokenOutput output(w.data(), vocabulary, hidden, device, false);
  std::vector<float> weight_gradient(hidden);
  LayerNorm norm{scale.data()};
  norm.centred = false;
  norm.epsilon = 0.125f;
  norm.weight_gradient = weight_gradient.data();

  // A row for two labels, and scales of the losses' sum.
  labelled.push_back(labelled.front());
  labels.push_back(5);
  const std::vector<float> scales = normal(labelled.size(), "scales");
  // By the formula: d = scale (softmax - 1 at the label) W, and back through the norm.
  reference::PartNorm formula{reference::in_double(scale), {}, 0.125, false};
  const reference::Rows input(MatrixView<const float>(x.data(), rows, hidden));
  const reference::Rows normed = formula.apply(input);
  reference::Rows d_normed(rows, hidden);
  std::vector<double> expected;
  for (std::size_t n = 0; n < labelled.size(); ++n) {
    std::vector<double> logits(vocabulary);
    double total = 0;
    for (std::size_t word = 0; word < vocabulary; ++word) {
      for (std::size_t c = 0; c < hidden; ++c)
        logits[word] += normed.at(labelled[n], c) * w[word * hidden + c];
      total += std::exp(logits[word]);
    }
    const auto label = static_cast<std::size_t>(labels[n]);
    expected.push_back(std::log(total) - logits[label]);
    for (std::size_t word = 0; word < vocabulary; ++word) {
      const double d = scales[n] * (std::exp(logits[word]) / total - (word == label ? 1 : 0));
      for (std::size_t c = 0; c < hidden; ++c)
        d_normed.at(labelled[n], c) += d * w[word * hidden + c];
    }
  }
  reference::Rows varied = input;
  const auto along = [&] { return reference::dot(formula.apply(varied), d_normed); };
  const std::vector<double> dx = reference::central_differences(varied.values, along),
                            d_scale = reference::central_differences(formula.weight, along);

  Arena arena(device);
  std::vector<float> found(rows * hidden, NAN);
  const MatrixView<const float> view(x.data(), rows, hidden);
  std::vector<double> losses(labelled.size()), alone(labelled.size());
  output.losses_and_gradients(norm, view, labelled, labels, scales, losses,
                              {found.data(), rows, hidden}, arena);
  for (std::size_t n = 0; n < losses.size(); ++n)
    EXPECT_NEAR(losses[n], expected[n], 1e-5 * expected[n]);
  EXPECT_LT(reference::relative_error(found, dx), 1e-5);
  EXPECT_LT(reference::relative_error(weight_gradient, d_scale), 1e-5);
  output.losses(norm, view, labelled, labels, alone, arena);
  for (std::size_t n = 0; n < losses.size(); ++n)
    EXPECT_NEAR(alone[n], losses[n], 1e-6 * losses[n]);
  EXPECT_LT(reference::relative_error(weight_gradient, d_scale), 1e-5);
}

}  // namespace
}  // namespace rankfold
