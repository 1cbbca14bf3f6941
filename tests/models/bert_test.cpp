#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <iostream>

#include <nlohmann/json.hpp>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/random.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/models/check_model.h"
#include "experiments/models/host.h"
#include "golden_batch.h"
#include "models/bert_example.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

HostSettings without_dropout() {
  HostSettings settings;
  settings.dropout = 0;
  return settings;
}

std::unique_ptr<Adapter<float>> adapter_on(const Host& host, const std::string& method,
                                           const std::string& rank, const std::string& targets,
                                           const std::string& layers = "all",
                                           std::optional<double> alpha = {}) {
  const Registry registry = builtin_registry();
  const Stack stack = select_stack(host.catalogue(), targets, layers);
  MethodRequest request;
  request.rank = rank;
  request.alpha = alpha;
  const Method& found = registry.at(method);
  auto adapter =
      make_adapter<float>(found, stack, resolve_settings(found, request, stack), make_cpu_device());
  adapter->initialise(7);
  return adapter;
}

TEST(Bert, MatchesTransformers) {
  const ModelIoReport report = check_model(golden, golden / "io.safetensors", make_cpu_device());
  for (const char* name :
       {"hidden.0", "hidden.1", "hidden.2", "logits", "loss", "grad.classifier.weight",
        "grad.classifier.bias", "grad.bert.encoder.layer.0.attention.self.query.weight",
        "grad.bert.encoder.layer.0.attention.self.value.weight",
        "grad.bert.encoder.layer.1.attention.self.query.weight",
        "grad.bert.encoder.layer.1.attention.self.value.weight"}) {
    ASSERT_TRUE(report.errors.contains(name)) << name;
    EXPECT_LT(report.errors.at(name), 1e-5) << name;
  }
  EXPECT_EQ(report.errors.size(), 11u);
  EXPECT_THAT(report.skipped, testing::Each(testing::EndsWith(".bias")));
  EXPECT_EQ(report.skipped.size(), 4u);
  std::cout << "worst relative error " << report.worst() << "; gradients of frozen biases are not "
            << "offered and not compared\n";
}

/// A tensor in training and AdamW's state for it.
struct Trained {
  std::span<float> value, gradient;
  std::vector<double> mean, square;
};

void adamw_step(std::vector<Trained>& tensors, double rate, int step) {
  double norm = 0;
  for (const Trained& tensor : tensors)
    for (const float g : tensor.gradient) norm += double{g} * g;
  const double clip = std::min(1.0, 1.0 / (std::sqrt(norm) + 1e-6));
  for (Trained& tensor : tensors)
    for (std::size_t i = 0; i < tensor.value.size(); ++i) {
      const double g = tensor.gradient[i] * clip;
      tensor.mean[i] = 0.9 * tensor.mean[i] + 0.1 * g;
      tensor.square[i] = 0.999 * tensor.square[i] + 0.001 * g * g;
      const double m = tensor.mean[i] / (1 - std::pow(0.9, step));
      const double v = tensor.square[i] / (1 - std::pow(0.999, step));
      const double decayed = tensor.value[i] * (1 - rate * 0.01);
      tensor.value[i] = static_cast<float>(decayed - rate * m / (std::sqrt(v) + 1e-8));
    }
}

