#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "core/base/random.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/models/blocks/tensor_train_head.h"
#include "experiments/models/host.h"
#include "models/bert_example.h"
#include "models/double_reference.h"

namespace rankfold {
namespace {

constexpr std::uint64_t seed = 5, step = 3;
constexpr double dropout = 0.2;

struct GradientCase {
  std::string name = "", method = "", rank = "", targets = "", layers = "";
  TrainedParts parts = {};
  bool regression = false;
};

/// The golden BERT by the formulas, in double.
struct Formula {
  reference::Embeddings embeddings;
  std::vector<reference::EncoderLayer> layers;
  reference::Head head;
  std::vector<reference::Linear> frozen;  ///< of the adapter's sites
  std::unique_ptr<Adapter<double>> adapter;

  static constexpr const char* modules[] = {".attention.self.query", ".attention.self.key",
                                            ".attention.self.value", ".attention.output.dense",
                                            ".intermediate.dense",   ".output.dense"};

  explicit Formula(const std::filesystem::path& folder) {
    const SafetensorsFile file(folder / "model.safetensors");
    const auto config = nlohmann::json::parse(read_text(folder / "config.json"));
    const auto norm = [&](const std::string& name) {
      return reference::Norm{file.read<double>(name + ".weight"), file.read<double>(name + ".bias"),
                             static_cast<double>(config["layer_norm_eps"].get<float>())};
    };
    const auto linear = [&](const std::string& name) {
      return reference::Linear{file.read<double>(name + ".weight"),
                               file.read<double>(name + ".bias")};
    };
    const std::string name = "bert.embeddings.";
    embeddings = {file.read<double>(name + "word_embeddings.weight"),
                  file.read<double>(name + "position_embeddings.weight"),
                  file.read<double>(name + "token_type_embeddings.weight"),
                  norm(name + "LayerNorm")};
    for (std::size_t i = 0; i < config["num_hidden_layers"].get<std::size_t>(); ++i) {
      reference::EncoderLayer& layer = layers.emplace_back();
      const std::string place = "bert.encoder.layer." + std::to_string(i);
      for (const char* module : modules) layer.linears.push_back(linear(place + module));
      layer.attention_norm = norm(place + ".attention.output.LayerNorm");
      layer.output_norm = norm(place + ".output.LayerNorm");
      layer.heads = config["num_attention_heads"].get<std::size_t>();
    }
    head = {linear("bert.pooler.dense"), linear("classifier")};
  }

  void adapt(const Adapter<float>& other, const GradientCase& c) {
    const std::vector<Site>& sites = other.stack().sites;
    std::vector<reference::Linear*> adapted;
    for (const Site& site : sites)
      for (std::size_t i = 0; i < layers.size(); ++i)
        for (std::size_t m = 0; m < std::size(modules); ++m)
          if (site.name == "bert.encoder.layer." + std::to_string(i) + modules[m])
            adapted.push_back(&layers[i].linears[m]);
    for (const reference::Linear* linear : adapted) frozen.push_back(*linear);
    adapter = reference::in_double(other, c.method, c.rank, frozen);
    for (std::size_t site = 0; site < adapted.size(); ++site) {
      adapted[site]->adapter = adapter.get();
      adapted[site]->site = site;
    }
  }

  double loss(const Batch& batch, bool regression) const {
    const auto masks = [](const std::string& place) {
      return Dropout(dropout, seed, "dropout/" + place, step);
    };
    reference::Rows x =
        embeddings.apply(batch.ids, batch.type_ids, batch.starts, masks("bert.embeddings"));
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::string place = "bert.encoder.layer." + std::to_string(i);
      x = layers[i].apply(x, batch.starts,
                          {masks(place + ".attention"), masks(place + ".attention.output"),
                           masks(place + ".output")},
                          i + 1 == layers.size());
    }
    return reference::loss(head.apply(x, masks("classifier")), batch.labels, regression);
  }

