#include "experiments/models/blocks/encoder_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "models/blocks/layer_example.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using reference::normal;

constexpr std::size_t hidden = 12, heads = 3, inner = 20;
constexpr double other_dropout = 0.125;

struct Shape {
  MatrixType matrix;
  const char* name;
  std::size_t out, in;
};
constexpr Shape shapes[] = {
    {MatrixType::q, "q", hidden, hidden},  {MatrixType::k, "k", hidden, hidden},
    {MatrixType::v, "v", hidden, hidden},  {MatrixType::o, "o", hidden, hidden},
    {MatrixType::up, "up", inner, hidden}, {MatrixType::down, "down", hidden, inner}};
constexpr Shape fused_shape = {MatrixType::in_proj, "in_proj", 3 * hidden, hidden};

/// How scores depend on relative positions: not at all, through maps of their own, or through the
/// layer's k and q.
enum class Positions { none, mapped, shared };
/// Of the longest of the sequences, 4 tokens: distances share rows.
constexpr std::uint32_t rows_of_positions[] = {0, 0, 1, 2, 3, 4, 4};
constexpr std::size_t position_rows = 5;

struct Case {
  std::string name = "", method = "", targets = "";
  bool norms = false, below = false, first_rows_only = false, training = true;
  std::size_t applications = 1;
  HiddenActivation activation = HiddenActivation::gelu;
  Positions positions = Positions::none;
  bool fused = false, keys = true, queries = true;  ///< terms of the positions
  bool trains_positions = false;                    ///< their embedding's gradient is wanted
};

