#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/base/canonical_number.h"
#include "experiments/runs/setting_spec.h"

namespace rankfold {

/// The names of folders that were looked up before. Who asks for many runs keeps one and hands it
/// on, so that the file system is asked once a folder.
struct KnownFolders {
  std::map<std::string, std::string> absolute;  ///< by the text that was given
  std::map<std::string, std::string> real;      ///< links followed, by the absolute name
};

/// A value in the one form of all texts that mean the same ("5e-04" becomes "5e-4"). Throws
/// UsageError naming the setting for a text that is none of its kind.
std::string canonical_value(const SettingSpec& spec, const std::string& text,
                            KnownFolders* known = nullptr);

/// A number, or a whole one, of the setting `name`; throws UsageError naming it.
double setting_number(const std::string& name, const std::string& text);
std::uint64_t setting_count(const std::string& name, const std::string& text);

/// Throws UsageError for a value that its setting cannot have: out of its limits, a word that a
/// list of known words lacks.
void check_limit(const SettingSpec& spec, const std::string& text);

/// With links followed; the text itself where that cannot be.
std::string real_folder(const std::string& text, KnownFolders* known = nullptr);

}  // namespace rankfold