  /// The tensor of a trained norm or of the classifier.
  std::span<double> tensor(const std::string& name) {
    const bool weight = name.ends_with(".weight");
    const auto of = [&](reference::Norm& norm) {
      return std::span(weight ? norm.weight : norm.shift);
    };
    if (name.starts_with("classifier"))
      return weight ? std::span(head.classifier.weight) : std::span(head.classifier.bias);
    if (name.starts_with("bert.embeddings")) return of(embeddings.norm);
    reference::EncoderLayer& layer = layers.at(
        static_cast<std::size_t>(name.at(std::string("bert.encoder.layer.").size()) - '0'));
    return of(name.find(".attention.") != std::string::npos ? layer.attention_norm
                                                            : layer.output_norm);
  }
};

/// |<gradient, d> - slope along d| for some directions d of +-1, relative to what an error spread
/// over the whole tensor would show.
double direction_error(std::span<const float> gradient, std::span<double> values,
                       const std::string& name, const std::function<double()>& loss) {
  constexpr std::size_t directions = 4;
  const std::vector<double> at(values.begin(), values.end());
  double norm = 0, squares = 0;
  for (const float g : gradient) norm += double{g} * g;
  for (std::size_t k = 0; k < directions; ++k) {
    const RandomStream stream(9, "direction/" + name, k);
    const auto sign = [&](std::size_t i) { return stream.bits(i) % 2 == 0 ? 1.0 : -1.0; };
    const double h = 1e-5;
    const auto move = [&](double length) {
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = at[i] + length * sign(i);
      return loss();
    };
    const double slope = (move(h) - move(-h)) / (2 * h);
    double product = 0;
    for (std::size_t i = 0; i < values.size(); ++i) product += gradient[i] * sign(i);
    squares += std::pow(product - slope, 2) / directions;
  }
  std::ranges::copy(at, values.begin());
  return std::sqrt(squares / norm);
}

/// On one thread: the passes are tiny, and waiting for threads would be most of them.
class BertGradients : public testing::TestWithParam<GradientCase> {
 protected:
  void SetUp() override {
    threads_ = kernel_report().threads;
    set_threads(1);
  }
  void TearDown() override { set_threads(threads_); }
  int threads_ = 1;
};

TEST_P(BertGradients, AreThoseOfTheFormulaWithDropout) {
  const GradientCase& c = GetParam();
  HostSettings settings;
  settings.dropout = dropout;
  settings.parts = c.parts;
  settings.regression = c.regression;
  const auto device = make_cpu_device();
  const auto host = load_host(golden, settings, device);
  Formula formula(golden);
  std::unique_ptr<Adapter<float>> adapter;
  if (!c.method.empty()) {
    const Registry registry = builtin_registry();
    const Method& method = registry.at(c.method);
    const Stack stack = select_stack(host->catalogue(), c.targets, c.layers);
    adapter = make_adapter<float>(method, stack,
                                  resolve_settings(method, {c.rank, {}, "", {}}, stack), device);
    for (Parameter<float>& parameter : adapter->parameters())
      RandomStream(1, parameter.name).fill_normal(parameter.value.span(), 0.0, 0.2);
    host->attach(adapter.get());
    formula.adapt(*adapter, c);
  }
  std::unique_ptr<Adapter<double>> train;
  const std::string pooler = "bert.pooler.dense";
  const auto of_train = [&](const std::string& name) {
    return train->parameter(name.substr(pooler.size() + 1) + "." + pooler).value.span();
  };
  if (c.parts.tt_head) {
    train = make_tensor_train_head<double>("bert.pooler.dense", 32, c.parts.tt_rank, settings.seed,
                                           device);
    for (const TrainedTensor& tensor : host->trained())
      if (tensor.name.starts_with(pooler))
        std::ranges::copy(tensor.value, of_train(tensor.name).begin());
    formula.head.pooler.adapter = train.get();
  }
  const Batch batch = example();
  host->zero_gradients();
  const double found = host->train_pass(batch, seed, step);
  const auto loss = [&] { return formula.loss(batch, c.regression); };
  EXPECT_NEAR(found, loss(), 1e-6 * (1 + loss()));
  const auto expect_gradient = [&](std::span<const float> gradient, std::span<double> values,
                                   const std::string& name) {
    ASSERT_EQ(gradient.size(), values.size()) << name;
    EXPECT_LT(direction_error(gradient, values, name, loss), 2e-5) << name;
  };
  for (const TrainedTensor& tensor : host->trained()) {
    const bool of_pooler = tensor.name.starts_with(pooler);
    expect_gradient(tensor.gradient,
                    of_pooler ? of_train(tensor.name) : formula.tensor(tensor.name), tensor.name);
  }
  if (!adapter) return;
  for (std::size_t i = 0; i < adapter->parameters().size(); ++i)
    if (adapter->parameters()[i].trainable)
      expect_gradient(adapter->parameters()[i].gradient.span(),
                      formula.adapter->parameters()[i].value.span(), adapter->parameters()[i].name);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BertGradients,
    testing::Values(
        GradientCase{.name = "head"},
        GradientCase{.name = "regression",
                     .method = "lora",
                     .rank = "2",
                     .targets = "q,v",
                     .layers = "all",
                     .regression = true},
        GradientCase{"all_sites", "lora", "2", "q,k,v,o,up,down", "all"},
        GradientCase{"lotr", "lotr", "2", "q,v", "all"},
        GradientCase{"loretta_adp", "loretta_adp", "2", "adapters", "all"},
        GradientCase{"key_of_last_layer", "lora", "2", "k", "last:1"},
        GradientCase{"query_of_last_layer", "lora", "2", "q", "last:1"},
        GradientCase{"first_layer", "lora", "2", "v", "first:1"},
        GradientCase{"down_only", "lora", "2", "down", "first:1"},
        GradientCase{"up_only", "lora", "2", "up", "first:1"},
        GradientCase{"attention_output_only", "lora", "2", "o", "all"},
        GradientCase{.name = "norms", .parts = {.norms = true}},
        // No gradient reaches a bias of k: the softmax takes it away.
        GradientCase{"bitfit", "bitfit", "", "q,v,o,up,down", "all", {.norm_shifts = true}},
        GradientCase{"ia3", "ia3", "", "k,v,down", "all"},
        GradientCase{"bottleneck", "bottleneck", "2", "adapters", "all"},
        GradientCase{.name = "tensor_train_head", .parts = {.tt_head = true}},
        GradientCase{"everything", "lora", "2", "q,v", "all", {.norms = true, .tt_head = true}}),
    [](const auto& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace rankfold
