#include "experiments/training/zero_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "analysis/logs/event_log.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/device/counting_device.h"
#include "core/device/forwarding_device.h"
#include "decompositions/registry.h"
#include "experiments/training/trainer.h"
#include "experiments/training/training_session.h"
#include "experiments/training/zero_order_log.h"
#include "training/six_sequences.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using Values = std::vector<std::vector<float>>;

Values values_of(const std::vector<TrainedSpan>& tensors, bool gradients = false) {
  Values values;
  for (const TrainedSpan& tensor : tensors) {
    const auto span = gradients ? tensor.gradient : tensor.value;
    values.emplace_back(span.begin(), span.end());
  }
  return values;
}

class ZeroOrderTraining : public Workplace {
 protected:
  RunSettings wanted(const std::string& optimizer) const {
    RunSettings result = settings();
    result.values["optimizer"] = optimizer;
    result.values["dropout"] = "0";
    return result;
  }
  TrainingSession session(const RunSettings& wanted,
                          std::shared_ptr<const Device> device = make_cpu_device()) const {
    TrainingSession session(load_host(folder / "model", host_settings(wanted, 3), device),
                            registry.at(wanted.text("method")), wanted, 3, device,
                            [](const std::vector<std::string>&) {});
    session.begin(optimizer_settings(wanted));
    return session;
  }
  /// z of a query, tensor by tensor.
  static Values directions(const std::vector<TrainedSpan>& tensors, std::uint64_t index) {
    Values z;
    for (const TrainedSpan& tensor : tensors) {
      const RandomStream stream(3, "zeroth-order/" + tensor.name, index);
      std::vector<float> values(tensor.value.size());
      make_cpu_device()->add_normals(stream, 0, 1, values.size(), values.data(), values.data());
      z.push_back(values);
    }
    return z;
  }
  RunResult run(const RunSettings& settings, const std::string& out) const {
    return finetune(settings, folder / out, registry);
  }

  Registry registry = builtin_registry();
};

TEST_F(ZeroOrderTraining, ProjectsTheGradientAndLeavesTheParametersAsTheyWere) {
  RunSettings settings = wanted("zo-sgd");
  settings.values["zo-samples"] = "2";
  settings.values["zo-epsilon"] = "1e-2";
  TrainingSession probed = session(settings), exact = session(wanted("sgd"));
  const Values before = values_of(probed.tensors());
  const double loss = probed.form_gradients(six_sequences());
  EXPECT_EQ(values_of(probed.tensors()), before);
  EXPECT_EQ(probed.forwards(), 4U);

  EXPECT_NEAR(loss, exact.form_gradients(six_sequences()), 0.02);
  const Values gradient = values_of(exact.tensors(), true);
  for (std::size_t sample = 0; sample < 2; ++sample) {
    const Values z = directions(probed.tensors(), sample);
    double expected = 0;
    for (std::size_t i = 0; i < z.size(); ++i)
      for (std::size_t j = 0; j < z[i].size(); ++j)
        expected += double(z[i][j]) * double(gradient[i][j]) / 2;
    EXPECT_NEAR(probed.projections()[sample], expected, 0.02 * (1 + std::abs(expected)));
  }
}

/// MeZO's main row: all weights, which come back exactly, with one copy of them and no gradient.
TEST_F(ZeroOrderTraining, TrainsEverythingFromOneCopy) {
  RunSettings settings = wanted("zo-sgd");
  settings.values["method"] = "full";
  settings.values.erase("rank");
  settings.values["targets"] = "everything";
  const auto device = std::make_shared<CountingDevice>(make_cpu_device());
  TrainingSession probed = session(settings, device);
  const Values before = values_of(probed.tensors());
  std::vector<double> losses = {probed.form_gradients(six_sequences())};
  EXPECT_EQ(values_of(probed.tensors()), before);
  // In the place of the gradients lies what the weights were.
  EXPECT_EQ(values_of(probed.tensors(), true), before);
  settings.values["optimizer"] = "sgd";
  TrainingSession exact = session(settings);
  exact.form_gradients(six_sequences());
  const Values gradient = values_of(exact.tensors(), true), z = directions(probed.tensors(), 0);
  double expected = 0;
  for (std::size_t i = 0; i < z.size(); ++i)
    for (std::size_t j = 0; j < z[i].size(); ++j)
      expected += double(z[i][j]) * double(gradient[i][j]);
  EXPECT_NEAR(probed.projections()[0], expected, 0.05 * (1 + std::abs(expected)));
  const std::size_t allocations = device->count().allocations;
  for (int step = 0; step < 3; ++step) {
    probed.update(1e-3, 1);
    losses.push_back(probed.form_gradients(six_sequences()));
  }
  EXPECT_EQ(device->count().allocations, allocations);
  EXPECT_NE(losses.back(), losses.front());
}

