#include "experiments/adapter_files/compress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "adapter_files/refused_on_page.h"
#include "core/base/error.h"
#include "experiments/adapter_files/can_be_fitted.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "training/random_adapter.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Updates = std::map<std::string, std::vector<float>>;

Updates updates_of(const Adapter<float>& adapter) {
  Updates updates;
  for (std::size_t i = 0; i < adapter.stack().sites.size(); ++i) {
    const Site& site = adapter.stack().sites[i];
    std::vector<float>& update = updates[site.name];
    update.resize(site.out * site.in);
    adapter.reconstruct(i, {update.data(), site.out, site.in});
  }
  return updates;
}

/// |a - b| / |a|; sites that b lacks are zero there.
double difference_of(const Updates& a, const Updates& b) {
  double residual = 0, whole = 0;
  for (const auto& [name, update] : a) {
    const auto other = b.find(name);
    for (std::size_t i = 0; i < update.size(); ++i) {
      const double left = update[i];
      const double difference = left - (other == b.end() ? 0.0 : other->second[i]);
      residual += difference * difference;
      whole += left * left;
    }
  }
  return std::sqrt(residual / whole);
}

class Compress : public Workplace {
 protected:
  LoneAdapter make(const std::string& method, const std::string& rank) const {
    AdaptedModel adapted = random_adapter(folder / "model", method, rank, registry);
    std::filesystem::create_directories(folder / "adapter");
    save_adapter(folder / "adapter", adapted.description, *adapted.adapter, *adapted.host);
    return load_lone_adapter(folder / "adapter", folder / "model", registry, device);
  }
  CompressReport compress(LoneAdapter& lone, const CompressGoal& goal) const {
    return rankfold::compress(lone, goal, registry, device);
  }
  /// Calls action(method, its adapter) for every method that takes the model, at rank 4.
  template <class Action>
  void for_each_method(const Action& action) const {
    for (const Method& method : registry.methods()) {
      SCOPED_TRACE(method.name);
      LoneAdapter lone;
      try {
        lone = make(method.name, "4");
      } catch (const UsageError&) {
        continue;
      }
      action(method, lone);
    }
  }
  /// A lora of this rank on two sites whose updates have these singular values.
  LoneAdapter make_diagonal(const std::vector<std::vector<float>>& values,
                            const std::vector<std::size_t>& outs) const {
    LoneAdapter lone;
    lone.description.method = "lora";
    lone.description.rank = std::to_string(values.front().size());
    for (std::size_t i = 0; i < outs.size(); ++i)
      lone.description.stack.push_back({fmt::format("site{}", i), MatrixType::q, i, outs[i], 8, 1});
    const SiteCatalogue catalogue = list_sites(lone.description, lone.description.stack);
    lone.adapter = make_described_adapter<float>(lone.description, catalogue, registry, device);
    const double scale =
        lone.description.settings.alpha / static_cast<double>(values.front().size());
    for (std::size_t i = 0; i < outs.size(); ++i) {
      auto& a = lone.adapter->parameter(fmt::format("A.site{}", i));
      auto& b = lone.adapter->parameter(fmt::format("B.site{}", i));
      for (std::size_t r = 0; r < values[i].size(); ++r) {
        a.value.data()[r * 8 + r] = values[i][r];
        b.value.data()[r * values[i].size() + r] = static_cast<float>(1 / scale);
      }
    }
    return lone;
  }

  Registry registry = builtin_registry();
  std::shared_ptr<const Device> device = make_cpu_device();
};

std::vector<std::string> ranks_of(const CompressReport& report) {
  std::vector<std::string> ranks;
  for (const auto& site : report.sites) ranks.push_back(site.rank_after);
  return ranks;
}

TEST_F(Compress, KeepsWhatTheEnergyAsksOfEveryMethodThatCanBeFitted) {
  std::size_t fitted = 0;
  std::set<std::string> refused;
  for_each_method([&](const Method& method, LoneAdapter& lone) {
    const bool is_update = lone.adapter->is_weight_update();
    const Updates before = is_update ? updates_of(*lone.adapter) : Updates{};
    const std::size_t size = lone.adapter->parameter_count();
    CompressReport report;
    try {
      report = compress(lone, {.budget = {}, .energy = 0.7});
    } catch (const Error& refusal) {
      EXPECT_TRUE(!method.has_rank || !is_update || lone.adapter->needs_frozen() ||
                  std::ranges::any_of(lone.adapter->parameters(),
                                      [](const auto& p) { return !p.trainable; }))
          << refusal.what();
      EXPECT_EQ(refusal.exit_status(), 1) << "the command line named no method";
      refused.insert(method.name);
      return;
    }
    ++fitted;
    const double error = difference_of(before, updates_of(*lone.adapter));
    EXPECT_GE(1 - error * error, 0.7 - 1e-6);
    EXPECT_NEAR(report.relative_error, error, 1e-5);
    EXPECT_LE(report.parameters_after, size);
    EXPECT_EQ(report.parameters_after, lone.adapter->parameter_count());
    EXPECT_EQ(report.parameters_before, size);
  });
  EXPECT_GE(fitted, 12U);
  EXPECT_EQ(refused, refused_on_page("compress"));
}

