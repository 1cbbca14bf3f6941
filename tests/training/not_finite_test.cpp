#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/schedule.h"
#include "golden_batch.h"
#include "source_paths.h"

namespace rankfold {
namespace {

const std::filesystem::path folder = std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "models/bert";

std::unique_ptr<Adapter<float>> make_lora(const Host& host) {
  const Registry registry = builtin_registry();
  const Method& lora = registry.at("lora");
  const Stack stack = select_stack(host.catalogue(), "q,v", "all");
  MethodRequest request;
  request.rank = "4";
  request.alpha = 8;
  return make_adapter<float>(lora, stack, resolve_settings(lora, request, stack),
                             make_cpu_device());
}

// Twelve steps of PEFT's LoRA with torch's AdamW, clipping and warm-up, from the same start.
TEST(Training, FollowsTwelveStepsOfPeftAndTorch) {
  const std::unique_ptr<Host> host = load_host(folder, {}, make_cpu_device());
  const std::unique_ptr<Adapter<float>> adapter = make_lora(*host);

  const SafetensorsFile start(folder / "trace.safetensors");
  std::vector<TrainedSpan> tensors;
  for (Parameter<float>& parameter : adapter->parameters()) {
    const std::string site = parameter.name.substr(2);
    const auto value = start.read<float>(site + ".lora_" + parameter.factor + ".weight");
    ASSERT_EQ(value.size(), parameter.value.size());
    std::copy(value.begin(), value.end(), parameter.value.data());
    tensors.push_back({parameter.name, parameter.value.span(), parameter.gradient.span()});
  }
  for (const TrainedTensor& tensor : host->trained()) {
    const auto value = start.read<float>(tensor.name);
    ASSERT_EQ(value.size(), tensor.value.size());
    std::copy(value.begin(), value.end(), tensor.value.begin());
    tensors.push_back({tensor.name, tensor.value, tensor.gradient});
  }
  host->attach(adapter.get());

  OptimizerSettings settings;
  settings.weight_decay = 0.01;
  Optimizer optimizer(settings, tensors, make_cpu_device());
  const Schedule schedule{ScheduleKind::linear, 3, 12};
  const Batch batch = read_golden_batch(folder);
  const auto expected = nlohmann::json::parse(read_text(folder / "trace.json"))
                            .at("losses")
                            .get<std::vector<double>>();
  ASSERT_EQ(expected.size(), 12U);
  for (std::size_t step = 0; step < expected.size(); ++step) {
    host->zero_gradients();
    adapter->zero_gradients();
    EXPECT_NEAR(host->train_pass(batch, 0, step), expected[step], 1e-5) << "step " << step;
    optimizer.step(1e-2 * schedule.factor(step),
                   clip_scale(gradient_norm(*make_cpu_device(), optimizer.tensors()), 1));
  }
}

// The trainer looks at loss and gradients only; no kernel may hide a NaN from it.
TEST(Training, ShowsEveryFactorThatIsNotFiniteInLossOrGradient) {
  const std::unique_ptr<Host> host = load_host(folder, {}, make_cpu_device());
  const std::unique_ptr<Adapter<float>> adapter = make_lora(*host);
  host->attach(adapter.get());
  const Batch batch = read_golden_batch(folder);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (Parameter<float>& parameter : adapter->parameters()) {
      adapter->initialise(1);
      for (Parameter<float>& other : adapter->parameters()) {
        if (other.factor == "B") other.value.data()[0] = 0.5F;
      }
      parameter.value.data()[0] = bad;
      host->zero_gradients();
      adapter->zero_gradients();
      const double loss = host->train_pass(batch, 0, 0);
      std::vector<TrainedSpan> tensors;
      for (Parameter<float>& other : adapter->parameters()) {
        tensors.push_back({other.name, other.value.span(), other.gradient.span()});
      }
      EXPECT_FALSE(std::isfinite(loss) && std::isfinite(gradient_norm(*make_cpu_device(), tensors)))
          << parameter.name << " " << bad;
    }
  }
}

}  // namespace
}  // namespace rankfold
