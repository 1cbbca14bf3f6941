#include "experiments/training/start_samples.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/linalg/linear_algebra.h"
#include "decompositions/registry.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

class StartSamplesOfATask : public Workplace {
 protected:
  StartSamplesOfATask() {
    HostSettings settings;
    settings.dropout = 0;
    host = load_host(folder / "model", settings, device);
    stack = select_stack(host->catalogue(), "q,v", "all");
    for (int i = 0; i < 5; ++i) {
      Encoding encoding;
      for (int token = 0; token < 3 + i; ++token) {
        encoding.ids.push_back(5 + (i * 17 + token * 29) % 96);
        encoding.type_ids.push_back(0);
      }
      split.sequences.push_back(encoding);
      split.labels.push_back(static_cast<float>(i % 2));
    }
  }
  std::unique_ptr<Adapter<float>> lora(const std::string& init) const {
    return make_adapter<float>(
        method, stack, resolve_settings(method, {"3", {}, "", {{"init", init}}}, stack), device);
  }

  std::shared_ptr<const Device> device = make_cpu_device();
  Method method = builtin_registry().at("lora");
  std::unique_ptr<Host> host;
  Stack stack;
  EncodedSplit split;
  const BatchPacker packer = [this](std::span<const std::size_t> chosen) {
    return pack(split, chosen);
  };
};

TEST_F(StartSamplesOfATask, InputsAreTheHiddenStatesThatTheSiteSees) {
  const auto samples =
      sample_start(*host, stack, StartSamples::inputs, split.size(), packer, 2, 1, device);
  ASSERT_EQ(samples.size(), stack.sites.size());
  const std::size_t width = host->hidden_size();
  std::vector<double> expected(width * width);
  double tokens = 0;
  for (const auto& chosen : epoch_batches(split.size(), 2, 1, 1)) {
    const Batch batch = pack(split, chosen);
    const std::vector<float> states = host->hidden_states(batch).front();
    for (std::size_t token = 0; token < batch.tokens(); ++token, ++tokens)
      for (std::size_t i = 0; i < width; ++i)
        for (std::size_t j = 0; j < width; ++j)
          expected[i * width + j] += static_cast<double>(states[token * width + i]) *
                                     static_cast<double>(states[token * width + j]);
  }
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (std::size_t site : {0U, 1U})  // q and v of the first layer
      ASSERT_NEAR(samples[site].input_moments[i], expected[i] / tokens, 1e-5);
}

TEST_F(StartSamplesOfATask, EvaStartsAlongTheDirectionsThatHoldMostOfTheInputs) {
  const auto adapter = lora("eva");
  EXPECT_THAT(error_of([&] { adapter->initialise(1); }),
              HasSubstr("its start reads the task's inputs, which only training has"));
  EXPECT_EQ(adapter->start_samples(), StartSamples::inputs);
  adapter->set_samples(
      sample_start(*host, stack, StartSamples::inputs, split.size(), packer, 2, 1, device));
  adapter->initialise(1);
  const auto samples =
      sample_start(*host, stack, StartSamples::inputs, split.size(), packer, 2, 1, device);
  const std::size_t width = host->hidden_size();
  const SymmetricParts parts = decompose_symmetric({samples[0].input_moments.data(), width, width});
  const std::span<const float> a = adapter->parameter("A." + stack.sites[0].name).value.span();
  for (std::size_t p = 0; p < 3; ++p) {
    double norm = 0, held = 0;
    for (std::size_t i = 0; i < width; ++i) {
      norm += static_cast<double>(a[p * width + i]) * a[p * width + i];
      for (std::size_t j = 0; j < width; ++j)
        held += static_cast<double>(a[p * width + i]) * samples[0].input_moments[i * width + j] *
                a[p * width + j];
    }
    EXPECT_NEAR(norm, 1, 1e-5);
    EXPECT_NEAR(held, parts.values[p], 1e-4 * parts.values[0]);
  }
  for (const float value : adapter->parameter("B." + stack.sites[0].name).value.span())
    EXPECT_EQ(value, 0);
}

TEST_F(StartSamplesOfATask, TheGradientIsThatOfTheLossByTheWeight) {
  const auto samples =
      sample_start(*host, stack, StartSamples::gradient, split.size(), packer, 5, 1, device);
  const Batch batch = pack(split, epoch_batches(split.size(), 5, 1, 1).front());
  const Method dense = full();
  const auto adapter =
      make_adapter<float>(dense, stack, resolve_settings(dense, {}, stack), device);
  host->attach(adapter.get());
  for (const std::size_t site : {0U, 3U}) {
    Parameter<float>& update = adapter->parameter("D." + stack.sites[site].name);
    for (const std::size_t entry : {0U, 77U, 501U}) {
      constexpr float step = 2e-2F;
      update.value.data()[entry] = step;
      const double above = host->train_pass(batch, 1, 0);
      update.value.data()[entry] = -step;
      const double below = host->train_pass(batch, 1, 0);
      update.value.data()[entry] = 0;
      EXPECT_NEAR(samples[site].weight_gradient[entry], (above - below) / (2 * step), 2e-5);
    }
  }
}

TEST_F(StartSamplesOfATask, AStartAtTheGradientLeavesTheWeightAsItWas) {
  const auto adapter = lora("svd-of-gradient");
  adapter->set_samples(
      sample_start(*host, stack, StartSamples::gradient, split.size(), packer, 2, 1, device));
  adapter->initialise(1);
  const Site& site = stack.sites.front();
  double norm = 0;
  for (const float value : adapter->parameter("B." + site.name).value.span())
    norm += static_cast<double>(value) * value;
  EXPECT_NEAR(norm, 3 * std::sqrt(static_cast<double>(site.out)) / 16, 1e-4);
  std::vector<float> update(site.out * site.in);
  adapter->reconstruct(0, {update.data(), site.out, site.in});
  for (const float value : update) ASSERT_NEAR(value, 0, 1e-6);
}

TEST_F(StartSamplesOfATask, OfOtherSizesAreRefused) {
  const auto adapter = lora("eva");
  EXPECT_THAT(error_of([&] { adapter->set_samples(std::vector<SiteSamples>(1)); }),
              HasSubstr("got samples of 1 sites, expected 4"));
  std::vector<SiteSamples> wrong(stack.sites.size());
  wrong[2].input_moments.resize(5);
  EXPECT_THAT(error_of([&] { adapter->set_samples(wrong); }),
              HasSubstr("got input moments of 5 numbers, expected 1024"));
}

TEST_F(StartSamplesOfATask, RunsThatStartFromTheDataAreScoredAgainAsTheyWere) {
  for (const std::string init : {"eva", "svd-of-gradient"}) {
    RunSettings run = settings();
    run.options["init"] = init;
    const auto out = folder / init;
    const RunResult result = finetune(run, out, builtin_registry());
    ASSERT_EQ(result.status, "done") << result.error;
    EvaluationRequest request;
    request.model = folder / "model";
    request.adapter = out / "adapter";
    request.data = folder / "data";
    request.threads = 1;
    EXPECT_EQ(evaluate(request, builtin_registry()).scores, result.scores) << init;
  }
}

}  // namespace
}  // namespace rankfold
