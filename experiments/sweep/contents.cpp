#include "experiments/sweep/contents.h"

#include "core/base/error.h"

namespace rankfold {

const RunFingerprints& Contents::of(const RunSettings& run) {
  RunSettings asked;
  for (const SettingSpec& spec : run_settings()) {
    if (!spec.has_role({SettingRole::content})) continue;
    const std::string& value = run.text(spec.name);
    if (value.empty()) continue;
    asked.values[spec.name] =
        spec.kind == SettingKind::folder ? real_folder(value, &known_folders_) : value;
  }
  const auto [known, is_new] = known_.try_emplace(settings_text(asked));
  if (!is_new) return known->second;
  try {
    known->second = store_.of(asked);
  } catch (const Error&) {
  }
  return known->second;
}

}  // namespace rankfold
