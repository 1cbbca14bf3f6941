#include <gtest/gtest.h>

#include <algorithm>

#include "experiments/runs/setting_rules.h"
#include "experiments/runs/settings.h"

namespace rankfold {
namespace {

TEST(KnownSettings, AreThoseOfTraining) {
  const std::vector<SettingSpec>& specs = run_settings();
  for (const SettingSpec& spec : specs) {
    const auto known = std::ranges::find(known_settings(), spec.name, &KnownSetting::name);
    ASSERT_NE(known, known_settings().end()) << spec.name;
    EXPECT_EQ(known->fallback, spec.fallback) << spec.name;
    EXPECT_EQ(known->incidental, spec.incidental) << spec.name;
    EXPECT_EQ(is_incidental_setting(spec.name), is_incidental(spec.name)) << spec.name;
    const bool is_number = spec.kind == SettingKind::number || spec.kind == SettingKind::count;
    EXPECT_EQ(known->number, is_number) << spec.name;
  }
  EXPECT_EQ(known_settings().size(), specs.size());
}

}  // namespace
}  // namespace rankfold