TEST(Bert, TrainsLoraAsPeftDoes) {
  const SafetensorsFile start(golden / "trace.safetensors");
  const auto trace = nlohmann::json::parse(read_text(golden / "trace.json"));
  const auto host = load_host(golden, without_dropout(), make_cpu_device());
  const auto lora = adapter_on(*host, "lora", "4", "q,v", "all", 8.0);
  std::vector<Trained> tensors;
  const auto add = [&](std::span<float> value, std::span<float> gradient, const std::string& name) {
    const std::vector<float> values = start.read<float>(name);
    ASSERT_EQ(values.size(), value.size()) << name;
    std::ranges::copy(values, value.begin());
    tensors.push_back(
        {value, gradient, std::vector<double>(value.size()), std::vector<double>(value.size())});
  };
  for (Parameter<float>& parameter : lora->parameters())
    add(parameter.value.span(), parameter.gradient.span(),
        parameter.name.substr(2) + ".lora_" + parameter.factor + ".weight");
  for (const TrainedTensor& tensor : host->trained())
    add(tensor.value, tensor.gradient, tensor.name);
  host->attach(lora.get());

  const Batch batch = read_golden_batch(golden);

  const auto losses = trace["losses"].get<std::vector<double>>();
  for (std::size_t step = 0; step < losses.size(); ++step) {
    lora->zero_gradients();
    host->zero_gradients();
    EXPECT_NEAR(host->train_pass(batch, 0, step), losses[step], 1e-4) << "step " << step;
    const double position = static_cast<double>(step);
    const double rate = 1e-2 * (step < 3 ? position / 3 : (12 - position) / 9);
    adamw_step(tensors, rate, static_cast<int>(step) + 1);
  }
}

TEST(Bert, PredictsPackedSequencesAsAlone) {
  const auto host = load_host(golden, {}, make_cpu_device());
  const auto lora = adapter_on(*host, "lora", "2", "q,k,v,o,up,down");
  for (Parameter<float>& parameter : lora->parameters())
    RandomStream(1, parameter.name).fill_normal(parameter.value.span(), 0.0, 0.1);
  host->attach(lora.get());
  const std::vector<float> packed = host->predict(example());
  for (int i = 0; i < 3; ++i) {
    const std::vector<float> alone = host->predict(example({i}));
    for (std::size_t c = 0; c < 2; ++c)
      EXPECT_NEAR(packed[static_cast<std::size_t>(i) * 2 + c], alone[c], 1e-5);
  }
}

TEST(Bert, HasTheGradientOfManyRowsThatItsPartsHaveTogether) {
  HostSettings settings = without_dropout();
  settings.parts.norms = true;
  const auto host = load_host(golden, settings, make_cpu_device());
  const auto lora = adapter_on(*host, "lora", "2", "q,v");
  for (Parameter<float>& parameter : lora->parameters())
    RandomStream(1, parameter.name).fill_normal(parameter.value.span(), 0.0, 0.2);
  host->attach(lora.get());
  // More rows than a block of the feed-forward part has.
  constexpr std::size_t sequences = 40, length = 60, parts = 8;
  const RandomStream stream(1, "ids");
  const auto batch = [&](std::size_t first, std::size_t count) {
    Batch result;
    result.starts = {0};
    for (std::size_t s = first; s < first + count; ++s) {
      for (std::size_t t = 0; t < length; ++t)
        result.ids.push_back(static_cast<std::int32_t>(stream.bits(s * length + t) % 100));
      result.starts.push_back(result.ids.size());
      result.labels.push_back(static_cast<float>(s % 2));
    }
    result.type_ids.assign(result.ids.size(), 0);
    return result;
  };
  const auto gradients = [&] {
    std::vector<float> values;
    for (const TrainedTensor& tensor : host->trained())
      values.insert(values.end(), tensor.gradient.begin(), tensor.gradient.end());
    for (Parameter<float>& parameter : lora->parameters())
      values.insert(values.end(), parameter.gradient.span().begin(),
                    parameter.gradient.span().end());
    host->zero_gradients();
    lora->zero_gradients();
    return values;
  };
  host->train_pass(batch(0, sequences), 1, 1);
  const std::vector<float> together = gradients();
  for (std::size_t part = 0; part < parts; ++part)
    host->train_pass(batch(part * sequences / parts, sequences / parts), 1, 1);
  const std::vector<float> summed = gradients();
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < together.size(); ++i) {
    difference += std::pow(together[i] - summed[i] / double{parts}, 2);
    norm += std::pow(together[i], 2);
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-5);
}

