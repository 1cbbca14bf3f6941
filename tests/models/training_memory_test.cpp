#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/counting_backend.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "models/bert_example.h"

namespace {

std::atomic<std::size_t> allocations = 0;

void* allocate(std::size_t size, std::size_t alignment) {
  ++allocations;
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, rounded < alignment ? alignment : rounded))
    return memory;
  throw std::bad_alloc();
}

}  // namespace

// Every other form of new and delete ends in one of these.
void* operator new(std::size_t size) {
  return allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace rankfold {
namespace {

/// On one thread: the passes are tiny, and waiting for threads would be most of them.
class TrainingMemory : public testing::Test {
 protected:
  void SetUp() override {
    threads_ = openblas_report().threads;
    set_threads(1);
  }
  void TearDown() override { set_threads(threads_); }

  std::unique_ptr<Host> load(bool norms) const {
    HostSettings settings;
    settings.dropout = 0.1;
    settings.parts.norms = norms;
    return load_host(golden, settings, backend_);
  }

  /// What was asked for so far, of the heap and of the backend.
  std::size_t asked() const { return allocations + backend_->count().allocations; }

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

  std::shared_ptr<CountingBackend> backend_ =
      std::make_shared<CountingBackend>(make_openblas_backend());
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
      const Stack stack = select_stack(host->catalogue(), targets, "all");
      MethodRequest request;
      if (method.has_rank) request.rank = "2";
      const auto adapter =
          make_adapter<float>(method, stack, resolve_settings(method, request, stack), backend_);
      adapter->initialise(1);
      adapter->set_policy(policy);
      host->attach(adapter.get());
      EXPECT_EQ(count_later_allocations(*host, batches_of_falling_and_rising_size()), 0u)
          << method.name;
    }
}

}  // namespace
}  // namespace rankfold
