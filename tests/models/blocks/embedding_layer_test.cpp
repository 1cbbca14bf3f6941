#include "experiments/models/blocks/embedding_layer.h"

#include <gtest/gtest.h>

#include <vector>

#include "models/double_reference.h"

namespace rankfold {
namespace {

using reference::normal;

constexpr std::size_t hidden = 11, vocabulary = 9, positions = 5, types = 2;
constexpr double dropout = 0.3;

struct Example {
  std::vector<float> words = normal(vocabulary * hidden, "words"),
                     places = normal(positions * hidden, "positions"),
                     kinds = normal(types * hidden, "types"), weight = normal(hidden, "weight"),
                     shift = normal(hidden, "shift"), weight_gradient = std::vector<float>(hidden),
                     shift_gradient = std::vector<float>(hidden);
  Batch batch;
  std::vector<std::size_t> firsts = {0, 1, 2};
  std::vector<float> dx = normal(7 * hidden, "dx");
  std::shared_ptr<const Device> device = make_cpu_device();
  Arena arena{device};

  Example() {
    batch.ids = {3, 8, 0, 1, 3, 3, 2};
    batch.type_ids = {0, 1, 1, 0, 0, 1, 0};
    batch.starts = {0, 5, 7};
  }
  EncoderPass pass(bool training) const {
    EncoderPass result;
    result.starts = batch.starts;
    result.firsts = firsts;
    result.training = training;
    result.seed = 5;
    result.step = 6;
    return result;
  }
  EmbeddingLayer layer() {
    LayerNorm norm{weight.data(), shift.data(), weight_gradient.data(), shift_gradient.data(),
                   0.25f};
    return {{words.data(), places.data(), kinds.data()}, norm, hidden, dropout, "place"};
  }
  reference::Embeddings formula() const {
    return {reference::in_double(words),
            reference::in_double(places),
            reference::in_double(kinds),
            {reference::in_double(weight), reference::in_double(shift), 0.25}};
  }
  Dropout masks(bool training) const {
    return training ? Dropout(dropout, 5, "place", 6) : Dropout();
  }
  MatrixView<float> view(std::vector<float>& values) const {
    values.resize(batch.tokens() * hidden);
    return {values.data(), batch.tokens(), hidden};
  }
};

TEST(EmbeddingLayer, IsTheFormula) {
  for (const bool training : {false, true}) {
    Example example;
    const EmbeddingLayer layer = example.layer();
    std::vector<float> x, again;
    layer.forward(example.batch, example.pass(training), example.view(x), example.arena);
    const reference::Rows expected = example.formula().apply(
        example.batch.ids, example.batch.type_ids, example.batch.starts, example.masks(training));
    EXPECT_LT(reference::relative_error(x, expected.values), 1e-6);
    layer.forward(example.batch, example.pass(training), example.view(again), example.arena);
    EXPECT_EQ(again, x);
  }
}

TEST(EmbeddingLayer, AddsTheGradientsOfItsNorm) {
  Example example;
  const EmbeddingLayer layer = example.layer();
  std::vector<float> dx = example.dx;
  layer.backward(example.batch, example.pass(true), example.view(dx), example.arena);
  reference::Embeddings formula = example.formula();
  const reference::Rows slopes(MatrixView<const float>(example.dx.data(), 7, hidden));
  const auto loss = [&] {
    return reference::dot(formula.apply(example.batch.ids, example.batch.type_ids,
                                        example.batch.starts, example.masks(true)),
                          slopes);
  };
  EXPECT_LT(reference::relative_error(example.weight_gradient,
                                      reference::central_differences(formula.norm.weight, loss)),
            1e-6);
  EXPECT_LT(reference::relative_error(example.shift_gradient,
                                      reference::central_differences(formula.norm.shift, loss)),
            1e-6);
}

TEST(EmbeddingLayer, MapsNarrowRowsAndPassesOverPadding) {
  constexpr std::size_t wide = 13;
  Example example;
  const std::vector<float> weight = normal(wide * hidden, "map"), bias = normal(wide, "bias");
  const LayerNorm norm{example.weight.data(), example.shift.data(), example.weight_gradient.data(),
                       example.shift_gradient.data(), 0.25f};
  // No types; positions 3 and more are there for 2 tokens a sequence behind padding 1.
  example.places = normal(8 * hidden, "positions");
  const EmbeddingLayer layer(
      {.words = example.words.data(), .positions = example.places.data(), .padding = 1}, norm,
      hidden, dropout, "place", {.weight = weight.data(), .bias = bias.data()});
  reference::Embeddings formula = example.formula();
  formula.types.clear();
  formula.padding = 1;
  formula.map = {reference::in_double(weight), reference::in_double(bias)};
  const auto rows = [&] {
    return formula.apply(example.batch.ids, example.batch.type_ids, example.batch.starts,
                         example.masks(true));
  };
  std::vector<float> x(7 * wide), dx = normal(7 * wide, "dx of map");
  layer.forward(example.batch, example.pass(true), {x.data(), 7, wide}, example.arena);
  EXPECT_LT(reference::relative_error(x, rows().values), 1e-6);
  const reference::Rows slopes(MatrixView<const float>(dx.data(), 7, wide));
  layer.backward(example.batch, example.pass(true), {dx.data(), 7, wide}, example.arena);
  EXPECT_LT(reference::relative_error(
                example.weight_gradient,
                reference::central_differences(formula.norm.weight,
                                               [&] { return reference::dot(rows(), slopes); })),
            1e-6);
}

}  // namespace
}  // namespace rankfold