TEST_F(Compress, StaysWithinTheBudgetWithEveryMethod) {
  std::size_t fitted = 0;
  for_each_method([&](const Method&, LoneAdapter& lone) {
    const std::size_t budget = lone.adapter->parameter_count() * 2 / 3;
    const Updates before = lone.adapter->is_weight_update() ? updates_of(*lone.adapter) : Updates{};
    try {
      const CompressReport report = compress(lone, {.budget = budget, .energy = {}});
      EXPECT_LE(lone.adapter->parameter_count(), budget);
      EXPECT_FALSE(report.unchanged);
      EXPECT_NEAR(report.relative_error, difference_of(before, updates_of(*lone.adapter)), 1e-5);
      ++fitted;
    } catch (const Error& refusal) {
      EXPECT_THAT(refusal.what(), testing::Not(HasSubstr("\n")));
    }
  });
  EXPECT_GE(fitted, 12U);
}

TEST_F(Compress, GivesTheLargestSingularValuesOfAllSitesTheBudget) {
  LoneAdapter lone = make_diagonal({{9, 1, 0.5F}, {6, 5, 0.1F}}, {8, 8});
  const Updates before = updates_of(*lone.adapter);
  const CompressReport report = compress(lone, {.budget = 3 * 16 + 15, .energy = {}});
  EXPECT_THAT(ranks_of(report), ElementsAre("1", "2"));
  EXPECT_EQ(report.parameters_after, 48U);
  const double kept = 81 + 36 + 25, all = kept + 1 + 0.25 + 0.01;
  EXPECT_NEAR(report.energy, kept / all, 1e-6);
  EXPECT_NEAR(report.sites[1].relative_error, 0.1 / std::sqrt(61.01), 1e-6);
  EXPECT_NEAR(difference_of(before, updates_of(*lone.adapter)), std::sqrt(1 - kept / all), 1e-6);
}

TEST_F(Compress, GivesTheSameOnSeveralThreads) {
  const auto compressed = [&](int threads) {
    set_threads(threads);
    LoneAdapter lone = make_diagonal(std::vector<std::vector<float>>(64, {9, 5, 1}),
                                     std::vector<std::size_t>(64, 200));
    compress(lone, {.budget = {}, .energy = 0.9});
    return updates_of(*lone.adapter);
  };
  const Updates expected = compressed(1);
  EXPECT_LE(difference_of(expected, compressed(4)), 1e-6);
  set_threads(1);
}

TEST_F(Compress, GivesARankThatDoesNotFitToACheaperSite) {
  LoneAdapter lone = make_diagonal({{9, 8}, {2, 1}}, {20, 4});
  const CompressReport report = compress(lone, {.budget = 28 + 12, .energy = {}});
  EXPECT_THAT(ranks_of(report), ElementsAre("1", "1"));
  EXPECT_EQ(report.parameters_after, 40U);
}

TEST_F(Compress, LeavesOutASiteWhoseValuesAreNotNeeded) {
  LoneAdapter lone = make_diagonal({{9, 8}, {0.1F, 0.1F}}, {8, 8});
  const CompressReport report = compress(lone, {.budget = {}, .energy = 0.999});
  EXPECT_THAT(ranks_of(report), ElementsAre("2", "0"));
  EXPECT_EQ(report.sites[1].relative_error, 1);
  EXPECT_EQ(report.parameters_after, 32U);
  EXPECT_EQ(lone.adapter->stack().sites.size(), 1U);
}

TEST_F(Compress, KeepsAllToRoundingWhereTheEnergyIsOne) {
  LoneAdapter lone = make_diagonal({{9, 1, 0, 0}, {6, 5, 2, 0}}, {8, 12});
  const Updates before = updates_of(*lone.adapter);
  const CompressReport report = compress(lone, {.budget = {}, .energy = 1.0});
  EXPECT_THAT(ranks_of(report), ElementsAre("2", "3"));
  EXPECT_LE(difference_of(before, updates_of(*lone.adapter)), 2e-6);
  EXPECT_FALSE(report.unchanged);
}

