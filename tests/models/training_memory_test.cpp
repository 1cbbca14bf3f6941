#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "core/device/counting_device.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "models/bert_example.h"
#include "models/count_allocations.h"

namespace rankfold {
namespace {

/// On one thread: the passes are tiny, and waiting for threads would be most of them.
class TrainingMemory : public testing::Test {
 protected:
  void SetUp() override {
    threads_ = kernel_report().threads;
    set_threads(1);
  }
  void TearDown() override { set_threads(threads_); }

  std::unique_ptr<Host> load(bool norms) const {
    HostSettings settings;
    settings.dropout = 0.1;
    settings.parts.norms = norms;
    return load_host(golden, settings, device_);
  }

  /// What was asked for so far, of the heap and of the device.
  std::size_t asked() const { return allocation_count() + device_->count().allocations; }

  /// Passes over `batches`, the largest first and twice; returns how much the later ones allocated.
  std::size_t count_later_allocations(Host& host, const std::vector<Batch>& batches) const {
    for (std::uint64_t step = 0; step < 2; ++step) host.train_pass(batches.front(), 1, step);
    const std::size_t before = asked();
    std::uint64_t step = 2;
    for (const Batch& batch : batches) {
      host.zero_gradients();
      host.train_pass(batch, 1, step++);
    }
    return asked() - before;
  }

  std::shared_ptr<CountingDevice> device_ = std::make_shared<CountingDevice>(make_cpu_device());
  int threads_ = 1;
};

std::vector<Batch> batches_of_falling_and_rising_size() {
  return {example(), example({0}), example({1, 2}), example({1}), example({2, 0, 1})};
}

TEST_F(TrainingMemory, IsNotAllocatedAnewInLaterSteps) {
  const auto host = load(true);
  EXPECT_EQ(count_later_allocations(*host, batches_of_falling_and_rising_size()), 0u);
}

TEST_F(TrainingMemory, IsNotTouchedByPredictionsButForTheirResult) {
  const auto host = load(true);
  const std::vector<Batch> batches = batches_of_falling_and_rising_size();
  count_later_allocations(*host, batches);
  const std::size_t before = asked();
  const std::vector<float> logits = host->predict(batches.front());
  EXPECT_EQ(asked() - before, 1u);
  EXPECT_EQ(count_later_allocations(*host, batches), 0u);
}

TEST_F(TrainingMemory, IsNotAllocatedAnewByTheAdapterOfAnyMethodUnderAnyPlan) {
  for (const Method& method : builtin_registry().methods())
    for (const PlanPolicy& policy :
         {PlanPolicy{}, PlanPolicy{false, false}, PlanPolicy{true, true}}) {
      const auto host = load(false);
      const std::string targets =
          method.default_targets.empty() ? "q,k,v,o" : method.default_targets;
      MethodRequest request;
      if (method.has_rank) request.rank = "2";
      const Stack stack = select_sites(method, host->catalogue(), targets, "all", request);
      const auto adapter =
          make_adapter<float>(method, stack, resolve_settings(method, request, stack), device_);
      adapter->set_policy(policy);
      host->attach(adapter.get());
      adapter->initialise(1);
      EXPECT_EQ(count_later_allocations(*host, batches_of_falling_and_rising_size()), 0u)
          << method.name;
    }
}

}  // namespace
}  // namespace rankfold
