// The table of refused methods in docs/commands.md: that it says what happens.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapter_files/refused_on_page.h"
#include "core/base/error.h"
#include "experiments/adapter_files/diagnosis.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/adapter_files/peft_folder.h"
#include "training/random_adapter.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

class RefusedMethods : public Workplace {};

TEST_F(RefusedMethods, AreThoseOfThePageAndEndWithOne) {
  const Registry registry = builtin_registry();
  const std::filesystem::path model = folder / "model";
  std::map<std::string, std::set<std::string>> refused;
  for (const Method& method : registry.methods()) {
    AdaptedModel adapted = random_adapter(model, method.name, "4", registry);
    const std::filesystem::path saved = folder / method.name;
    std::filesystem::create_directories(saved);
    save_adapter(saved, adapted.description, *adapted.adapter, *adapted.host);
    const LoneAdapter lone = load_lone_adapter(saved, model, registry, make_cpu_device());
    const auto collect = [&](const std::string& command, const auto& action) {
      try {
        action();
      } catch (const Error& refusal) {
        refused[command].insert(method.name);
        EXPECT_EQ(refusal.exit_status(), 1) << refusal.what();
      }
    };
    collect("merge", [&] { merge(model, saved, folder / "merged" / method.name, registry); });
    collect("diagnose", [&] { diagnose(lone); });
    collect("export --as lora",
            [&] { export_as_lora(lone, registry, folder / "lora" / method.name); });
  }
  for (const auto& [command, methods] : refused)
    EXPECT_EQ(methods, refused_on_page(command)) << command;
  EXPECT_EQ(refused.size(), 3U);
}

}  // namespace
}  // namespace rankfold
