#include "experiments/models/blocks/encoder_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "decompositions/registry.h"
#include "models/double_reference.h"

namespace rankfold {
namespace {

using reference::normal;

constexpr std::size_t hidden = 12, heads = 3, inner = 20;
constexpr double dropout = 0.25, epsilon = 1e-3;

struct Shape {
  MatrixType matrix;
  const char* name;
  std::size_t out, in;
};
constexpr Shape shapes[] = {
    {MatrixType::q, "q", hidden, hidden},  {MatrixType::k, "k", hidden, hidden},
    {MatrixType::v, "v", hidden, hidden},  {MatrixType::o, "o", hidden, hidden},
    {MatrixType::up, "up", inner, hidden}, {MatrixType::down, "down", hidden, inner}};

struct Case {
  std::string name = "", method = "", targets = "";
  bool norms = false, below = false, first_rows_only = false, training = true;
  std::size_t applications = 1;
  HiddenActivation activation = HiddenActivation::gelu;
};

/// A layer in float with memory of its own, and the same by the formula.
class Example {
 public:
  explicit Example(const Case& c) : c_(c) {
    firsts_.resize(starts_.size());
    std::iota(firsts_.begin(), firsts_.end(), std::size_t{0});
    x_ = normal(starts_.back() * hidden, "x");
    dy_ = normal(rows() * hidden, "dy");
    SiteCatalogue catalogue{"layer", 1, {}, {MatrixType::o, MatrixType::down}};
    EncoderLayer::Parts parts;
    for (const Shape& shape : shapes) {
      const Site site{shape.name, shape.matrix, 0, shape.out, shape.in, heads};
      catalogue.sites.push_back(site);
      weights_.push_back(normal(shape.out * shape.in, std::string(shape.name) + "w", 0.4));
      biases_.push_back(normal(shape.out, std::string(shape.name) + "b", 0.3));
      parts.linears.emplace_back(
          site, FrozenLinear<float>{weights_.back().data(), biases_.back().data()}, device_);
      formula_.linears.push_back(
          {reference::in_double(weights_.back()), reference::in_double(biases_.back())});
    }
    parts.attention_norm = norm("a", formula_.attention_norm);
    parts.output_norm = norm("y", formula_.output_norm);
    formula_.heads = heads;
    formula_.activation = c.activation;
    layer_ = std::make_unique<EncoderLayer>(
        EncoderSettings{hidden, heads, inner, c.activation, dropout, dropout}, std::move(parts),
        device_);
    if (!c.method.empty()) adapt(catalogue);
    for (std::size_t i = 0; i < c.applications; ++i)
      applications_.emplace_back("place" + std::to_string(i),
                                 c.first_rows_only && i + 1 == c.applications);
    bool below = c.below;
    for (EncoderApplication& application : applications_) {
      application.reach = layer_->reach(below);
      below = application.reach.any;
      application.keeps_output = true;
    }
  }

  struct Result {
    std::vector<float> y, again, dx;
    std::vector<std::vector<float>> gradients;  ///< of factors, then norms
  };
  Result compute() {
    EncoderPass pass;
    pass.starts = starts_;
    pass.firsts = firsts_;
    pass.training = c_.training;
    pass.seed = 3;
    pass.step = 7;
    Arena arena(device_);
    Result result;
    result.y = x_;
    const MatrixView<float> rows(result.y.data(), tokens(), hidden);
    MatrixView<float> y = rows;
    for (EncoderApplication& application : applications_)
      y = layer_->forward(y, pass, application, arena);
    result.y.resize(y.rows * hidden);
    if (!c_.training) return result;
    result.again.resize(y.rows * hidden);
    layer_->form_output(applications_.back(), {result.again.data(), y.rows, hidden}, *device_);
    std::vector<float> d_first = dy_;
    result.dx = dy_;
    result.dx.resize(tokens() * hidden);
    const MatrixView<float> dx(result.dx.data(), tokens(), hidden);
    MatrixView<float> gradient =
        c_.first_rows_only ? MatrixView<float>(d_first.data(), y.rows, hidden) : dx;
    for (std::size_t i = applications_.size(); i-- > 0;) {
      const MatrixView<float> x =
          layer_->backward_attention(pass, applications_[i], gradient, arena);
      EXPECT_EQ(x.data != nullptr, layer_->reads_input());
      if (x.data && i == 0) std::copy_n(x_.data(), x_.size(), x.data);
      if (x.data && i > 0) layer_->form_output(applications_[i - 1], x, *device_);
      layer_->backward_projections(pass, applications_[i], x, gradient, dx, arena);
      gradient = dx;
    }
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
    reference::Rows x = input_;
    for (const EncoderApplication& application : applications_) {
      const auto masks = [&](const std::string& place) {
        return c_.training ? Dropout(dropout, 3, place, 7) : Dropout();
      };
      x = formula_.apply(
          x, starts_,
          {masks(application.attention_place), masks(application.attention_output_place),
           masks(application.output_place)},
          application.first_rows_only);
    }
    return x;
  }

  /// Everything that has a gradient, of the formula: x, factors, norms.
  std::vector<std::span<double>> unknowns() {
    std::vector<std::span<double>> all = {input_.values};
    if (double_adapter_)
      for (Parameter<double>& parameter : double_adapter_->parameters())
        all.push_back(parameter.value.span());
    if (c_.norms)
      for (reference::Norm* norm : {&formula_.attention_norm, &formula_.output_norm}) {
        all.push_back(norm->weight);
        all.push_back(norm->shift);
      }
    return all;
  }
  double loss() const {
    return reference::dot(apply(),
                          reference::Rows(MatrixView<const float>(dy_.data(), rows(), hidden)));
  }