TEST_F(Compress, KeepsAnAdapterThatHasNoUpdateYet) {
  LoneAdapter lone = make_diagonal({{0, 0}, {0, 0}}, {8, 8});
  const CompressReport report = compress(lone, {.budget = {}, .energy = 0.5});
  EXPECT_EQ(report.parameters_after, 16U);
  EXPECT_EQ(report.relative_error, 0);
}

TEST_F(Compress, LeavesAnAdapterThatIsSmallEnoughAsItIs) {
  LoneAdapter lone = make("lotr", "3");
  const Updates before = updates_of(*lone.adapter);
  const std::size_t size = lone.adapter->parameter_count();
  EXPECT_TRUE(compress(lone, {.budget = size, .energy = {}}).unchanged);
  EXPECT_EQ(before, updates_of(*lone.adapter));
}

TEST_F(Compress, WritesAFolderThatGivesTheSameUpdatesAndHead) {
  for (const auto& [method, energy] : std::map<std::string, double>{{"lora", 0.6}, {"lotr", 0.6}}) {
    LoneAdapter lone = make(method, "4");
    const CompressReport report = compress(lone, {.budget = {}, .energy = energy});
    EXPECT_LT(report.parameters_after, report.parameters_before);
    const std::filesystem::path out = folder / ("small-" + method);
    std::filesystem::create_directories(out);
    save_adapter(out, lone);
    const AdaptedModel loaded = load_adapted_model(folder / "model", out, registry, device);
    EXPECT_EQ(updates_of(*loaded.adapter), updates_of(*lone.adapter)) << method;
    const AdaptedModel original =
        load_adapted_model(folder / "model", folder / "adapter", registry, device);
    for (std::size_t i = 0; i < original.host->trained().size(); ++i)
      EXPECT_TRUE(
          std::ranges::equal(original.host->trained()[i].value, loaded.host->trained()[i].value));
  }
}

TEST_F(Compress, IsEvaluatedLikeAnyAdapterWithATensorTrainHeadToo) {
  for (const std::string method : {"lora", "lotr"}) {
    RunSettings wanted = settings(method, "4");
    wanted.values["train"] = "tt-head";
    finetune(wanted, folder / method, registry);
    LoneAdapter lone =
        load_lone_adapter(folder / method / "adapter", folder / "model", registry, device);
    EXPECT_EQ(
        compress(lone, {.budget = lone.adapter->parameter_count() / 2, .energy = {}}).rank_before,
        "4");
    std::filesystem::create_directories(folder / "out" / method);
    save_adapter(folder / "out" / method, lone);
    EvaluationRequest request;
    request.model = folder / "model";
    request.adapter = folder / "out" / method;
    request.data = folder / "data";
    request.threads = 1;
    EXPECT_EQ(evaluate(request, registry).examples, 17U);
  }
}

TEST_F(Compress, MakesOurAdapterOfOneThatPeftTrained) {
  std::size_t fitted = 0;
  for (const auto& entry : std::filesystem::directory_iterator(RANKFOLD_GOLDEN_DIR "/peft-bert")) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().filename());
    LoneAdapter lone = load_lone_adapter(entry.path(), folder / "model", registry, device);
    const std::size_t size = lone.adapter->parameter_count();
    const Updates before = lone.adapter->is_weight_update() ? updates_of(*lone.adapter) : Updates{};
    CompressReport report;
    try {
      report = compress(lone, {.budget = size - 1, .energy = {}});
    } catch (const Error& refusal) {
      EXPECT_THAT(refusal.what(),
                  AnyOf(HasSubstr("the smallest setting"), HasSubstr("cannot be fitted"),
                        HasSubstr("normalises its weight"), HasSubstr("has no rank")));
      continue;
    }
    ++fitted;
    EXPECT_LT(report.parameters_after, size);
    EXPECT_NEAR(report.relative_error, difference_of(before, updates_of(*lone.adapter)), 1e-5);
    std::filesystem::remove_all(folder / "small");
    std::filesystem::create_directories(folder / "small");
    save_adapter(folder / "small", lone);
    const AdaptedModel loaded =
        load_adapted_model(folder / "model", folder / "small", registry, device);
    EXPECT_EQ(updates_of(*loaded.adapter), updates_of(*lone.adapter));
  }
  EXPECT_GE(fitted, 5U);
}

