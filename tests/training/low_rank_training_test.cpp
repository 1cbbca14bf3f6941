#include "experiments/training/low_rank_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "analysis/logs/event_log.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/random.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// Two weights of unequal sizes, and what trains them.
struct Bench {
  explicit Bench(const std::string& tau, const Method& method = dlrt(), const char* rank = "3")
      : settings(resolve_settings(method, {rank, {}, "", {{"tau", tau}}}, stack)),
        adapter(make_adapter<float>(trained_form(method), stack, settings, device)),
        training(method, settings, *adapter, 5, device) {}

  std::span<float> update(std::size_t site) { return adapter->parameters()[site].value.span(); }

  std::shared_ptr<const Device> device = make_cpu_device();
  Stack stack{{{"first", MatrixType::q, 0, 12, 9, 3}, {"second", MatrixType::v, 0, 7, 10, 1}}};
  MethodSettings settings;
  std::unique_ptr<Adapter<float>> adapter;
  LowRankTraining training;
};

TEST(LowRankTraining, StartsAtTheFrozenWeights) {
  Bench bench("0.1");
  for (std::size_t site = 0; site < 2; ++site)
    for (const float value : bench.update(site)) EXPECT_EQ(value, 0);
  EXPECT_EQ(bench.training.parameter_count(), 3U * (12 + 9 + 3) + 3U * (7 + 10 + 3));
  EXPECT_EQ(bench.training.mean_rank(), 3);
}

TEST(LowRankTraining, StoresTheUpdateThatItTrained) {
  Bench bench("0.4");
  for (std::uint64_t step = 0; step < 3; ++step) {
    for (std::size_t site = 0; site < 2; ++site) {
      std::vector<float> change(bench.update(site).size());
      RandomStream(step, "change", site).fill_normal<float>(change, 0, site == 0 ? 0.1 : 0.3);
      for (std::size_t i = 0; i < change.size(); ++i) bench.update(site)[i] += change[i];
    }
    ASSERT_TRUE(bench.training.step());
  }
  AdapterDescription description;
  description.method = "dlrt";
  description.rank = "3";
  std::size_t stored = 0;
  for (const auto& [site, rank] : bench.training.ranks()) {
    description.sites.push_back({site, std::to_string(rank)});
    EXPECT_LE(rank, 3U);
  }
  SiteCatalogue catalogue;
  catalogue.sites = bench.stack.sites;
  const auto adapter =
      make_described_adapter<float>(description, catalogue, builtin_registry(), make_cpu_device());
  bench.training.store(*adapter);
  for (const Parameter<float>& parameter : adapter->parameters()) stored += parameter.value.size();
  EXPECT_EQ(stored, bench.training.parameter_count());
  EXPECT_GE(bench.training.largest_parameter_count(), stored);
  for (std::size_t site = 0; site < 2; ++site) {
    const Site& shape = bench.stack.sites[site];
    std::vector<float> delta(shape.out * shape.in);
    adapter->reconstruct(site, {delta.data(), shape.out, shape.in});
    for (std::size_t i = 0; i < delta.size(); ++i)
      EXPECT_NEAR(delta[i], bench.update(site)[i], 1e-6);
  }
  Bench other("0.4");
  EXPECT_THROW(other.training.store(*bench.adapter), Error);
}

