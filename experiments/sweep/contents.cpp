#include "experiments/sweep/contents.h"

#include "core/base/error.h"

namespace rankfold {

const RunFingerprints& Contents::of(const RunSettings& run) {
  RunSettings asked;
  for (const auto& [name, value] : content_settings(run).values)
    if (!value.empty())
      asked.values[name] = find_setting(name)->kind == SettingKind::folder
                               ? real_folder(value, &known_folders_)
                               : value;
  const auto [known, is_new] = known_.try_emplace(settings_text(asked));
  if (!is_new) return known->second;
  try {
    known->second = store_.of(asked);
  } catch (const Error&) {
  }
  return known->second;
}

}  // namespace rankfold