TEST_F(Compress, LowersEveryRankOfAMethodThatHasOneAMode) {
  std::size_t fitted = 0;
  for (const Method& method : registry.methods()) {
    if (!method.rank_modes) continue;
    SCOPED_TRACE(method.name);
    MethodSettings defaults;
    for (const MethodOption& option : method.options)
      defaults.options[option.name] = option.fallback;
    const std::size_t modes = method.rank_modes(defaults).size();
    std::string rank = "4";
    for (std::size_t i = 1; i < modes; ++i) rank += i == 1 ? "x3" : "x2";
    LoneAdapter lone = make(method.name, rank);
    const Updates before = updates_of(*lone.adapter);
    const std::size_t size = lone.adapter->parameter_count();
    const CompressReport report = compress(lone, {.budget = size / 2, .energy = {}});
    EXPECT_EQ(report.rank_before, rank);
    EXPECT_LE(report.parameters_after, size / 2);
    EXPECT_NEAR(report.relative_error, difference_of(before, updates_of(*lone.adapter)), 1e-5);
    ++fitted;
  }
  EXPECT_GE(fitted, 2U);
}

TEST_F(Compress, TakesTheLargestRankThatCanBeFittedWhereCountsFall) {
  LoneAdapter lone = make("randlora", "2");
  const auto size_at = [&](const char* rank) {
    return make("randlora", rank).adapter->parameter_count();
  };
  // Of side 16, rank 5 has four bases: modes of 5 and 4 do not nest.
  const std::size_t of_five = size_at("5"), of_six = size_at("6"), of_eight = size_at("8");
  ASSERT_GT(of_five, of_six);
  ASSERT_GT(of_six, of_eight);
  EXPECT_EQ(compress(lone, {.budget = of_five, .energy = {}}).rank_after, "6");
  EXPECT_EQ(lone.adapter->parameter_count(), of_six);
  EXPECT_EQ(compress(lone, {.budget = of_six - 1, .energy = {}}).rank_after, "8");
  const CompressReport report = compress(lone, {.budget = {}, .energy = 1e-3});
  EXPECT_LT(report.parameters_after, of_eight);
  lone = make("randlora", "6");
  EXPECT_LT(compress(lone, {.budget = {}, .energy = 1e-3}).parameters_after, of_six);
  lone = make("randlora", "5");
  EXPECT_THAT(error_of([&] { compress(lone, {.budget = of_five - 1, .energy = {}}); }),
              HasSubstr("do not nest"));
}

TEST_F(Compress, SaysWhyAMethodCannotBeFittedAgain) {
  const auto refusal = [&](const std::string& method) {
    LoneAdapter lone = make(method, "2");
    const std::string of_folder =
        error_of([&] { check_compresses(folder / "adapter", registry, device); });
    EXPECT_EQ(of_folder, error_of([&] { compress(lone, {.budget = {}, .energy = 0.9}); }));
    return of_folder;
  };
  EXPECT_THAT(refusal("dora"), HasSubstr("normalises its weight"));
  EXPECT_THAT(refusal("loretta_adp"), HasSubstr("adds to the activations"));
  EXPECT_THAT(refusal("hira"), HasSubstr("follow from the model's weights"));
  EXPECT_THAT(refusal("full"), HasSubstr("has no rank"));
}

TEST_F(Compress, NamesAGoalThatCannotBe) {
  LoneAdapter lone = make("lora", "2");
  const auto refusal = [&](const CompressGoal& goal) {
    return error_of([&] { compress(lone, goal); });
  };
  EXPECT_THAT(refusal({}), HasSubstr("expected one of the two"));
  EXPECT_THAT(refusal({.budget = 5, .energy = 0.5}), HasSubstr("expected one of the two"));
  EXPECT_THAT(refusal({.budget = {}, .energy = 1.5}), HasSubstr("--energy is 1.5"));
  EXPECT_THAT(refusal({.budget = {}, .energy = 0.0}), HasSubstr("--energy is 0"));
  EXPECT_THAT(refusal({.budget = {}, .energy = std::nan("")}), HasSubstr("--energy is nan"));
  EXPECT_THAT(refusal({.budget = 63, .energy = {}}), HasSubstr("has 64 parameters"));
  LoneAdapter other = make("lotr", "2");
  EXPECT_THAT(error_of([&] { compress(other, {.budget = 3, .energy = {}}); }),
              HasSubstr("the smallest setting, rank 1, has"));
}

}  // namespace
}  // namespace rankfold
