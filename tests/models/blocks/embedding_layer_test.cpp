#include "experiments/models/blocks/embedding_layer.h"

#include <gtest/gtest.h>

#include <vector>

#include "models/blocks/layer_example.h"

namespace rankfold {
namespace {

using reference::normal;

constexpr std::size_t width = 11, vocabulary = 9, positions = 5, types = 2;
constexpr double drop = 0.3;

struct Example {
  std::vector<float> words = normal(vocabulary * width, "words"),
                     places = normal(positions * width, "positions"),
                     kinds = normal(types * width, "types"), weight = normal(width, "weight"),
                     shift = normal(width, "shift"), weight_gradient = std::vector<float>(width),
                     shift_gradient = std::vector<float>(width);
  Batch batch;
  std::vector<std::size_t> firsts = {0, 1, 2};
  std::vector<float> dx = normal(7 * width, "dx");
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
    return {{words.data(), places.data(), kinds.data()}, norm, width, drop, "place"};
  }
  reference::Embeddings formula() const {
    return {reference::in_double(words),
            reference::in_double(places),
            reference::in_double(kinds),
            {reference::in_double(weight), reference::in_double(shift), 0.25}};
  }
  Dropout masks(bool training) const { return training ? Dropout(drop, 5, "place", 6) : Dropout(); }
  MatrixView<float> view(std::vector<float>& values) const {
    values.resize(batch.tokens() * width);
    return {values.data(), batch.tokens(), width};
  }
};

TEST(EmbeddingLayer, IsTheFormula) {
  for (const bool training : {false, true}) {
    Example example;
    const EmbeddingLayer layer = example.layer();
    std::vector<float> x, again;
    layer.forward(example.batch, example.pass(training), example.view(x), nullptr, example.arena);
    const reference::Rows expected = example.formula().apply(
        example.batch.ids, example.batch.type_ids, example.batch.starts, example.masks(training));
    EXPECT_LT(reference::relative_error(x, expected.values), 1e-6);
    layer.forward(example.batch, example.pass(training), example.view(again), nullptr,
                  example.arena);
    EXPECT_EQ(again, x);
  }
}

TEST(EmbeddingLayer, AddsTheGradientsOfItsNorm) {
  Example example;
  const EmbeddingLayer layer = example.layer();
  std::vector<float> dx = example.dx;
  TableRows rows;
  layer.backward(example.batch, example.pass(true), {}, example.view(dx), rows, example.arena);
  reference::Embeddings formula = example.formula();
  const reference::Rows slopes(MatrixView<const float>(example.dx.data(), 7, width));
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

TEST(EmbeddingLayer, AddsTheGradientsOfItsTables) {
  Example example;
  EmbeddingLayer layer = example.layer();
  std::vector<float> words(vocabulary * width), places(positions * width), kinds(types * width),
      dx = example.dx;
  // The row of word 3 has none.
  layer.train({words.data(), places.data(), kinds.data(), 3});
  TableRows rows;
  layer.backward(example.batch, example.pass(true), {}, example.view(dx), rows, example.arena);
  reference::Embeddings formula = example.formula();
  const reference::Rows slopes(MatrixView<const float>(example.dx.data(), 7, width));
  const auto expected = [&](std::span<double> values) {
    return reference::central_differences(values, [&] {
      return reference::dot(formula.apply(example.batch.ids, example.batch.type_ids,
                                          example.batch.starts, example.masks(true)),
                            slopes);
    });
  };
  std::vector<double> of_words = expected(formula.words);
  std::ranges::fill(std::span(of_words).subspan(3 * width, width), 0.0);
  EXPECT_LT(reference::relative_error(words, of_words), 1e-6);
  EXPECT_LT(reference::relative_error(places, expected(formula.positions)), 1e-6);
  EXPECT_LT(reference::relative_error(kinds, expected(formula.types)), 1e-6);
  EXPECT_LT(reference::relative_error(example.weight_gradient, expected(formula.norm.weight)),
            1e-6);
}

/// Behind a map to wider rows, frozen or adapted; no types, and positions behind padding 1.
class MappedExample : public LayerExample {
 public:
  explicit MappedExample(bool adapted) : layer_(make_layer()) {
    if (!adapted) return;
    const SiteCatalogue catalogue{"embedding", 1, {layer_.map()->site()}, {}};
    HostLinear* const map = layer_.map();
    adapt(catalogue, "lora", "embedding_map", {&map, 1}, {&*formula_.map});
  }

  Result compute() {
    Result result;
    result.y.resize(7 * wide);
    result.dx = normal(7 * wide, "dx of map");
    Trace<float> trace;
    layer_.forward(example_.batch, example_.pass(true), {result.y.data(), 7, wide}, &trace,
                   example_.arena);
    std::vector<float> again(7 * wide);
    layer_.forward(example_.batch, example_.pass(true), {again.data(), 7, wide}, nullptr,
                   example_.arena);
    EXPECT_EQ(again, result.y);
    layer_.backward(example_.batch, example_.pass(true), trace, {result.dx.data(), 7, wide}, rows_,
                    example_.arena);
    add_gradients(result.gradients);
    result.gradients.push_back(example_.weight_gradient);
    return result;
  }
  reference::Rows apply() const {
    return formula_.apply(example_.batch.ids, example_.batch.type_ids, example_.batch.starts,
                          example_.masks(true));
  }
  double loss() const {
    const std::vector<float> slopes = normal(7 * wide, "dx of map");
    return reference::dot(apply(),
                          reference::Rows(MatrixView<const float>(slopes.data(), 7, wide)));
  }
  std::vector<std::span<double>> unknowns() {
    std::vector<std::span<double>> all = {{}};
    add_factors(all);
    all.push_back(formula_.norm.weight);
    return all;
  }

 private:
  static constexpr std::size_t wide = 13;
  TableRows rows_;

  EmbeddingLayer make_layer() {
    example_.places = normal(8 * width, "positions");
    formula_ = example_.formula();
    formula_.types.clear();
    formula_.padding = 1;
    const Site site{"map", MatrixType::embedding_map, 0, wide, width, 1, "", true};
    return {{.words = example_.words.data(), .positions = example_.places.data(), .padding = 1},
            {example_.weight.data(), example_.shift.data(), example_.weight_gradient.data(),
             example_.shift_gradient.data(), 0.25f},
            width,
            drop,
            "place",
            HostLinear(site, linear("map", wide, width, formula_.map.emplace()), device_)};
  }

  Example example_;
  reference::Embeddings formula_;
  EmbeddingLayer layer_;
};

TEST(EmbeddingLayer, MapsNarrowRowsAndPassesOverPaddingWithOrWithoutAnAdapter) {
  for (const bool adapted : {false, true}) {
    MappedExample example(adapted);
    expect_the_formula(example, example.compute(), true, false);
  }
}

}  // namespace
}  // namespace rankfold