TEST_F(ZeroOrderTraining, DescendsAlongZWithRatesAndDecayByGroup) {
  RunSettings settings = wanted("zo-sgd");
  settings.values["weight-decay"] = "0.5";
  settings.values["no-decay"] = "biases-and-norms";
  settings.values["lr-ratio"] = "B=4";
  TrainingSession trained = session(settings);
  for (const TrainedSpan& tensor : trained.tensors())
    for (float& value : tensor.value) value += 0.25f;
  const Values before = values_of(trained.tensors()), z = directions(trained.tensors(), 0);
  trained.form_gradients(six_sequences());
  EXPECT_EQ(trained.norm(), std::abs(trained.projections()[0]));
  trained.update(1e-2, 1);
  const Values after = values_of(trained.tensors());
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::string& name = trained.tensors()[i].name;
    const double rate = name.starts_with("B.") ? 4e-2 : 1e-2;
    const double keep = name == "classifier.bias" ? 1 : 1 - 0.5 * rate;
    for (std::size_t j = 0; j < z[i].size(); ++j)
      EXPECT_NEAR(after[i][j],
                  keep * double(before[i][j]) - rate * trained.projections()[0] * double(z[i][j]),
                  1e-5)
          << name;
  }
}

TEST_F(ZeroOrderTraining, FormsTheGradientForAdam) {
  RunSettings settings = wanted("zo-adam");
  settings.values["zo-samples"] = "2";
  TrainingSession trained = session(settings);
  trained.form_gradients(six_sequences());
  const Values gradient = values_of(trained.tensors(), true),
               first = directions(trained.tensors(), 0), second = directions(trained.tensors(), 1),
               before = values_of(trained.tensors());
  const auto g = trained.projections();
  double squares = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i)
    for (std::size_t j = 0; j < gradient[i].size(); ++j) {
      const double expected = g[0] * double(first[i][j]) + g[1] * double(second[i][j]);
      EXPECT_NEAR(gradient[i][j], expected, 1e-5 * (1 + std::abs(expected)));
      squares += expected * expected;
    }
  EXPECT_NEAR(trained.norm(), std::sqrt(squares), 1e-4 * trained.norm());
  trained.update(1e-3, 1);
  // The first step of Adam is one of the rate, whatever the gradient.
  const Values after = values_of(trained.tensors());
  EXPECT_NEAR(std::abs(after[0][0] - before[0][0]), 1e-3, 1e-5);
}

TEST_F(ZeroOrderTraining, ComputesTheLayersBelowOnceForBothPasses) {
  const auto flops = [&](const char* layers, bool forward) {
    RunSettings settings = wanted("zo-sgd");
    settings.values["layers"] = layers;
    const auto device = std::make_shared<CountingDevice>(make_cpu_device());
    TrainingSession counted = session(settings, device);
    device->reset();
    if (forward)
      counted.host().mean_loss(six_sequences());
    else
      counted.form_gradients(six_sequences());
    return static_cast<double>(device->count().flops());
  };
  EXPECT_NEAR(flops("all", false) / flops("all", true), 2, 0.01);
  EXPECT_LT(flops("last:1", false), 1.6 * flops("last:1", true));
}

class DrawCounter final : public ForwardingDevice {
 public:
  explicit DrawCounter(std::shared_ptr<const Device> inner) : ForwardingDevice(std::move(inner)) {}
  void add_normals(const RandomStream& stream, float keep, float scale, std::size_t n,
                   const float* x, float* y) const override {
    ++draws;
    ForwardingDevice::add_normals(stream, keep, scale, n, x, y);
  }
  mutable std::size_t draws = 0;
};

TEST_F(ZeroOrderTraining, DrawsZOnceForBothPassesAndOnceToDescend) {
  RunSettings settings = wanted("zo-sgd");
  settings.values["zo-samples"] = "3";
  const auto device = std::make_shared<DrawCounter>(make_cpu_device());
  TrainingSession trained = session(settings, device);
  trained.form_gradients(six_sequences());
  EXPECT_EQ(device->draws, 3 * trained.tensors().size());
  trained.update(1e-3, 1);
  EXPECT_EQ(device->draws, 6 * trained.tensors().size());
}

