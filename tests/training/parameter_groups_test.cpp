#include "experiments/training/parameter_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/base/error.h"
#include "decompositions/registry.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/training_session.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

class Groups : public Workplace {
 protected:
  std::map<std::string, TrainedSpan> spans(const std::map<std::string, std::string>& values) const {
    RunSettings wanted = settings();
    wanted.values["train"] = "norms";
    for (const auto& [name, value] : values) wanted.values[name] = value;
    const auto device = make_cpu_device();
    HostSettings of_host = host_settings(wanted, 1);
    of_host.parts.norms = true;
    TrainingSession session(load_host(folder / "model", of_host, device), method, wanted, 1, device,
                            [](const std::vector<std::string>&) {});
    session.begin(optimizer_settings(wanted));
    std::map<std::string, TrainedSpan> named;
    for (const TrainedSpan& tensor : session.tensors()) named[tensor.name] = tensor;
    return named;
  }
  std::string error(const std::string& name, const std::string& value) const {
    return error_of([&] { spans({{name, value}}); });
  }

  Method method = builtin_registry().at("lora");
  const std::string query = "bert.encoder.layer.0.attention.self.query",
                    norm = "bert.encoder.layer.1.output.LayerNorm";
};

TEST_F(Groups, AreAllOneByDefault) {
  for (const auto& [name, tensor] : spans({})) {
    EXPECT_EQ(tensor.rate, 1) << name;
    EXPECT_TRUE(tensor.decays) << name;
  }
}

TEST_F(Groups, HaveRatesOfTheirOwn) {
  auto found = spans({{"lr", "1e-3"}, {"lr-head", "5e-3"}, {"lr-ratio", "B=16,A=0.5"}});
  EXPECT_DOUBLE_EQ(found.at("classifier.weight").rate, 5);
  EXPECT_DOUBLE_EQ(found.at("classifier.bias").rate, 5);
  EXPECT_DOUBLE_EQ(found.at("B." + query).rate, 16);
  EXPECT_DOUBLE_EQ(found.at("A." + query).rate, 0.5);
  EXPECT_DOUBLE_EQ(found.at(norm + ".weight").rate, 1);
}

TEST_F(Groups, AreLeftOutOfWeightDecayByKindOrName) {
  auto found = spans({{"no-decay", "biases-and-norms"}});
  for (const std::string& name : {std::string("classifier.bias"), norm + ".weight", norm + ".bias"})
    EXPECT_FALSE(found.at(name).decays) << name;
  for (const std::string& name : {std::string("classifier.weight"), "A." + query, "B." + query})
    EXPECT_TRUE(found.at(name).decays) << name;
  found = spans({{"no-decay", "A.*,classifier.weight"}});
  EXPECT_FALSE(found.at("A." + query).decays);
  EXPECT_FALSE(found.at("classifier.weight").decays);
  EXPECT_TRUE(found.at("B." + query).decays);
  EXPECT_TRUE(found.at("classifier.bias").decays);
}

TEST_F(Groups, RefuseNamesThatNothingHas) {
  EXPECT_THAT(error("lr-ratio", "C=2"), HasSubstr("factor for --lr-ratio"));
  EXPECT_THAT(error("lr-ratio", "B"), HasSubstr("--lr-ratio is 'B'; expected FACTOR=X"));
  EXPECT_THAT(error("lr-ratio", "B=0"), HasSubstr("--lr-ratio is 'B=0'"));
  EXPECT_THAT(error("lr-ratio", "B=1,B=2"), HasSubstr("names factor 'B' twice"));
  EXPECT_THAT(error("no-decay", "classifier.wieght"),
              HasSubstr("did you mean 'classifier.weight'"));
  EXPECT_EQ(error("no-decay", "*nothing*"), "");
}

TEST(OptimizerGroups, ScaleRatesAndLeaveOutDecay) {
  for (const OptimizerKind kind : {OptimizerKind::adamw, OptimizerKind::adam, OptimizerKind::sgd}) {
    OptimizerSettings settings;
    settings.kind = kind;
    settings.weight_decay = 0.5;
    const auto step = [&](double rate, double factor, bool decays) {
      std::vector<float> value{2}, gradient{1};
      Optimizer optimizer(settings, {{"p", value, gradient, factor, decays}}, make_cpu_device());
      optimizer.step(rate);
      gradient[0] = -3;
      optimizer.step(rate);
      return value[0];
    };
    EXPECT_FLOAT_EQ(step(0.01, 4, true), step(0.04, 1, true));
    EXPECT_NE(step(0.01, 1, true), step(0.01, 1, false));
    settings.weight_decay = 0;
    const float plain = step(0.01, 1, true);
    settings.weight_decay = 0.5;
    EXPECT_EQ(step(0.01, 1, false), plain);
  }
}

TEST(Adam, HasDecayInItsGradient) {
  OptimizerSettings settings;
  settings.kind = OptimizerKind::adam;
  settings.weight_decay = 0.1;
  std::vector<float> value{1}, gradient{0};
  Optimizer optimizer(settings, {{"p", value, gradient}}, make_cpu_device());
  // torch.optim.Adam(lr=1e-2, weight_decay=0.1) on gradients 0.5, -0.25, 2.
  const double expected[] = {0.9900000001667, 0.9853191993059, 0.9781690339879};
  for (int i = 0; i < 3; ++i) {
    gradient[0] = std::array{0.5f, -0.25f, 2.0f}[static_cast<std::size_t>(i)];
    optimizer.step(1e-2);
    EXPECT_NEAR(value[0], expected[i], 2e-6) << i;
  }
}

}  // namespace
}  // namespace rankfold