TEST(Bert, DropsAnewEachStepAndTheSameForEqualSteps) {
  HostSettings settings;
  settings.dropout = 0.1;
  const auto host = load_host(golden, settings, make_cpu_device());
  const double first = host->train_pass(example(), 1, 1);
  EXPECT_EQ(host->train_pass(example(), 1, 1), first);
  EXPECT_NE(host->train_pass(example(), 1, 2), first);
  EXPECT_NE(host->train_pass(example(), 2, 1), first);
}

TEST(Bert, NamesItsSitesAsPeftDoes) {
  const auto host = load_host(golden, {}, make_cpu_device());
  const SiteCatalogue& catalogue = host->catalogue();
  EXPECT_EQ(catalogue.layers, 2u);
  EXPECT_EQ(catalogue.sites.size(), 12u);
  EXPECT_EQ(select_stack(catalogue, "q", "1").sites[0].name,
            "bert.encoder.layer.1.attention.self.query");
  EXPECT_EQ(select_stack(catalogue, "adapters", "0").sites[1].name,
            "bert.encoder.layer.0.output.dense");
  EXPECT_TRUE(host->notes().empty());
  // Every tensor of the checkpoint is used.
  const SafetensorsFile file(golden / "model.safetensors");
  std::size_t elements = 0;
  for (const TensorEntry& entry : file.entries()) elements += entry.elements();
  EXPECT_EQ(host->total_parameters(), elements);
}

TEST(Bert, RefusesAnAdapterOfAnotherModelAndStaysAsItWas) {
  const auto host = load_host(golden, {}, make_cpu_device());
  const std::vector<float> before = host->predict(example());
  for (const bool renamed : {true, false}) {
    Site site = host->catalogue().sites[0];
    if (renamed)
      site.name = "roberta.encoder.layer.0.attention.self.query";
    else
      site.out = 48;
    const Stack stack{std::vector<Site>{site}};
    const Registry registry = builtin_registry();
    const Method& full = registry.at("full");
    const auto adapter =
        make_adapter<float>(full, stack, resolve_settings(full, {}, stack), make_cpu_device());
    EXPECT_THROW(host->attach(adapter.get()), Error);
  }
  EXPECT_EQ(host->predict(example()), before);
}

TEST(Bert, StartsTheClassifierAnewForAnotherNumberOfLabels) {
  HostSettings settings;
  settings.labels = 3;
  const auto host = load_host(golden, settings, make_cpu_device());
  EXPECT_THAT(host->notes(), testing::ElementsAre(HasSubstr("classifier starts anew")));
  EXPECT_EQ(host->predict(example()).size(), 9u);
}

TEST(Bert, RefusesBatchesThatDoNotFit) {
  const auto host = load_host(golden, {}, make_cpu_device());
  const auto refused = [&](const std::function<void(Batch&)>& change, const std::string& message) {
    Batch batch = example();
    change(batch);
    try {
      host->train_pass(batch, 0, 0);
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  };
  refused([](Batch& b) { b.ids[1] = 101; }, "token id 101, expected 0 to 100");
  refused([](Batch& b) { b.ids[1] = -1; }, "token id -1");
  refused([](Batch& b) { b.type_ids[1] = 2; }, "token type 2");
  refused([](Batch& b) { b.type_ids.pop_back(); }, "token types");
  refused([](Batch& b) { b.labels[0] = 2; }, "label 2, expected a class from 0 to 1");
  refused([](Batch& b) { b.labels.pop_back(); }, "2 labels for 3 sequences");
  refused([](Batch& b) { b.starts.back() += 1; }, "starts");
  refused([](Batch& b) { b.starts[1] = 0; }, "sequence 0");
  refused(
      [](Batch& b) {
        b.ids.assign(65, 1);
        b.type_ids.assign(65, 0);
        b.starts = {0, 65};
        b.labels = {0};
      },
      "expected 1 to 64 tokens");
}

}  // namespace
}  // namespace rankfold
