#include "experiments/models/blocks/decoder_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "decompositions/registry.h"
#include "models/decoder_reference.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using reference::normal;

constexpr std::size_t hidden = 12, heads = 4, key_value_heads = 2, head_dim = 4, inner = 20;
constexpr double dropout = 0.25, epsilon = 1e-3;

struct Case {
  std::string name = "", method = "", targets = "";
  bool norms = false, below = false, last_rows_only = false, training = true;
  /// As Llama, or as GPT-2.
  bool gated = true, centred = false, turned = true, biases = false;
  bool head_norms = false;
  std::size_t window = 0;
  bool fused = false;  ///< q, k and v are parts of in_proj
};

/// A layer in float with memory of its own, and the same by the formula.
class Example {
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
      weights_.push_back(normal(out * in, name + "w", 0.4));
      biases_.push_back(c.biases ? normal(out, name + "b", 0.3) : std::vector<float>(out));
      linears.emplace_back(
          site,
          FrozenLinear<float>{weights_.back().data(), c.biases ? biases_.back().data() : nullptr},
          device_);
      formula_.linears.push_back(
          {reference::in_double(weights_.back()), reference::in_double(biases_.back())});
    };
    if (c.fused) {
      add(MatrixType::in_proj, queries + 2 * keys, hidden, parts.linears);
      if (c.targets == "in_proj") formula_.whole = formula_.linears.front();
      formula_.linears.clear();
      const FrozenLinear<float> whole = parts.linears.front().frozen();
      const auto add_part = [&](MatrixType matrix, std::size_t first, std::size_t out) {
        const Site site{std::string(to_string(matrix)), matrix, 0, out, hidden, heads, "in_proj"};
        catalogue.sites.push_back(site);
        parts.linears.emplace_back(
            site, FrozenLinear<float>{whole.weight + first * hidden, whole.bias + first}, device_);
        const auto rows = [&](const std::vector<float>& all, std::size_t width) {
          return reference::in_double(std::span(all).subspan(first * width, out * width));
        };
        formula_.linears.push_back({rows(weights_.front(), hidden), rows(biases_.front(), 1)});
      };
      add_part(MatrixType::q, 0, queries);
      add_part(MatrixType::k, queries, keys);
      add_part(MatrixType::v, queries + keys, keys);
    } else {
      add(MatrixType::q, queries, hidden, parts.linears);
      add(MatrixType::k, keys, hidden, parts.linears);
      add(MatrixType::v, keys, hidden, parts.linears);
    }
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
    if (!c.method.empty()) adapt(catalogue);
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

  struct Result {
    std::vector<float> y, dx;
    std::vector<std::vector<float>> gradients;  ///< of factors, then norms
  };
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
    if (adapter_)
      for (const Parameter<float>& parameter : adapter_->parameters())
        result.gradients.emplace_back(parameter.gradient.span().begin(),
                                      parameter.gradient.span().end());
    for (const std::vector<float>& gradients : norm_gradients_)
      result.gradients.push_back(gradients);
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
    if (double_adapter_)
      for (Parameter<double>& parameter : double_adapter_->parameters())
        all.push_back(parameter.value.span());
    if (!c_.norms) return all;
    for (reference::PartNorm* norm : {&formula_.attention_norm, &formula_.feed_forward_norm,
                                      &formula_.query_norm, &formula_.key_norm}) {
      if (!norm->weight.empty()) all.push_back(norm->weight);
      if (!norm->shift.empty()) all.push_back(norm->shift);
    }
    return all;
  }

 private:
  std::size_t tokens() const { return starts_.back(); }
  std::size_t rows() const { return c_.last_rows_only ? starts_.size() - 1 : tokens(); }

  LayerNorm norm(const std::string& name, std::size_t width, std::size_t groups,
                 reference::PartNorm& formula) {
    weights_.push_back(normal(width, name + "w"));
    formula.weight = reference::in_double(weights_.back());
    formula.epsilon = static_cast<float>(epsilon);
    formula.centred = c_.centred;
    LayerNorm result{weights_.back().data()};
    result.epsilon = static_cast<float>(epsilon);
    result.centred = c_.centred;
    result.groups = groups;
    if (c_.norms) result.weight_gradient = norm_gradients_.emplace_back(width).data();
    if (!c_.centred) return result;
    biases_.push_back(normal(width, name + "b"));
    formula.shift = reference::in_double(biases_.back());
    result.shift = biases_.back().data();
    if (c_.norms) result.shift_gradient = norm_gradients_.emplace_back(width).data();
    return result;
  }

  void adapt(const SiteCatalogue& catalogue) {
    const Registry registry = builtin_registry();
    const Method& method = registry.at(c_.method);
    const Stack stack = select_stack(catalogue, c_.targets, "all");
    adapter_ = make_adapter<float>(
        method, stack, resolve_settings(method, {method.has_rank ? "2" : "", {}, "", {}}, stack),
        device_);
    for (Parameter<float>& parameter : adapter_->parameters())
      std::ranges::copy(normal(parameter.value.size(), parameter.name, 0.3),
                        parameter.value.span().begin());
    std::vector<FrozenLinear<float>> frozen;
    const std::vector<HostLinear*> linears = layer_->linears();
    std::vector<std::size_t> places;
    for (const Site& site : stack.sites)
      for (std::size_t i = 0; i < linears.size(); ++i)
        if (linears[i]->site().name == site.name) places.push_back(i);
    // The formula has the whole of a fused projection apart.
    const auto formula_of = [&](std::size_t place) -> reference::Linear& {
      if (!c_.fused) return formula_.linears[place];
      return place == 0 ? *formula_.whole : formula_.linears[place - 1];
    };
    for (std::size_t site = 0; site < places.size(); ++site) {
      frozen.push_back(linears[places[site]]->frozen());
      frozen_in_double_.push_back(formula_of(places[site]));
      linears[places[site]]->attach(adapter_.get(), site);
    }
    adapter_->set_frozen(frozen);
    double_adapter_ = reference::in_double(*adapter_, c_.method, "2", frozen_in_double_);
    for (std::size_t site = 0; site < places.size(); ++site) {
      formula_of(places[site]).adapter = double_adapter_.get();
      formula_of(places[site]).site = site;
    }
  }

  Case c_;
  std::shared_ptr<const Device> device_ = make_cpu_device();
  std::vector<std::size_t> starts_ = {0, 4, 5, 8}, firsts_, lasts_, positions_, last_positions_;
  std::vector<float> x_ = normal(8 * hidden, "x"), dy_ = normal(rows() * hidden, "dy"), cosines_,
                     sines_;
  reference::Rows input_{MatrixView<const float>(x_.data(), 8, hidden)};
  std::deque<std::vector<float>> weights_, biases_, norm_gradients_;
  reference::DecoderLayer formula_;
  std::vector<reference::Linear> frozen_in_double_;
  std::unique_ptr<DecoderLayer> layer_;
  DecoderApplication application_{"place", c_.last_rows_only};
  std::unique_ptr<Adapter<float>> adapter_;
  std::unique_ptr<Adapter<double>> double_adapter_;
};

