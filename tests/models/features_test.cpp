#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "models/bert_example.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

/// A host without dropout and an adapter on some of its layers.
struct AdaptedHost {
  std::unique_ptr<Adapter<float>> adapter;
  std::unique_ptr<Host> host;

  AdaptedHost(const std::string& method, const std::string& targets, const std::string& layers,
              TrainedParts parts = {}) {
    HostSettings settings;
    settings.dropout = 0;
    settings.parts = parts;
    const auto device = make_cpu_device();
    host = load_host(golden, settings, device);
    if (method == "none") return;
    const Registry registry = builtin_registry();
    const Method& found = registry.at(method);
    const Stack stack = select_stack(host->catalogue(), targets, layers);
    MethodRequest request;
    if (found.has_rank) request.rank = "2";
    adapter = make_adapter<float>(found, stack, resolve_settings(found, request, stack), device);
    adapter->initialise(7);
    host->attach(adapter.get());
  }

  std::vector<float> features(const Batch& batch) const {
    std::vector<float> rows(batch.tokens() * host->hidden_size());
    host->features(batch, {rows.data(), batch.tokens(), host->hidden_size()});
    return rows;
  }
  Batch with_features(Batch batch, const std::vector<float>& rows) const {
    batch.features = {rows.data(), batch.tokens(), host->hidden_size()};
    return batch;
  }
  /// Of all that trains.
  std::vector<float> gradients() const {
    std::vector<float> all;
    for (const TrainedTensor& tensor : host->trained())
      all.insert(all.end(), tensor.gradient.begin(), tensor.gradient.end());
    if (!adapter) return all;
    for (Parameter<float>& parameter : adapter->parameters()) {
      const auto gradient = parameter.gradient.span();
      all.insert(all.end(), gradient.begin(), gradient.end());
    }
    return all;
  }
};

TEST(FrozenLayers, AreThoseBelowAllThatTrains) {
  EXPECT_EQ(AdaptedHost("none", "", "").host->frozen_layers(), 1u);
  EXPECT_EQ(AdaptedHost("lora", "q,v", "last:1").host->frozen_layers(), 1u);
  EXPECT_EQ(AdaptedHost("lora", "down", "1").host->frozen_layers(), 1u);
  EXPECT_EQ(AdaptedHost("loretta_adp", "adapters", "last:1").host->frozen_layers(), 1u);
  EXPECT_EQ(AdaptedHost("lora", "q,v", "0").host->frozen_layers(), 0u);
  EXPECT_EQ(AdaptedHost("lora", "down", "all").host->frozen_layers(), 0u);
  EXPECT_EQ(AdaptedHost("lora", "q,v", "last:1", {.norms = true}).host->frozen_layers(), 0u);
  EXPECT_EQ(AdaptedHost("none", "", "", {.tt_head = true}).host->frozen_layers(), 1u);
}

TEST(Features, AreTheHiddenStatesBehindTheFrozenLayers) {
  const AdaptedHost adapted("lora", "q,v", "last:1");
  const std::vector<float> rows = adapted.features(example());
  EXPECT_EQ(rows, adapted.host->hidden_states(example())[1]);
  const AdaptedHost all("lora", "q,v", "all");
  EXPECT_EQ(all.features(example()), all.host->hidden_states(example())[0]);
}

TEST(Features, StandForTheFrozenLayersInEveryPass) {
  struct Case {
    std::string method, targets;
  };
  for (const Case& c : {Case{"none", ""},
                        {"lora", "q,v"},
                        {"lora", "k"},
                        {"lora", "o,up,down"},
                        {"lora", "q,k,v,o,up,down"},
                        {"lotr", "q,v"},
                        {"full", "v"},
                        {"loretta_adp", "adapters"}}) {
    const AdaptedHost plain(c.method, c.targets, "last:1"), given(c.method, c.targets, "last:1");
    const std::vector<float> rows = given.features(example());
    const Batch batch = given.with_features(example(), rows);
    // Something else in between, so that nothing is left of the frozen layers' own pass.
    given.host->predict(example({2, 2, 2}));
    EXPECT_EQ(given.host->predict(batch), plain.host->predict(example())) << c.method;
    const double loss = plain.host->train_pass(example(), 1, 1);
    EXPECT_NEAR(given.host->train_pass(batch, 1, 1), loss, 1e-7) << c.method << c.targets;
    const std::vector<float> expected = plain.gradients(), found = given.gradients();
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], 1e-6) << c.method << " " << c.targets << " " << i;
  }
}

TEST(Features, OfOtherSizesAreRefused) {
  const AdaptedHost adapted("lora", "q,v", "last:1");
  Batch batch = example();
  const std::vector<float> rows(batch.tokens() * 32);
  batch.features = {rows.data(), batch.tokens() - 1, 32};
  EXPECT_THAT(message_of<Error>([&] { adapted.host->predict(batch); }),
              HasSubstr("features [16, 32], expected [17, 32]"));
  batch.features = {rows.data(), batch.tokens(), 16};
  EXPECT_THAT(message_of<Error>([&] { adapted.host->train_pass(batch, 1, 1); }),
              HasSubstr("features [17, 16], expected [17, 32]"));
  std::vector<float> room(32);
  EXPECT_THAT(message_of<Error>([&] {
                adapted.host->features(example(), {room.data(), 1, 32});
              }),
              HasSubstr("[1, 32], expected [17, 32]"));
  batch.features = {rows.data(), batch.tokens(), 32};
  const AdaptedHost all("lora", "q,v", "all");
  EXPECT_THAT(message_of<Error>([&] { all.host->predict(batch); }),
              HasSubstr("no layer is frozen"));
}

}  // namespace
}  // namespace rankfold
