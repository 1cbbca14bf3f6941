#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "models/bert_example.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

TEST(Bert, NamesItsSitesAsPeftDoes) {
  const auto host = load_host(golden, {}, make_cpu_device());
  const SiteCatalogue& catalogue = host->catalogue();
  EXPECT_EQ(catalogue.layers, 2u);
  EXPECT_EQ(catalogue.sites.size(), 12u + 1);
  EXPECT_EQ(select_stack(catalogue, "q", "1").sites[0].name,
            "bert.encoder.layer.1.attention.self.query");
  EXPECT_EQ(select_stack(catalogue, "adapters", "0").sites[1].name,
            "bert.encoder.layer.0.output.dense");
}

TEST(Bert, RefusesAnAdapterOfThePoolerWhereATensorTrainIsInItsPlace) {
  HostSettings settings;
  settings.parts.tt_head = true;
  const auto host = load_host(golden, settings, make_cpu_device());
  const Stack stack = select_stack(host->catalogue(), "pooler", "all");
  const Registry registry = builtin_registry();
  const Method& full = registry.at("full");
  const auto adapter =
      make_adapter<float>(full, stack, resolve_settings(full, {}, stack), make_cpu_device());
  EXPECT_THAT(message_of<Error>([&] { host->attach(adapter.get()); }),
              HasSubstr("replaces bert.pooler.dense"));
}

TEST(Bert, RefusesAnAdapterOfAnotherModelAndStaysAsItWas) {
  const auto host = load_host(golden, {}, make_cpu_device());
  const std::vector<float> before = host->predict(example());
  for (const bool renamed : {true, false}) {
    Site site = host->catalogue().sites[0];
    if (renamed)
      site.name = "roberta.encoder.layer.0.attention.self.query";
    else
      site.out = 48;
    const Stack stack{std::vector<Site>{site}};
    const Registry registry = builtin_registry();
    const Method& full = registry.at("full");
    const auto adapter =
        make_adapter<float>(full, stack, resolve_settings(full, {}, stack), make_cpu_device());
    EXPECT_THROW(host->attach(adapter.get()), Error);
  }
  EXPECT_EQ(host->predict(example()), before);
}

TEST(Bert, StartsTheClassifierAnewForAnotherNumberOfLabels) {
  HostSettings settings;
  settings.labels = 3;
  const auto host = load_host(golden, settings, make_cpu_device());
  EXPECT_THAT(host->notes(), testing::ElementsAre(HasSubstr("classifier starts anew")));
  EXPECT_EQ(host->predict(example()).size(), 9u);
}

TEST(Bert, RefusesBatchesThatDoNotFit) {
  const auto host = load_host(golden, {}, make_cpu_device());
  const auto refused = [&](const std::function<void(Batch&)>& change, const std::string& message) {
    Batch batch = example();
    change(batch);
    try {
      host->train_pass(batch, 0, 0);
      ADD_FAILURE() << message;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  };
  refused([](Batch& b) { b.ids[1] = 101; }, "token id 101, expected 0 to 100");
  refused([](Batch& b) { b.ids[1] = -1; }, "token id -1");
  refused([](Batch& b) { b.type_ids[1] = 2; }, "token type 2");
  refused([](Batch& b) { b.type_ids.pop_back(); }, "token types");
  refused([](Batch& b) { b.labels[0] = 2; }, "label 2, expected a class from 0 to 1");
  refused([](Batch& b) { b.labels.pop_back(); }, "2 labels for 3 sequences");
  refused([](Batch& b) { b.starts.back() += 1; }, "starts");
  refused([](Batch& b) { b.starts[1] = 0; }, "sequence 0");
  refused(
      [](Batch& b) {
        b.ids.assign(65, 1);
        b.type_ids.assign(65, 0);
        b.starts = {0, 65};
        b.labels = {0};
      },
      "expected 1 to 64 tokens");
}

}  // namespace
}  // namespace rankfold