 private:
  std::size_t tokens() const { return starts_.back(); }
  std::size_t rows() const { return c_.first_rows_only ? starts_.size() - 1 : tokens(); }

  LayerNorm norm(const std::string& name, reference::Norm& formula) {
    weights_.push_back(normal(hidden, name + "w"));
    biases_.push_back(normal(hidden, name + "b"));
    formula = {reference::in_double(weights_.back()), reference::in_double(biases_.back()),
               static_cast<double>(static_cast<float>(epsilon))};
    LayerNorm result{weights_.back().data(), biases_.back().data()};
    result.epsilon = static_cast<float>(epsilon);
    if (c_.norms) {
      result.weight_gradient = norm_gradients_.emplace_back(hidden).data();
      result.shift_gradient = norm_gradients_.emplace_back(hidden).data();
    }
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
    std::vector<reference::Linear> frozen_in_double;
    for (std::size_t site = 0; site < stack.sites.size(); ++site)
      for (std::size_t i = 0; i < std::size(shapes); ++i)
        if (stack.sites[site].name == shapes[i].name) {
          frozen.push_back(layer_->linears()[i].frozen());
          frozen_in_double.push_back(formula_.linears[i]);
          layer_->linears()[i].attach(adapter_.get(), site);
        }
    adapter_->set_frozen(frozen);
    frozen_in_double_ = std::move(frozen_in_double);
    double_adapter_ = reference::in_double(*adapter_, c_.method, "2", frozen_in_double_);
    for (std::size_t site = 0; site < stack.sites.size(); ++site)
      for (std::size_t i = 0; i < std::size(shapes); ++i)
        if (stack.sites[site].name == shapes[i].name) {
          formula_.linears[i].adapter = double_adapter_.get();
          formula_.linears[i].site = site;
        }
  }

  Case c_;
  std::shared_ptr<const Device> device_ = make_cpu_device();
  std::vector<std::size_t> starts_ = {0, 4, 5, 8}, firsts_;
  std::vector<float> x_, dy_;
  reference::Rows input_{MatrixView<const float>(normal(8 * hidden, "x").data(), 8, hidden)};
  std::vector<std::vector<float>> weights_, biases_, norm_gradients_;
  reference::EncoderLayer formula_;
  std::vector<reference::Linear> frozen_in_double_;
  std::unique_ptr<EncoderLayer> layer_;
  std::vector<EncoderApplication> applications_;
  std::unique_ptr<Adapter<float>> adapter_;
  std::unique_ptr<Adapter<double>> double_adapter_;
};

class EncoderLayers : public testing::TestWithParam<Case> {};

TEST_P(EncoderLayers, AndTheirGradientsAreThoseOfTheFormula) {
  Example example(GetParam());
  const Example::Result found = example.compute();
  EXPECT_LT(reference::relative_error(found.y, example.apply().values), 1e-6);
  if (!GetParam().training) return;
  EXPECT_EQ(found.again, found.y);
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
    Cases, EncoderLayers,
    testing::Values(
        Case{.name = "Prediction", .training = false},
        Case{.name = "PredictionOfFirstRows", .first_rows_only = true, .training = false},
        Case{.name = "Input", .below = true},
        Case{.name = "InputOfFirstRows", .below = true, .first_rows_only = true},
        Case{.name = "InputThroughTanh", .below = true, .activation = HiddenActivation::gelu_tanh},
        Case{.name = "InputThroughRelu", .below = true, .activation = HiddenActivation::relu},
        Case{.name = "Norms", .norms = true},
        Case{.name = "NormsOfFirstRows", .norms = true, .below = true, .first_rows_only = true},
        Case{.name = "Query", .method = "lora", .targets = "q"},
        Case{.name = "QueryOfFirstRows",
             .method = "lora",
             .targets = "q",
             .below = true,
             .first_rows_only = true},
        Case{.name = "KeysAndValues", .method = "lora", .targets = "k,v", .below = true},
        Case{.name = "KeysOfFirstRows", .method = "lora", .targets = "k", .first_rows_only = true},
        Case{.name = "AttentionOutput", .method = "lora", .targets = "o"},
        Case{.name = "Up", .method = "lora", .targets = "up"},
        Case{.name = "Down", .method = "lora", .targets = "down"},
        Case{.name = "DownBelow", .method = "lora", .targets = "down", .below = true},
        Case{.name = "AllSites",
             .method = "lora",
             .targets = "q,k,v,o,up,down",
             .norms = true,
             .below = true},
        Case{.name = "AllSitesOfFirstRows",
             .method = "lora",
             .targets = "q,k,v,o,up,down",
             .below = true,
             .first_rows_only = true},
        Case{.name = "AppliedTwice",
             .method = "lora",
             .targets = "q,k,v,o,up,down",
             .norms = true,
             .below = true,
             .applications = 2},
        Case{.name = "AppliedThreeTimesAboveNothingThatTrains",
             .method = "lora",
             .targets = "k,down",
             .first_rows_only = true,
             .applications = 3},
        Case{.name = "AppliedTwiceWithDenseUpdates",
             .method = "full",
             .targets = "q,v",
             .applications = 2},
        Case{.name = "AppliedTwiceWithBottlenecks",
             .method = "loretta_adp",
             .targets = "adapters",
             .below = true,
             .applications = 2},
        Case{.name = "SharedFactors", .method = "lotr", .targets = "q,v", .below = true},
        Case{.name = "DenseUpdates", .method = "full", .targets = "q,k,v,o,up,down", .below = true},
        Case{.name = "BottlenecksBehindTheWeights",
             .method = "loretta_adp",
             .targets = "adapters",
             .below = true}),
    [](const auto& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace rankfold
