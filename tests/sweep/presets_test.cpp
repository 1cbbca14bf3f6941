#include "experiments/sweep/presets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "experiments/models/shapes.h"
#include "sweep/sweep_fixture.h"

namespace rankfold {
namespace {

TEST(SweepPresets, AreGridsThatLackFilesAloneAndNameAShape) {
  const Registry registry = builtin_registry();
  ASSERT_GE(sweep_presets().size(), 8u);
  for (const SweepPreset& preset : sweep_presets()) {
    SCOPED_TRACE(preset.name);
    std::vector<SweepEntry> entries =
        read_sweep_text(std::string(preset.text), std::string(preset.name));
    for (const char* name : {"data", "out"}) {
      for (const SweepEntry& entry : entries) EXPECT_NE(entry.key, name);
      entries.push_back({name, name, "test"});
    }
    if (std::ranges::find(entries, "task", &SweepEntry::key) == entries.end())
      entries.push_back({"task", "own.tsv", "test"});
    const Expansion expansion = expand(parse_sweep(entries, registry), registry, {});
    EXPECT_GE(expansion.runs.size(), 2u);
    for (const PlannedRun& run : expansion.runs) {
      check_settings(run.settings);
      find_shape(run.settings.text("model"));
      const Method& method = registry.at(run.settings.text("method"));
      canonical(run.settings, &method);
    }
  }
}

TEST(SweepPresets, HaveTheRatesAndEpochsOfTheirTasks) {
  std::map<std::string, std::set<std::string>> found;
  for (const SweepPreset& preset : sweep_presets()) {
    if (preset.name != "lorta-glue") continue;
    std::vector<SweepEntry> entries = read_sweep_text(std::string(preset.text), "lorta-glue");
    for (const char* name : {"data"}) entries.push_back({name, name, "test"});
    const Registry registry = builtin_registry();
    for (const PlannedRun& run : expand(parse_sweep(entries, registry), registry, {}).runs)
      found[run.settings.text("task")].insert(run.settings.text("lr") + " " +
                                              run.settings.text("epochs"));
  }
  EXPECT_EQ(found.at("stsb"), std::set<std::string>{"5e-2 80"});
  EXPECT_EQ(found.at("sst2"), std::set<std::string>{"4e-3 60"});
}

}  // namespace
}  // namespace rankfold