/// A layer in float with memory of its own, and the same by the formula.
class Example : public LayerExample {
 public:
  explicit Example(const Case& c) : c_(c) {
    firsts_.resize(starts_.size());
    std::iota(firsts_.begin(), firsts_.end(), std::size_t{0});
    dy_ = normal(rows() * hidden, "dy");
    SiteCatalogue catalogue{"layer", 1, {}, {MatrixType::o, MatrixType::down}};
    EncoderLayer::Parts parts;
    // A fused weight computes as one unless a part of it is adapted.
    const bool whole = c.fused && c.targets.find('q') == std::string::npos;
    const auto add = [&](const Shape& shape, FrozenLinear<float> frozen, reference::Linear formula,
                         bool computes, const std::string& part_of = "") {
      const Site site{shape.name, shape.matrix, 0, shape.out, shape.in, heads, part_of};
      catalogue.sites.push_back(site);
      parts.linears.emplace_back(site, frozen, device_);
      computes_.push_back(computes);
      if (computes) formula_.linears.push_back(std::move(formula));
    };
    const auto add_drawn = [&](const Shape& shape, bool computes) {
      reference::Linear formula;
      const FrozenLinear<float> frozen = linear(shape.name, shape.out, shape.in, formula);
      add(shape, frozen, std::move(formula), computes);
    };
    if (c.fused) add_drawn(fused_shape, whole);
    for (const Shape& shape : shapes) {
      if (!c.fused || shape.matrix > MatrixType::v) {
        add_drawn(shape, true);
        continue;
      }
      const auto part = static_cast<std::size_t>(shape.matrix);
      weights_.push_back(rows_of_part(weights_.front(), hidden, part));
      biases_.push_back(rows_of_part(biases_.front(), 1, part));
      add(shape, {weights_.back().data(), biases_.back().data()},
          {reference::in_double(weights_.back()), reference::in_double(biases_.back())}, !whole,
          fused_shape.name);
    }
    parts.attention_norm = norm("a", hidden, true, c.norms, formula_.attention_norm);
    parts.output_norm = norm("y", hidden, true, c.norms, formula_.output_norm);
    formula_.heads = heads;
    formula_.activation = c.activation;
    if (c.positions != Positions::none) read_positions(parts, catalogue);
    layer_ = std::make_unique<EncoderLayer>(
        EncoderSettings{hidden, heads, inner, c.activation, dropout, dropout, other_dropout},
        std::move(parts), device_);
    if (!c.method.empty()) {
      adapt(catalogue, c.method, c.targets, layer_->linears(), formulas());
    }
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

  Result compute() {
    EncoderPass pass;
    pass.starts = starts_;
    pass.firsts = firsts_;
    pass.training = c_.training;
    pass.seed = 3;
    pass.step = 7;
    std::vector<float> d_embedding(embedding_.size());
    if (c_.positions != Positions::none) {
      pass.relative.rows = rows_of_positions;
      pass.relative.embedding = {embedding_.data(), position_rows, hidden};
      if (c_.trains_positions) pass.relative.gradient = {d_embedding.data(), position_rows, hidden};
    }
    Arena arena(device_);
    Result result;
    result.y = x_;
    const MatrixView<float> rows(result.y.data(), tokens(), hidden);
    MatrixView<float> y = rows;
    for (EncoderApplication& application : applications_)
      y = layer_->forward(y, pass, application, arena);
    result.y.resize(y.rows * hidden);
    if (!c_.training) return result;
    std::vector<float> again(y.rows * hidden);
    layer_->form_output(applications_.back(), {again.data(), y.rows, hidden}, *device_);
    EXPECT_EQ(again, result.y);
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
    add_gradients(result.gradients);
    if (c_.trains_positions) result.gradients.push_back(d_embedding);
    return result;
  }

  /// y by the formula.
  reference::Rows apply() const {
    reference::Rows x = input_;
    for (const EncoderApplication& application : applications_) {
      const auto masks = [&](const std::string& place, double p = dropout) {
        return c_.training ? Dropout(p, 3, place, 7) : Dropout();
      };
      x = formula_.apply(
          x, starts_,
          {masks(application.attention_place), masks(application.attention_output_place),
           masks(application.output_place, other_dropout), masks(application.relative_place)},
          application.first_rows_only);
    }
    return x;
  }

  /// Everything that has a gradient, of the formula: x, factors, norms.
  std::vector<std::span<double>> unknowns() {
    std::vector<std::span<double>> all = {input_.values};
    add_factors(all);
    if (c_.norms)
      for (reference::Norm* norm : {&formula_.attention_norm, &formula_.output_norm}) {
        all.push_back(norm->weight);
        all.push_back(norm->shift);
      }
    if (c_.trains_positions) all.push_back(formula_.relative->embedding.values);
    return all;
  }
  double loss() const {
    return reference::dot(apply(),
                          reference::Rows(MatrixView<const float>(dy_.data(), rows(), hidden)));
  }

 private:
  std::size_t rows() const { return c_.first_rows_only ? sequences() : tokens(); }

  /// Rows of q, k or v, where each head's follow each other.
  static std::vector<float> rows_of_part(const std::vector<float>& all, std::size_t width,
                                         std::size_t part) {
    constexpr std::size_t d = hidden / heads;
    std::vector<float> rows;
    for (std::size_t row = 0; row < hidden; ++row) {
      const std::size_t from = (row / d * 3 * d + part * d + row % d) * width;
      for (std::size_t i = 0; i < width; ++i) rows.push_back(all[from + i]);
    }
    return rows;
  }

  /// Of each linear layer its formula; null where it does not compute.
  std::vector<reference::Linear*> formulas() {
    std::vector<reference::Linear*> all;
    std::size_t next = 0;
    for (const bool computes : computes_)
      all.push_back(computes ? &formula_.linears[next++] : nullptr);
    if (!formula_.relative) return all;
    for (auto* map : {&formula_.relative->key_map, &formula_.relative->query_map})
      if (*map) all.push_back(&**map);
    return all;
  }

  void read_positions(EncoderLayer::Parts& parts, SiteCatalogue& catalogue) {
    embedding_ = normal(position_rows * hidden, "embedding");
    RelativeAttention attention{.keys = c_.keys, .queries = c_.queries, .scale = 0.4f};
    attention.dropout = dropout;
    formula_.relative = reference::Relative{
        .embedding =
            reference::Rows(MatrixView<const float>(embedding_.data(), position_rows, hidden)),
        .rows = {std::begin(rows_of_positions), std::end(rows_of_positions)},
        .keys = c_.keys,
        .queries = c_.queries,
        .scale = static_cast<double>(0.4f)};
    if (c_.positions == Positions::mapped) {
      const auto map = [&](MatrixType type, reference::Linear& formula) {
        const Site site{std::string(to_string(type)), type, 0, hidden, hidden, heads, "", true};
        catalogue.sites.push_back(site);
        return HostLinear(site, linear(site.name, hidden, hidden, formula), device_);
      };
      attention.key_map.emplace(map(MatrixType::position_k, formula_.relative->key_map.emplace()));
      attention.query_map.emplace(
          map(MatrixType::position_q, formula_.relative->query_map.emplace()));
    }
    parts.relative = std::move(attention);
  }

  Case c_;
  std::vector<bool> computes_;  ///< of the linear layers
  std::vector<std::size_t> firsts_;
  std::vector<float> dy_, embedding_;
  reference::EncoderLayer formula_;
  std::unique_ptr<EncoderLayer> layer_;
  std::vector<EncoderApplication> applications_;
};

class EncoderLayers : public testing::TestWithParam<Case> {};

TEST_P(EncoderLayers, AndTheirGradientsAreThoseOfTheFormula) {
  Example example(GetParam());
  const Example::Result found = example.compute();
  expect_the_formula(example, found, GetParam().training, GetParam().below);
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
             .below = true},
        Case{.name = "PredictionWithPositions", .training = false, .positions = Positions::shared},
        Case{.name = "PredictionOfFusedFirstRows",
             .first_rows_only = true,
             .training = false,
             .positions = Positions::mapped,
             .fused = true},
        Case{.name = "InputAndMappedPositions",
             .below = true,
             .positions = Positions::mapped,
             .trains_positions = true},
        Case{.name = "InputAndSharedPositionsOfFirstRows",
             .below = true,
             .first_rows_only = true,
             .positions = Positions::shared,
             .trains_positions = true},
        Case{.name = "QueryThatMapsPositions",
             .method = "lora",
             .targets = "q",
             .positions = Positions::shared},
        Case{.name = "KeyThatMapsPositionsOfFirstRows",
             .method = "lora",
             .targets = "k",
             .first_rows_only = true,
             .positions = Positions::shared},
        Case{.name = "ContentToPositionAlone",
             .method = "lora",
             .targets = "q,k,v",
             .below = true,
             .positions = Positions::shared,
             .queries = false},
        Case{.name = "PositionToContentAlone",
             .method = "lora",
             .targets = "q,k,v",
             .below = true,
             .positions = Positions::shared,
             .keys = false},
        Case{.name = "AllSitesWithSharedPositions",
             .method = "lora",
             .targets = "q,k,v,o,up,down",
             .norms = true,
             .below = true,
             .positions = Positions::shared,
             .trains_positions = true},
        Case{.name = "SharedFactorsWithSharedPositionsAppliedTwice",
             .method = "lotr",
             .targets = "q,v",
             .first_rows_only = true,
             .applications = 2,
             .positions = Positions::shared},
        Case{.name = "DenseUpdatesWithSharedPositions",
             .method = "full",
             .targets = "q,k,v",
             .positions = Positions::shared},
        Case{.name = "Fused",
             .method = "lora",
             .targets = "in_proj",
             .below = true,
             .positions = Positions::mapped,
             .fused = true},
        Case{.name = "FusedOfFirstRows",
             .method = "lora",
             .targets = "in_proj",
             .below = true,
             .first_rows_only = true,
             .positions = Positions::mapped,
             .fused = true},
        Case{.name = "FusedOfFirstRowsAboveNothingThatTrains",
             .method = "full",
             .targets = "in_proj",
             .first_rows_only = true,
             .positions = Positions::mapped,
             .fused = true,
             .keys = false,
             .queries = false},
        Case{.name = "PartsOfAFusedWeight",
             .method = "lora",
             .targets = "q,v",
             .below = true,
             .positions = Positions::mapped,
             .fused = true},
        Case{.name = "PartsOfAFusedWeightOfFirstRows",
             .method = "lora",
             .targets = "q,k,v,o",
             .first_rows_only = true,
             .positions = Positions::mapped,
             .fused = true},
        Case{.name = "MapsOfPositions",
             .method = "lora",
             .targets = "position_k,position_q",
             .positions = Positions::mapped,
             .fused = true},
        Case{.name = "AMapOfPositionsOfFirstRows",
             .method = "full",
             .targets = "position_q",
             .first_rows_only = true,
             .positions = Positions::mapped},
        Case{.name = "SharedFactorsWithMappedPositionsAppliedTwice",
             .method = "lotr",
             .targets = "q,o,position_k,position_q",
             .below = true,
             .applications = 2,
             .positions = Positions::mapped,
             .fused = true,
             .trains_positions = true},
        Case{.name = "FusedAndFrozen",
             .norms = true,
             .below = true,
             .first_rows_only = true,
             .positions = Positions::mapped,
             .fused = true}),
    [](const auto& chosen) { return chosen.param.name; });

TEST(EncoderLayer, RefusesLinearLayersThatMakeNoLayer) {
  const auto device = make_cpu_device();
  const auto layer_of = [&](std::size_t count) {
    EncoderLayer::Parts parts;
    for (std::size_t i = 0; i < count; ++i)
      parts.linears.emplace_back(Site{}, FrozenLinear<float>{}, device);
    EncoderLayer({hidden, heads, inner}, std::move(parts), device);
  };
  EXPECT_EQ(message_of<Error>([&] { layer_of(5); }),
            "an encoder layer: got 5 linear layers, expected 6, or 7 with a fused projection");
  EXPECT_EQ(message_of<Error>([&] { layer_of(7); }),
            "an encoder layer: a fused projection without relative positions");
}

}  // namespace
}  // namespace rankfold
