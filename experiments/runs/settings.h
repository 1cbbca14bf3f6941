#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/adapter/registry.h"
#include "core/base/canonical_number.h"

namespace rankfold {

/// What the text of a setting must look like, and which of two texts mean the same.
enum class SettingKind {
  text,    ///< any
  folder,  ///< a path; canonical: absolute, its last name as given even where it is a link
  count,   ///< a whole number, 0 or more; "007" is "7"
  number,  ///< a finite number; see canonical_number
  list,    ///< comma-separated words; blanks around them do not matter
  rank,    ///< "8"; the form one a mode, "8x8x4", is read, though no method takes it yet
  choice   ///< one of `choices`
};

/// One setting of a run: the same name on the command line, in a sweep file and in run.json.
struct SettingSpec {
  std::string name;      ///< "lr", "max-train"
  std::string value;     ///< placeholder in --help: "X", "N", "DIR"
  std::string fallback;  ///< default as text; "" where it is required or absent
  std::string meaning;
  bool list = false;  ///< the value is itself a list: in sweep files ';' separates grid values
  SettingKind kind = SettingKind::text;
  std::vector<std::string> choices;
  bool required = false;
  std::string alone = {};   ///< what the option means without a value; "": it needs one
  bool incidental = false;  ///< where and how, not what: no part of a run's identity or path
};

/// Every setting of a training run, in the order of --help: model, data, task, method, rank, alpha,
/// preset, targets, layers, train, lr, epochs, batch, max-length, max-train, optimizer,
/// weight-decay, beta1, beta2, epsilon, schedule, warmup, clip, dropout, precision, score-on, seed,
/// threads, cache-features, cache-dir, cache-limit. The method's own keys (`--set`) are not among
/// them.
const std::vector<SettingSpec>& run_settings();

/// "cola, sst2, ...": every task, for --help.
std::string task_names();

/// Settings as text by name; the method's own keys (`--set`) apart. Missing names mean the default.
struct RunSettings {
  std::map<std::string, std::string> values;
  std::map<std::string, std::string> options;  ///< of the method

  const std::string& text(const std::string& name) const;  ///< value or default
  double number(const std::string& name) const;            ///< UsageError naming --name
  std::size_t count(const std::string& name) const;
  bool operator==(const RunSettings&) const = default;
};

/// Throws UsageError for an unknown name (with the nearest one), a value of the wrong form or out
/// of range, or a required setting that is missing. The method's options are checked by
/// resolve_settings.
void check_settings(const RunSettings& settings);

/// The same for one setting alone.
void check_setting(const std::string& name, const std::string& value);

/// The names of folders that were looked up before. Who asks for many runs keeps one and hands it
/// on, so that the file system is asked once a folder.
struct KnownFolders {
  std::map<std::string, std::string> absolute;  ///< by the text that was given
  std::map<std::string, std::string> real;      ///< links followed, by the absolute name
};

/// Sorted, complete, one form per value ("5e-04" becomes "5e-4"): what run.json keeps. With its
/// `method`, what the method decides is filled in too: targets, alpha and options, those of the
/// preset before its defaults. Settings without a value ("" by default) are left out.
/// Calls check_settings.
RunSettings canonical(const RunSettings& settings, const Method* method = nullptr,
                      KnownFolders* known = nullptr);

/// Whether there is a setting of that name and it is no part of a run's identity.
bool is_incidental(const std::string& name);

/// What tells runs apart: canonical, with the links in `model` and `data` followed and without what
/// is incidental. A setting that is missing (the run.json of an older version) has its default.
/// Settings that this program would refuse (of a newer version, of a plug-in's method) come back as
/// they are, and equal nothing else.
RunSettings identity(const RunSettings& settings, const Registry& registry,
                     KnownFolders* known = nullptr);
/// The same of settings that canonical has made.
RunSettings identity_of_canonical(RunSettings settings, KnownFolders* known = nullptr);

/// What make_adapter's settings come from: rank, alpha, preset and options of a run.
MethodRequest method_request(const RunSettings& settings);

/// --targets, or what the method does without it: "q,v" where it has no default of its own.
std::string chosen_targets(const RunSettings& settings, const Method& method);

}  // namespace rankfold
