#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/error.h"
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

/// OpenBLAS, counting what is asked of its memory.
class CountingBackend final : public Backend {
 public:
  std::string description() const override { return inner_->description(); }
  void* allocate(std::size_t bytes) const override {
    ++allocations;
    return inner_->allocate(bytes);
  }
  void release(void* memory) const noexcept override { inner_->release(memory); }
  void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, float alpha,
            const float* a, std::size_t lda, const float* b, std::size_t ldb, float beta, float* c,
            std::size_t ldc) const override {
    inner_->gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  }
  void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, double alpha,
            const double* a, std::size_t lda, const double* b, std::size_t ldb, double beta,
            double* c, std::size_t ldc) const override {
    inner_->gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  }
  void accumulate(const StridedLoop& loop, float alpha, const float* a, const float* b,
                  float* target) const override {
    inner_->accumulate(loop, alpha, a, b, target);
  }
  void accumulate(const StridedLoop& loop, double alpha, const double* a, const double* b,
                  double* target) const override {
    inner_->accumulate(loop, alpha, a, b, target);
  }

 private:
  std::shared_ptr<const Backend> inner_ = make_openblas_backend();
};

/// On one thread: the passes are tiny, and waiting for threads would be most of them.
class TrainingMemory : public testing::Test {
 protected:
  void SetUp() override {
    threads_ = openblas_report().threads;
    set_threads(1);
  }
  void TearDown() override { set_threads(threads_); }
  int threads_ = 1;
};

std::unique_ptr<Host> load_with_norms() {
  HostSettings settings;
  settings.dropout = 0.1;
  settings.parts.norms = true;
  return load_host(golden, settings, std::make_shared<CountingBackend>());
}

/// Passes over `batches`, the largest first and twice; returns how much the later ones allocated.
std::size_t count_later_allocations(Host& host, const std::vector<Batch>& batches) {
  for (std::uint64_t step = 0; step < 2; ++step) host.train_pass(batches.front(), 1, step);
  const std::size_t before = allocations;
  std::uint64_t step = 2;
  for (const Batch& batch : batches) {
    host.zero_gradients();
    host.train_pass(batch, 1, step++);
  }
  return allocations - before;
}

std::vector<Batch> batches_of_falling_and_rising_size() {
  return {example(), example({0}), example({1, 2}), example({1}), example({2, 0, 1})};
}

TEST_F(TrainingMemory, IsNotAllocatedAnewInLaterSteps) {
  const auto host = load_with_norms();
  EXPECT_EQ(count_later_allocations(*host, batches_of_falling_and_rising_size()), 0u);
}

TEST_F(TrainingMemory, IsNotTouchedByPredictionsButForTheirResult) {
  const auto host = load_with_norms();
  const std::vector<Batch> batches = batches_of_falling_and_rising_size();
  count_later_allocations(*host, batches);
  const std::size_t before = allocations;
  const std::vector<float> logits = host->predict(batches.front());
  EXPECT_EQ(allocations - before, 1u);
  EXPECT_EQ(count_later_allocations(*host, batches), 0u);
}

}  // namespace
}  // namespace rankfold
