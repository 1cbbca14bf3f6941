#include "experiments/training/training_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/device/device.h"
#include "decompositions/registry.h"
#include "training/six_sequences.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

/// Sessions on the tiny BERT, and a batch to fit.
class TrainingSessions : public Workplace {
 protected:
  TrainingSession session(const Method& method, const RunSettings& settings) const {
    const auto device = make_cpu_device();
    TrainingSession session(load_host(folder / "model", host_settings(settings, 3), device), method,
                            settings, 3, device, [](const std::vector<std::string>&) {});
    session.begin(optimizer_settings(settings));
    return session;
  }

  RunSettings settings_of(const Method& method) const {
    RunSettings wanted = settings(method.name, method.has_rank ? "2" : "");
    wanted.values["dropout"] = "0";
    wanted.values["targets"] = chosen_targets(wanted, method, SiteCatalogue{});
    return wanted;
  }
};

std::vector<std::vector<float>> values_of(const TrainingSession& session) {
  std::vector<std::vector<float>> values;
  for (const TrainedSpan& tensor : session.tensors())
    values.emplace_back(tensor.value.begin(), tensor.value.end());
  return values;
}

TEST_F(TrainingSessions, TrainEveryFactorOfEveryBuiltInMethod) {
  const Registry registry = builtin_registry();
  const Batch data = six_sequences();
  constexpr int steps = 12;
  for (const Method& method : registry.methods()) {
    SCOPED_TRACE(method.name);
    TrainingSession trained = session(method, settings_of(method));
    EXPECT_EQ(trained.tensors().size() > 2, method.adapts_sites);
    const auto before = values_of(trained);
    std::vector<bool> reached(before.size(), false);
    std::vector<double> losses;
    for (int step = 0; step < steps; ++step) {
      losses.push_back(trained.form_gradients(data));
      for (std::size_t i = 0; i < reached.size(); ++i)
        reached[i] = reached[i] || std::ranges::any_of(trained.tensors()[i].gradient,
                                                       [](float value) { return value != 0; });
      ASSERT_TRUE(trained.update(1e-2, clip_scale(trained.norm(), 1)));
    }
    EXPECT_EQ(trained.steps(), static_cast<std::size_t>(steps));
    EXPECT_LT(losses.back(), 0.95 * losses.front());
    const auto after = values_of(trained);
    for (std::size_t i = 0; i < reached.size(); ++i) {
      EXPECT_TRUE(reached[i]) << trained.tensors()[i].name << " has no gradient";
      EXPECT_NE(after[i], before[i]) << trained.tensors()[i].name << " has not moved";
    }
  }
}

TEST_F(TrainingSessions, CountWhatTrains) {
  const Registry registry = builtin_registry();
  for (const char* name : {"lora", "dlrt", "none"}) {
    const Method& method = registry.at(name);
    const TrainingSession trained = session(method, settings_of(method));
    const ParameterCounts counts = trained.parameters();
    std::size_t in_tensors = 0;
    for (const TrainedSpan& tensor : trained.tensors()) in_tensors += tensor.value.size();
    EXPECT_EQ(counts.trainable, counts.adapter + counts.head) << name;
    // dlrt trains whole updates and stores their factors.
    if (trained.low_rank() == nullptr)
      EXPECT_EQ(counts.trainable, in_tensors) << name;
    else
      EXPECT_LT(counts.trainable, in_tensors) << name;
  }
}

/// In place, with the Trainer's groups: no norms and biases decay, the head has its own rate.
TEST_F(TrainingSessions, TrainEverythingInPlace) {
  const Registry registry = builtin_registry();
  const Method& full = registry.at("full");
  RunSettings wanted = settings_of(full);
  wanted.values["targets"] = "everything";
  for (const auto& [name, value] :
       {std::pair{"no-decay", "biases-and-norms"}, {"lr-head", "2e-2"}, {"optimizer", "sgd"}})
    wanted.values[name] = value;
  TrainingSession trained = session(full, wanted);
  const ParameterCounts counts = trained.parameters();
  EXPECT_EQ(counts.head, 66u);
  EXPECT_EQ(counts.trainable, counts.total);
  EXPECT_EQ(counts.trainable, counts.adapter + counts.head);
  EXPECT_TRUE(trained.stack().sites.empty());
  std::map<std::string, TrainedSpan> named;
  for (const TrainedSpan& tensor : trained.tensors()) named[tensor.name] = tensor;
  const std::string layer = "bert.encoder.layer.0.";
  for (const auto& [name, decays] :
       {std::pair{std::string("bert.embeddings.word_embeddings.weight"), true},
        {layer + "attention.self.key.bias", false},
        {layer + "output.LayerNorm.weight", false},
        {layer + "output.dense.weight", true},
        {std::string("bert.pooler.dense.bias"), false}}) {
    EXPECT_EQ(named.at(name).decays, decays) << name;
    EXPECT_EQ(named.at(name).rate, 1) << name;
  }
  EXPECT_EQ(named.at("classifier.weight").rate, 2);
  const Batch data = six_sequences();
  const double first = trained.form_gradients(data);
  for (int step = 0; step < 5; ++step) {
    trained.update(1e-2, clip_scale(trained.norm(), 1));
    trained.form_gradients(data);
  }
  EXPECT_LT(trained.form_gradients(data), 0.95 * first);
}

TEST_F(TrainingSessions, RefuseWhatEverythingDoesNotGoWith) {
  const Registry registry = builtin_registry();
  const auto refusal = [&](const char* name, const char* value) {
    RunSettings wanted = settings_of(registry.at("full"));
    wanted.values["targets"] = "everything";
    wanted.values[name] = value;
    return error_of([&] { session(registry.at("full"), wanted); });
  };
  EXPECT_EQ(refusal("train", "head"), "");
  EXPECT_EQ(refusal("train", "norms").substr(0, 44),
            "--targets everything holds the norms and the");
  EXPECT_EQ(refusal("layers", "last:1"),
            "--layers is last:1; --targets everything trains all layers, expected all");
  EXPECT_NE(refusal("adapter-dropout", "0.1").find("with no adapter: expected 0"),
            std::string::npos);
  EXPECT_EQ(refusal("precision", "bf16").substr(0, 39), "--precision bf16 rounds frozen weights,");
}

TEST_F(TrainingSessions, TakeTheSameStepsForTheSameSeed) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at("lotr");
  RunSettings wanted = settings_of(method);
  wanted.values["dropout"] = "0.1";
  const Batch data = six_sequences();
  std::vector<std::vector<std::vector<float>>> results;
  for (int run = 0; run < 2; ++run) {
    TrainingSession trained = session(method, wanted);
    for (int step = 0; step < 3; ++step) {
      trained.form_gradients(data);
      trained.update(1e-2, 1);
    }
    results.push_back(values_of(trained));
  }
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
}  // namespace rankfold
