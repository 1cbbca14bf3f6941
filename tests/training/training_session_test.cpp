#include "experiments/training/training_session.h"

#include <gtest/gtest.h>

#include <algorithm>

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
