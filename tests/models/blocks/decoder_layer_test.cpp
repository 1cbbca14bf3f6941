#include "experiments/models/blocks/decoder_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "models/blocks/layer_example.h"
#include "models/decoder_reference.h"

namespace rankfold {
namespace {

constexpr std::size_t heads = 4, key_value_heads = 2, head_dim = 4, inner = 20;

struct Case {
  std::string name = "", method = "", targets = "";
  bool norms = false, below = false, last_rows_only = false, training = true;
  /// As Llama, or as GPT-2.
  bool gated = true, centred = false, turned = true, biases = false;
  bool head_norms = false;
  std::size_t window = 0;
};

/// A layer in float with memory of its own, and the same by the formula.
class Example : public LayerExample {
 public:
  explicit Example(const Case& c) : c_(c) {
    SiteCatalogue catalogue{"layer", 1, {}, {MatrixType::gate, MatrixType::up, MatrixType::down}};
    DecoderLayer::Parts parts;
    constexpr std::size_t queries = heads * head_dim, keys = key_value_heads * head_dim;
    const auto add = [&](MatrixType matrix, std::size_t out, std::size_t in,
                         std::vector<HostLinear>& linears) {
      const std::string name(to_string(matrix));
      const Site site{name, matrix, 0, out, in, heads};
      catalogue.sites.push_back(site);
      linears.emplace_back(site, linear(name, out, in, formula_.linears.emplace_back(), c.biases),
                           device_);
    };
    add(MatrixType::q, queries, hidden, parts.linears);
    add(MatrixType::k, keys, hidden, parts.linears);
    add(MatrixType::v, keys, hidden, parts.linears);
    add(MatrixType::o, hidden, queries, parts.linears);
    if (c.gated) add(MatrixType::gate, inner, hidden, parts.feed_forward);
    add(MatrixType::up, inner, hidden, parts.feed_forward);
    add(MatrixType::down, hidden, inner, parts.feed_forward);
    parts.attention_norm = norm("attention", hidden, 1, formula_.attention_norm);
    parts.feed_forward_norm = norm("feed_forward", hidden, 1, formula_.feed_forward_norm);
    if (c.head_norms) {
      parts.query_norm = norm("query", head_dim, heads, formula_.query_norm);
      parts.key_norm = norm("key", head_dim, key_value_heads, formula_.key_norm);
    }
    formula_.heads = heads;
    formula_.key_value_heads = key_value_heads;
    formula_.window = c.window;
    formula_.activation = c.gated ? HiddenActivation::silu : HiddenActivation::gelu_tanh;
    if (c.turned) formula_.angles = {0.7, 0.3};
    layer_ =
        std::make_unique<DecoderLayer>(0,
                                       DecoderSettings{heads, key_value_heads, head_dim, c.window,
                                                       formula_.activation, dropout, dropout},
                                       std::move(parts), device_);
    if (!c.method.empty())
      adapt(catalogue, c.method, c.targets, layer_->linears(),
            [&](const Site& site) -> reference::Linear& {
              return formula_.linears.at(place(catalogue, site));
            });
    application_.reach = layer_->reach(c.below);
    for (std::size_t s = 0; s + 1 < starts_.size(); ++s) {
      firsts_.push_back(s);
      lasts_.push_back(starts_[s + 1] - 1);
      for (std::size_t place = 0; place < starts_[s + 1] - starts_[s]; ++place)
        positions_.push_back(place);
      last_positions_.push_back(positions_.back());
    }
    firsts_.push_back(lasts_.size());
    for (std::size_t position = 0; position < 8; ++position)
      for (const double angle : formula_.angles) {
        cosines_.push_back(static_cast<float>(std::cos(angle * static_cast<double>(position))));
        sines_.push_back(static_cast<float>(std::sin(angle * static_cast<double>(position))));
      }
  }

  Result compute() {
    DecoderPass pass;
    pass.starts = pass.key_starts = starts_;
    pass.firsts = firsts_;
    pass.training = c_.training;
    pass.seed = 3;
    pass.step = 7;
    pass.positions = positions_;
    pass.lasts = lasts_;
    pass.last_positions = last_positions_;
    if (c_.turned) pass.turn = {cosines_.data(), sines_.data(), head_dim / 2};
    Arena arena(device_);
    Result result;
    std::vector<float> x = x_;
    const MatrixView<float> y =
        layer_->forward({x.data(), tokens(), hidden}, pass, application_, arena);
    result.y.assign(y.data, y.data + y.rows * hidden);
    if (!c_.training) return result;
    if (application_.reach.any) {
      EXPECT_EQ(x, x_);
    }
    std::vector<float> gradient = dy_;
    result.dx.assign(tokens() * hidden, NAN);
    const MatrixView<float> all(c_.last_rows_only ? result.dx.data() : gradient.data(), tokens(),
                                hidden);
    const Arena::Mark before = arena.mark();
    layer_->backward(pass, application_, {gradient.data(), y.rows, hidden}, all, arena);
    if (application_.reach.any) {
      EXPECT_LT(arena.mark().total, before.total);
    }
    if (!c_.last_rows_only) result.dx = gradient;
    add_gradients(result.gradients);
    return result;
  }

