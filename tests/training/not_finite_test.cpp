#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "experiments/training/optimizer.h"
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