TEST_F(ZeroOrderTraining, LowersTheLossAndTellsItsForwards) {
  RunSettings settings = wanted("zo-adam");
  settings.values["steps"] = "60";
  settings.values["zo-samples"] = "4";
  settings.values["lr"] = "5e-3";
  settings.values["batch"] = "40";
  const RunResult result = run(settings, "out");
  ASSERT_EQ(result.status, "done") << result.error;
  EXPECT_EQ(result.steps, 60U);
  EXPECT_EQ(result.forwards, 480U);
  EXPECT_LT(result.epochs.back().loss, 0.97 * result.epochs.front().loss);
  EXPECT_EQ(read_run(folder / "out/run.json").forwards, 480U);
  EXPECT_EQ(result.dropout.at("hidden"), 0);
  bool told = false;
  for (const auto& entry : fs::directory_iterator(folder / "out"))
    if (entry.path().filename().native().starts_with("events"))
      for (const ScalarEvent& event : read_scalars(entry.path()).events)
        told = told || (event.tag == "train/forwards" && event.value == 480);
  EXPECT_TRUE(told);
}

TEST_F(ZeroOrderTraining, IsReplayedBitForBitWithoutItsData) {
  for (const char* optimizer : {"zo-sgd", "zo-adam"}) {
    RunSettings settings = wanted(optimizer);
    settings.values["zo-samples"] = "2";
    settings.values["seed"] = "3";
    if (std::string(optimizer) == "zo-adam") settings.values["clip"] = "1";
    ASSERT_EQ(run(settings, optimizer).status, "done");
    TrainingSession again = session(settings);
    replay_zero_order(folder / optimizer / zero_order_log_name, again);
    EXPECT_EQ(again.steps(), 10U);
    const SafetensorsFile stored(folder / optimizer / "adapter/adapter_model.safetensors");
    for (const TrainedSpan& tensor : again.tensors()) {
      const std::vector<float> expected = stored.read<float>(tensor.name);
      EXPECT_TRUE(std::ranges::equal(tensor.value, expected)) << tensor.name;
    }
    EXPECT_THAT(
        error_of([&] { replay_zero_order(folder / optimizer / zero_order_log_name, again); }),
        HasSubstr("the session has taken 10 steps"));
  }
}

TEST_F(ZeroOrderTraining, RefusesALogThatIsNone) {
  const fs::path file = folder / "log";
  const auto error = [&](const std::string& text) {
    std::ofstream(file) << text;
    return error_of([&] { read_zero_order_log(file); });
  };
  const std::string title = "rankfold zeroth-order log 1\n";
  EXPECT_THAT(error("other\n"), HasSubstr("is no log of a zeroth-order run"));
  EXPECT_THAT(error(""), HasSubstr("is no log"));
  EXPECT_EQ(error(title + "0 1e-3 1 0.5\n1 1e-3 1 0."), "") << "a last line that was cut off";
  EXPECT_EQ(read_zero_order_log(file).size(), 1U);
  EXPECT_THAT(error(title + "0 1e-3 1 0.5\n2 1e-3 1 0.5\n"), HasSubstr(":3: '2 1e-3 1 0.5'"));
  EXPECT_THAT(error(title + "0 1e-3 1 nan\n"), HasSubstr(":2:"));
  EXPECT_THAT(error(title + "0 1e-3 1\n"), HasSubstr(":2:"));
  EXPECT_THAT(error(title + "0 1e-3 1 0.5\n1 1e-3 1 0.5 2\n"),
              HasSubstr("as many as in the first"));
}

TEST_F(ZeroOrderTraining, RefusesWhatItCannotDo) {
  const auto error = [&](const std::string& optimizer, const std::string& name,
                         const std::string& value) {
    RunSettings settings = wanted(optimizer);
    settings.values[name] = value;
    return error_of([&] { run(settings, "refused"); });
  };
  for (const char* epsilon : {"0", "1e-30", "5e-8"})
    EXPECT_THAT(error("zo-sgd", "zo-epsilon", epsilon), HasSubstr("expected at least 6e-8"));
  EXPECT_THAT(error("zo-sgd", "clip", "1"), HasSubstr("--clip is 1; zo-sgd forms no gradient"));
  EXPECT_THAT(error("zo-adam", "accumulate", "2"), HasSubstr("--accumulate is 2"));
  EXPECT_THAT(error("zo-adam", "dropout", "0.1"), HasSubstr("--dropout is 0.1; zo-adam"));
  EXPECT_THAT(error("zo-adam", "adapter-dropout", "0.1"), HasSubstr("--adapter-dropout is 0.1"));
  EXPECT_THAT(error("zo-sgd", "method", "dlrt"), HasSubstr("dlrt takes whole updates to low rank"));
  EXPECT_FALSE(fs::exists(folder / "refused"));
}

}  // namespace
}  // namespace rankfold