  /// y by the formula.
  reference::Rows apply() const {
    const auto masks = [&](const std::string& place) {
      return c_.training ? Dropout(dropout, 3, place, 7) : Dropout();
    };
    return formula_.apply(
        input_, starts_,
        {masks(application_.attention_place), masks(application_.attention_output_place),
         masks(application_.output_place)},
        c_.last_rows_only);
  }
  double loss() const {
    return reference::dot(apply(),
                          reference::Rows(MatrixView<const float>(dy_.data(), rows(), hidden)));
  }

  /// Everything that has a gradient, of the formula: x, factors, norms.
  std::vector<std::span<double>> unknowns() {
    std::vector<std::span<double>> all = {input_.values};
    add_factors(all);
    if (!c_.norms) return all;
    for (reference::PartNorm* norm : {&formula_.attention_norm, &formula_.feed_forward_norm,
                                      &formula_.query_norm, &formula_.key_norm}) {
      if (!norm->weight.empty()) all.push_back(norm->weight);
      if (!norm->shift.empty()) all.push_back(norm->shift);
    }
    return all;
  }

 private:
  std::size_t rows() const { return c_.last_rows_only ? sequences() : tokens(); }

  LayerNorm norm(const std::string& name, std::size_t width, std::size_t groups,
                 reference::PartNorm& formula) {
    LayerNorm result = LayerExample::norm(name, width, c_.centred, c_.norms, formula);
    result.centred = formula.centred = c_.centred;
    result.groups = groups;
    return result;
  }

  Case c_;
  std::vector<std::size_t> firsts_, lasts_, positions_, last_positions_;
  std::vector<float> dy_ = reference::normal(rows() * hidden, "dy"), cosines_, sines_;
  reference::DecoderLayer formula_;
  std::unique_ptr<DecoderLayer> layer_;
  DecoderApplication application_{"place", c_.last_rows_only};
};

class DecoderLayers : public testing::TestWithParam<Case> {};

TEST_P(DecoderLayers, AndTheirGradientsAreThoseOfTheFormula) {
  Example example(GetParam());
  const Example::Result found = example.compute();
  expect_the_formula(example, found, GetParam().training, GetParam().below);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DecoderLayers,
    testing::Values(
        Case{.name = "Prediction", .training = false},
        Case{.name = "PredictionOfLastRows", .last_rows_only = true, .training = false},
        Case{.name = "Input", .below = true},
        Case{.name = "InputOfLastRows", .below = true, .last_rows_only = true},
        Case{.name = "InputWithoutGate",
             .below = true,
             .gated = false,
             .centred = true,
             .turned = false,
             .biases = true},
        Case{.name = "InputThroughAWindow", .below = true, .window = 2},
        Case{.name = "InputThroughNormsOfHeads", .below = true, .head_norms = true},
        Case{.name = "Norms", .norms = true, .head_norms = true},
        Case{.name = "NormsOfLastRows",
             .norms = true,
             .below = true,
             .last_rows_only = true,
             .head_norms = true},
        Case{.name = "NormsWithShifts", .norms = true, .below = true, .centred = true},
        Case{.name = "Query", .method = "lora", .targets = "q"},
        Case{.name = "QueryOfLastRows",
             .method = "lora",
             .targets = "q",
             .below = true,
             .last_rows_only = true},
        Case{.name = "KeysAndValues", .method = "lora", .targets = "k,v", .below = true},
        Case{.name = "KeysOfLastRows", .method = "lora", .targets = "k", .last_rows_only = true},
        Case{.name = "KeysBehindNorms", .method = "lora", .targets = "k", .head_norms = true},
        Case{.name = "AttentionOutput", .method = "lora", .targets = "o"},
        Case{.name = "Gate", .method = "lora", .targets = "gate"},
        Case{.name = "Up", .method = "lora", .targets = "up", .biases = true},
        Case{.name = "UpWithoutGate",
             .method = "lora",
             .targets = "up",
             .gated = false,
             .centred = true,
             .turned = false,
             .biases = true},
        Case{.name = "Down", .method = "lora", .targets = "down"},
        Case{.name = "DownWithoutGate",
             .method = "lora",
             .targets = "down",
             .below = true,
             .gated = false,
             .centred = true,
             .turned = false,
             .biases = true},
        Case{.name = "AllSites",
             .method = "lora",
             .targets = "q,k,v,o,gate,up,down",
             .norms = true,
             .below = true,
             .head_norms = true,
             .window = 3},
        Case{.name = "AllSitesOfLastRows",
             .method = "lora",
             .targets = "q,k,v,o,gate,up,down",
             .below = true,
             .last_rows_only = true,
             .biases = true},
        Case{.name = "AllSitesWithoutGate",
             .method = "lora",
             .targets = "q,k,v,o,up,down",
             .norms = true,
             .below = true,
             .gated = false,
             .centred = true,
             .turned = false,
             .biases = true},
        Case{.name = "DenseUpdates",
             .method = "full",
             .targets = "q,k,v,o,gate,up,down",
             .below = true},
        Case{.name = "BottlenecksAroundTheWeights",
             .method = "loretta_adp",
             .targets = "adapters",
             .below = true}),
    [](const auto& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace rankfold
