#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

struct Method;

/// What the text of a setting must look like, and which of two texts mean the same.
enum class SettingKind {
  text,    ///< any
  folder,  ///< a path; canonical: absolute, its last name as given even where it is a link
  count,   ///< a whole number, 0 or more; "007" is "7"
  number,  ///< a finite number; see canonical_number
  list,    ///< comma-separated words; blanks around them do not matter
  rank,    ///< "8", or one a mode: "8x8x4"
  phrase,  ///< a text that is taken as it stands: in sweep files no sign in it separates values
  choice   ///< one of `choices`
};

/// What depends on a setting, beside the run itself.
enum class SettingRole {
  content,      ///< which model and which rows are read
  data_cost,    ///< the time of a step, whatever the method
  method_cost,  ///< the time that a method adds to it
  check,        ///< whether model, method and settings go together
  counting,     ///< a count of parameters
  fitting       ///< a fit to given updates
};

/// Where a setting stands in a run's folder.
enum class SettingPlace {
  varied,  ///< as name=value where it differs from its default or between runs of the method
  folder,  ///< a folder of the value's name, above all others
  first,   ///< as name=value, before those that vary
  last     ///< as name=value behind all others; in a grid it varies fastest
};

/// What a number may be.
struct SettingLimit {
  bool (*holds)(double value);
  const char* expected;
};

/// That another setting has one of these values, or (`not_these`) none of them.
struct SettingUse {
  std::string setting;
  std::vector<std::string> values;
  bool not_these = false;
};

/// One setting of a run: the same name on the command line, in a sweep file and in run.json. All
/// that the program knows of a setting stands here; what tells two runs apart follows from it.
struct SettingSpec {
  std::string name;           ///< "lr", "max-train"
  std::string value;          ///< placeholder in --help: "X", "N", "DIR"
  std::string fallback = {};  ///< default as text; "" where it is required or absent
  std::string meaning = {};
  SettingKind kind = SettingKind::text;
  std::vector<std::string> choices = {};  ///< of a choice; of a list the words that it may hold
  bool required = false;
  bool found_elsewhere = false;  ///< required of a run, but another setting may tell it
  bool ordered = false;          ///< of a list: the order of its words counts
  std::string alone = {};        ///< what the option means without a value; "": it needs one
  bool incidental = false;       ///< where and how, not what: no part of a run's identity or path
  std::optional<SettingLimit> limit = {};  ///< of a number or count
  SettingPlace place = SettingPlace::varied;
  std::vector<SettingRole> roles = {};
  std::string other_name = {};  ///< that users may write for `name`; kept nowhere
  std::string in_sweeps = {};   ///< the default of a sweep's training runs; "": `fallback`
  bool of_tables = false;       ///< matters to a table of one's own alone
  /// What it takes for it to be read, one of these; else another value than the default is refused.
  /// Empty: nothing.
  std::vector<SettingUse> used_with = {};
  /// Whether it can matter to a method; null: to all.
  bool (*matters_to)(const Method& method) = nullptr;

  /// Whether the value is itself a list: in sweep files ';' separates grid values, and unless it is
  /// ordered the order of its words does not matter.
  bool is_list() const { return kind == SettingKind::list; }
  bool is_number() const { return kind == SettingKind::number || kind == SettingKind::count; }
  bool has_role(std::initializer_list<SettingRole> some) const;
};

/// Every setting of a training run, in the order of --help: model, data, task, text, label, dev,
/// metric, scoring, prompt, method, rank, alpha, preset, targets, layers, train, lr, epochs, batch,
/// max-length, max-train, optimizer, weight-decay, beta1, beta2, epsilon, schedule, warmup, clip,
/// those of trainer_settings, dropout, precision, score-on, seed, threads, cache-features,
/// cache-dir, cache-limit. The method's own keys (`--set`) are not among them.
const std::vector<SettingSpec>& run_settings();

/// The same in the order of their names.
const std::vector<const SettingSpec*>& sorted_settings();

/// The setting of that name, or null.
const SettingSpec* find_setting(std::string_view name);

/// The setting that users call so, by its name or its other one; or null.
const SettingSpec* find_setting_called(std::string_view name);

/// Whether there is a setting of that name and it is no part of a run's identity.
bool is_incidental(std::string_view name);

/// "cola, sst2, ..., or a table FILE.tsv, .csv or .jsonl": every task, for --help.
std::string task_names();

}  // namespace rankfold