class DecoderLayers : public testing::TestWithParam<Case> {};

TEST_P(DecoderLayers, AndTheirGradientsAreThoseOfTheFormula) {
  Example example(GetParam());
  const Example::Result found = example.compute();
  EXPECT_LT(reference::relative_error(found.y, example.apply().values), 1e-6);
  if (!GetParam().training) return;
  const std::vector<std::span<double>> unknowns = example.unknowns();
  ASSERT_EQ(unknowns.size(), 1 + found.gradients.size());
  for (std::size_t i = 0; i < unknowns.size(); ++i) {
    if (i == 0 && !GetParam().below) continue;
    const std::vector<double> expected =
        reference::central_differences(unknowns[i], [&] { return example.loss(); });
    EXPECT_LT(reference::relative_error(i == 0 ? found.dx : found.gradients[i - 1], expected), 5e-6)
        << i;
  }
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
        Case{.name = "Fused",
             .method = "lora",
             .targets = "in_proj",
             .norms = true,
             .below = true,
             .turned = false,
             .biases = true,
             .fused = true},
        Case{.name = "FusedOfLastRows",
             .method = "lora",
             .targets = "in_proj",
             .below = true,
             .last_rows_only = true,
             .biases = true,
             .fused = true},
        Case{.name = "FusedOfLastRowsAboveNothingThatTrains",
             .method = "full",
             .targets = "in_proj",
             .last_rows_only = true,
             .biases = true,
             .fused = true},
        Case{.name = "PartsOfAFusedWeight",
             .method = "lora",
             .targets = "q,v",
             .below = true,
             .last_rows_only = true,
             .biases = true,
             .fused = true},
        Case{.name = "BottlenecksAroundTheWeights",
             .method = "loretta_adp",
             .targets = "adapters",
             .below = true}),
    [](const auto& chosen) { return chosen.param.name; });

TEST(DecoderLayer, RefusesLinearLayersThatMakeNoLayer) {
  const auto device = make_cpu_device();
  const auto layer_of = [&](std::size_t count, bool head_norms) {
    DecoderLayer::Parts parts;
    for (std::size_t i = 0; i < count; ++i)
      parts.linears.emplace_back(Site{}, FrozenLinear<float>{}, device);
    const float weight = 1;
    if (head_norms) parts.query_norm.weight = &weight;
    DecoderLayer(0, {heads, key_value_heads, head_dim}, std::move(parts), device);
  };
  EXPECT_EQ(message_of<Error>([&] { layer_of(3, false); }),
            "a decoder layer: got 3 linear layers, expected 4, or 5 with a fused projection");
  EXPECT_EQ(message_of<Error>([&] { layer_of(5, true); }),
            "a decoder layer: a fused projection with norms of heads");
}

}  // namespace
}  // namespace rankfold