TEST(LowRankTraining, TellsOfAnUpdateThatIsNotFinite) {
  Bench bench("0.1");
  bench.update(1)[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(bench.training.step());
}

TEST(LowRankTraining, RefusesAMethodOfOtherFactors) {
  Method pair = lora();
  pair.options = dlrt().options;
  pair.truncation = dlrt().truncation;
  pair.declare = [](const Site& site, const Stack&, const MethodSettings& settings) {
    const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
    return weight_update({.out = {out},
                          .in = {in},
                          .terms = {{.product = {Factor{"U", {out, r}}, Factor{"V", {in, r}}}}}});
  };
  EXPECT_THAT(error_of([&] { Bench bench("0.1", pair); }), HasSubstr("expected U, S and V"));
  Method turned = dlrt();
  turned.declare = [](const Site& site, const Stack&, const MethodSettings& settings) {
    const Mode out{"out", site.out}, in{"in", site.in}, p{"p", settings.rank},
        q{"q", settings.rank};
    return weight_update({.out = {out},
                          .in = {in},
                          .terms = {{.product = {Factor{"U", {out, p}}, Factor{"S", {p, q}},
                                                 Factor{"V", {q, in}}}}}});
  };
  EXPECT_THAT(error_of([&] { Bench bench("0.1", turned); }),
              HasSubstr("site first: factor V is [3, 9], expected [9, 3]"));
}

TEST(LowRankTraining, RefusesAToleranceOutsideZeroToOne) {
  for (const char* tau : {"1", "-0.1", "nan", "much"}) EXPECT_THROW(Bench{tau}, UsageError) << tau;
}

class DlrtRun : public Workplace {
 protected:
  RunResult train(const RunSettings& settings, const char* out = "run") const {
    return finetune(settings, folder / out, builtin_registry());
  }
  RunSettings wanted(const std::string& tau) const {
    RunSettings result = settings("dlrt", "6");
    result.options["tau"] = tau;
    result.values["epochs"] = "8";
    result.values["lr"] = "3e-3";
    return result;
  }
};

TEST_F(DlrtRun, LearnsAndStoresTheRanksThatItKept) {
  RunSettings longer = wanted("0.3");
  longer.values["epochs"] = "16";
  longer.values["lr"] = "5e-3";
  const RunResult result = train(longer);
  ASSERT_EQ(result.status, "done") << result.error;
  EXPECT_LT(result.epochs.back().loss, 0.8 * result.epochs.front().loss);
  ASSERT_EQ(result.ranks.size(), 4U);
  std::size_t numbers = 0;
  const SafetensorsFile file(folder / "run/adapter/adapter_model.safetensors");
  for (const auto& [site, rank] : result.ranks) {
    EXPECT_LE(rank, 6U);
    numbers += rank * (64 + rank);
    EXPECT_EQ(file.at("S." + site).shape, (std::vector<std::size_t>{rank, rank}));
    EXPECT_EQ(file.at("U." + site).shape, (std::vector<std::size_t>{32, rank}));
  }
  EXPECT_LT(numbers, 4U * 6 * 70) << "no rank fell";
  EXPECT_EQ(result.parameters.adapter, numbers);
  EXPECT_EQ(result.parameters.trainable, numbers + 66);
  EXPECT_EQ(result.parameters.largest_adapter, 4U * 6 * 70);
  const RunResult read = read_run(folder / "run/run.json");
  EXPECT_EQ(read.ranks, result.ranks);
  EXPECT_EQ(read.parameters.largest_adapter, result.parameters.largest_adapter);
  EXPECT_EQ(read.settings, result.settings);

  const auto lone =
      load_lone_adapter(folder / "run/adapter", {}, builtin_registry(), make_cpu_device());
  EXPECT_EQ(lone.adapter->parameter_count(), numbers);
}

TEST_F(DlrtRun, ScoresTheSameAfterLoadingAndMerging) {
  const RunResult result = train(wanted("0.1"));
  EvaluationRequest request;
  request.model = folder / "model";
  request.adapter = folder / "run/adapter";
  request.data = folder / "data";
  request.threads = 1;
  EXPECT_EQ(evaluate(request, builtin_registry()).scores, result.scores);
  merge(folder / "model", folder / "run/adapter", folder / "merged", builtin_registry());
  request.model = folder / "merged";
  request.adapter.clear();
  request.task = "cola";
  request.max_length = 16;
  EXPECT_EQ(evaluate(request, builtin_registry()).scores, result.scores);
}

TEST_F(DlrtRun, GivesTheSameBitsForTheSameSettings) {
  const RunResult first = train(wanted("0.2"), "first"), again = train(wanted("0.2"), "again");
  EXPECT_EQ(first.ranks, again.ranks);
  EXPECT_EQ(first.epochs.back().loss, again.epochs.back().loss);
  EXPECT_EQ(read_text(folder / "first/adapter/adapter_model.safetensors"),
            read_text(folder / "again/adapter/adapter_model.safetensors"));
}

TEST_F(DlrtRun, TakesThePublishedStepsWithSgd) {
  RunSettings sgd = wanted("0.5");
  sgd.values["optimizer"] = "sgd";
  sgd.values["lr"] = "0.3";
  const RunResult result = train(sgd);
  ASSERT_EQ(result.status, "done") << result.error;
  EXPECT_LT(result.epochs.back().loss, result.epochs.front().loss);
}

TEST_F(DlrtRun, LogsTheMeanRank) {
  const RunResult result = train(wanted("0.3"));
  double mean = 0;
  for (const auto& [site, rank] : result.ranks) mean += static_cast<double>(rank) / 4;
  std::vector<double> logged;
  for (const auto& entry : fs::directory_iterator(folder / "run")) {
    if (!entry.path().filename().string().starts_with("events.")) continue;
    for (const ScalarEvent& event : read_scalars(entry.path()).events)
      if (event.tag == "train/rank") logged.push_back(event.value);
  }
  ASSERT_EQ(logged.size(), 8U);
  EXPECT_NEAR(logged.back(), mean, 1e-6);
}

TEST_F(DlrtRun, EndsAsDivergedWhereTheUpdateOverflows) {
  RunSettings fast = wanted("0.1");
  fast.values["lr"] = "1e30";
  fast.values["schedule"] = "constant";
  EXPECT_EQ(train(fast).status, "diverged");
}

}  // namespace
}  // namespace rankfold
