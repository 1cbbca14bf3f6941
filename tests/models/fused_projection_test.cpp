#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "golden_batch.h"
#include "models/golden_models.h"
#include "temporary_folder.h"

// Every method on a weight that holds q, k and v, and on its parts.

namespace rankfold {
namespace {

class FusedProjection
    : public testing::TestWithParam<std::tuple<const char*, const char*, std::string>> {
 protected:
  std::string model() const { return std::get<0>(GetParam()); }
  std::string targets() const { return std::get<1>(GetParam()); }
  std::string method() const { return std::get<2>(GetParam()); }
};

/// What a method needs that the whole, of three times as many outputs as inputs, has not; or that
/// of DeBERTa, whose keys have no bias.
std::string refusal_of_the_whole(const std::string& model, const std::string& method) {
  if (method == "quanta") return "is 96x32, axes 4,4,2: expected a square weight";
  return method == "bitfit" && model == "deberta" ? "some of its parts have no bias" : "";
}

/// Predictions are those of the reconstructed updates as dense ones; a training pass reaches the
/// factors.
TEST_P(FusedProjection, IsAdaptedByItsUpdates) {
  const auto device = make_cpu_device();
  const auto host = load_host(golden_model(model()), {}, device);
  const Batch batch = read_golden_batch(golden_model(model()));
  const Stack stack = select_stack(host->catalogue(), targets(), "all");
  const std::string refusal = refusal_of_the_whole(model(), method());
  if (targets() == "in_proj" && !refusal.empty()) {
    EXPECT_THAT(message_of<Error>([&] { drawn_adapter(stack, method(), device); }),
                testing::HasSubstr(refusal));
    return;
  }
  const auto adapter = drawn_adapter(stack, method(), device);
  if (adapter->parameters().empty()) return;
  const std::vector<float> plain = host->predict(batch);
  host->attach(adapter.get());
  const std::vector<float> found = host->predict(batch);
  EXPECT_NE(found, plain);
  Batch labelled = batch;
  labelled.labels.assign(batch.sequences(), 1);
  EXPECT_TRUE(std::isfinite(host->train_pass(labelled, 0, 0)));
  double norm = 0;
  for (const Parameter<float>& parameter : adapter->parameters())
    if (parameter.trainable)
      for (const float g : parameter.gradient.span()) norm += double{g} * g;
  EXPECT_GT(norm, 0.0);
  bool is_sum = adapter->is_weight_update();
  for (std::size_t i = 0; i < stack.sites.size(); ++i) is_sum = is_sum && !adapter->adds_bias(i);
  if (!is_sum) return;
  const auto dense = drawn_adapter(stack, "full", device);
  for (std::size_t i = 0; i < stack.sites.size(); ++i)
    adapter->reconstruct(
        i, {dense->parameters()[i].value.data(), stack.sites[i].out, stack.sites[i].in});
  host->attach(dense.get());
  const std::vector<float> expected = host->predict(batch);
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-4 * (1 + std::abs(expected[i])));
}

std::vector<std::string> methods_of_weights() {
  std::vector<std::string> names;
  for (const std::string& name : builtin_registry().names())
    if (builtin_registry().at(name).entry == Entry::weights) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Methods, FusedProjection,
                         testing::Combine(testing::Values("gpt2-classifier", "deberta"),
                                          testing::Values("in_proj", "q,k,v"),
                                          testing::ValuesIn(methods_of_weights())),
                         [](const auto& chosen) {
                           const std::string model = std::get<0>(chosen.param);
                           const std::string targets = std::get<1>(chosen.param);
                           return model.substr(0, model.find('-')) +
                                  (targets == "in_proj" ? "_whole_" : "_parts_") +
                                  std::get<2>(chosen.param);
                         });

}  // namespace
}  // namespace rankfold
