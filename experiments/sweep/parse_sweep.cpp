#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/sweep/sweep.h"

namespace rankfold {
namespace {

const SettingSpec* find_sweep_setting(const std::string& name) {
  const auto found = std::ranges::find(sweep_settings(), name, &SettingSpec::name);
  return found == sweep_settings().end() ? nullptr : &*found;
}

bool has_option(const Method& method, const std::string& name) {
  return std::ranges::find(method.options, name, &MethodOption::name) != method.options.end();
}

/// The parts between separators; one with a backslash before it is a part of the value.
std::vector<std::string> split_values(const std::string& text, char separator) {
  std::vector<std::string> values(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == separator)
      values.emplace_back();
    else if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == separator)
      values.back() += text[++i];
    else
      values.back() += text[i];
  }
  return values;
}

std::vector<std::string> split_grid(const SweepEntry& entry, const std::string& value, bool list) {
  std::vector<std::string> values;
  for (const std::string& part : split_values(value, list ? ';' : ',')) {
    values.emplace_back(trim(part));
    if (values.back().empty())
      throw UsageError("{}: {} has an empty value in '{}'", entry.where, entry.key,
                       printable(value, 80));
  }
  return values;
}

std::vector<std::string> values_of(const SweepEntry& entry, const SettingSpec& spec,
                                   const std::string& value) {
  if (spec.kind == SettingKind::phrase) return {value};
  return split_grid(entry, value, spec.is_list());
}

/// The paths of a grid. Throws where they are one path that has commas.
std::vector<std::string> split_paths(const SweepEntry& entry) {
  std::vector<std::string> paths = split_grid(entry, entry.value, false);
  const auto exists = [](const std::string& path) {
    std::error_code failure;
    return std::filesystem::exists(path, failure);
  };
  if (paths.size() > 1 && exists(entry.value) && !std::ranges::all_of(paths, exists))
    throw UsageError(
        "{}: {} is the name of one file or folder, and a comma separates values; "
        "expected \\, for each of its commas",
        entry.where, printable(entry.value, 300));
  return paths;
}

std::string single_value(const SweepEntry& entry) {
  if (entry.value.find(',') != std::string::npos)
    throw UsageError("{}: {} is '{}', expected one value", entry.where, entry.key,
                     printable(entry.value, 80));
  return entry.value;
}

void check_setting_of(const SweepEntry& entry, const std::string& name, const std::string& value) {
  try {
    check_setting(name, value);
  } catch (const UsageError& error) {
    if (std::string_view(error.what()).starts_with(entry.where + " ")) throw;
    throw UsageError("{}: {}", entry.where, error.what());
  }
}

/// What can be said of a value without a model: its word, number or shape.
void check_option(const SweepEntry& entry, const Method& method, const std::string& name,
                  const std::string& value) {
  const MethodOption& option = *std::ranges::find(method.options, name, &MethodOption::name);
  const std::string kind = fmt::format("value of {}.{}", method.name, name);
  if (!option.choices.empty() && std::ranges::find(option.choices, value) == option.choices.end())
    throw UsageError("{}: {}", entry.where, unknown_name(kind, value, option.choices).what());
  const bool is_number = option.choices.empty() && parse_number<double>(option.fallback);
  if (is_number && !parse_number<double>(value))
    throw UsageError("{}: {} is '{}', expected a number", entry.where, kind, printable(value, 80));
  if (!name.starts_with("shape")) return;
  for (const std::string& size : split(value, ','))
    if (parse_number<unsigned long>(trim(size)).value_or(0) == 0)
      throw UsageError("{}: {} is '{}', expected positive whole numbers such as 8,12,8,8",
                       entry.where, kind, printable(value, 80));
}

/// The pairs of `set`, each with the words behind it that are none.
std::vector<std::string> split_pairs(const std::string& text) {
  std::vector<std::string> pairs;
  for (const std::string& word : split(text, ' ')) {
    if (pairs.empty() || word.find('=') != std::string::npos)
      pairs.push_back(word);
    else
      pairs.back() += ' ' + word;
  }
  for (std::string& pair : pairs) pair = trim(pair);
  std::erase(pairs, "");
  return pairs;
}

/// Keys that only kind = fit has.
bool is_of_fits(const std::string& key) {
  static const std::vector<std::string> keys = {"input",  "minus",     "heads",
                                                "starts", "tolerance", "iterations"};
  return std::ranges::find(keys, key) != keys.end();
}

std::size_t positive(const SweepEntry& entry, const std::string& text, std::size_t most) {
  const auto value = parse_number<unsigned long>(text);
  if (!value || *value == 0 || *value > most)
    throw UsageError("{}: {} is '{}', expected a whole number from 1 to {}", entry.where, entry.key,
                     printable(text, 80), most);
  return *value;
}

class Parser {
 public:
  Parser(const Registry& registry, std::vector<std::string> tables)
      : registry_(registry), tables_(std::move(tables)) {}

  void add(const SweepEntry& entry) {
    if (entry.key == "set") {
      add_pairs(entry);
    } else if (entry.key.find('.') != std::string::npos) {
      add_scoped(entry, entry.key, entry.value);
    } else if (const SettingSpec* spec = find_setting_called(entry.key)) {
      std::vector<std::string>& values = sweep_.common[spec->name];
      values = spec->kind == SettingKind::folder ? split_paths(entry)
                                                 : values_of(entry, *spec, entry.value);
      for (const std::string& value : values) check_setting_of(entry, spec->name, value);
    } else if (find_sweep_setting(entry.key) != nullptr) {
      add_own(entry);
    } else {
      throw unknown_key(entry);
    }
  }

  Sweep take() { return std::move(sweep_); }
  /// The first key of a task; null where there is none.
  const SweepEntry* task_key() const { return task_key_; }

 private:
  void add_own(const SweepEntry& entry) {
    if (entry.key == "kind") {
      const std::string kind = single_value(entry);
      const std::vector<std::string>& kinds = find_sweep_setting("kind")->choices;
      if (std::ranges::find(kinds, kind) == kinds.end())
        throw UsageError("{}: {}", entry.where, unknown_name("kind", kind, kinds).what());
      sweep_.kind = kind == "count" ? SweepKind::count
                    : kind == "fit" ? SweepKind::fit
                                    : SweepKind::train;
    } else if (entry.key == "out") {
      sweep_.out = entry.value;
    } else if (entry.key == "jobs") {
      sweep_.jobs = positive(entry, single_value(entry), 1024);
    } else if (entry.key == "budget") {
      sweep_.budgets.clear();
      for (const std::string& value : split_grid(entry, entry.value, false))
        sweep_.budgets.push_back(positive(entry, value, std::size_t{1} << 62));
    } else if (is_of_fits(entry.key)) {
      add_of_fits(entry);
    } else {
      sweep_.common["labels"].clear();
      for (const std::string& value : split_grid(entry, entry.value, false))
        sweep_.common["labels"].push_back(std::to_string(positive(entry, value, 1'000'000)));
    }
  }

  void add_of_fits(const SweepEntry& entry) {
    if (entry.key == "input") {
      sweep_.inputs = split_paths(entry);
    } else if (entry.key == "minus") {
      sweep_.minus = entry.value;
    } else if (entry.key == "heads") {
      sweep_.heads = positive(entry, single_value(entry), 1'000'000);
    } else if (entry.key == "starts") {
      sweep_.fit.starts = positive(entry, single_value(entry), 1'000'000);
    } else if (entry.key == "iterations") {
      const std::string value = single_value(entry);
      sweep_.fit.iterations = value == "0" ? 0 : positive(entry, value, 1'000'000'000);
    } else {
      const auto value = parse_number<double>(single_value(entry));
      if (!value || !(*value >= 0) || std::isinf(*value))
        throw UsageError("{}: {} is '{}', expected a number, 0 or more", entry.where, entry.key,
                         printable(entry.value, 80));
      sweep_.fit.tolerance = *value;
    }
  }

  void add_scoped(const SweepEntry& entry, const std::string& text, const std::string& value) {
    const auto& [scope, name] = parse_scoped_key(entry.where, text, registry_, tables_);
    const std::vector<std::string> values = grid_of(entry, name, value);
    check_values(entry, scope.method, name, values);
    if (!scope.task.empty() && task_key_ == nullptr) task_key_ = &entry;
    sweep_.scoped[scope][name] = values;
  }

  /// The grid values of a method's key.
  static std::vector<std::string> grid_of(const SweepEntry& entry, const std::string& name,
                                          const std::string& value) {
    const SettingSpec* spec = find_setting(name);
    return spec != nullptr ? values_of(entry, *spec, value)
                           : split_grid(entry, value, name.starts_with("shape"));
  }

  void check_values(const SweepEntry& entry, const std::string& method, const std::string& name,
                    const std::vector<std::string>& values) const {
    const bool is_setting = find_setting(name) != nullptr;
    for (const std::string& value : values) {
      if (is_setting)
        check_setting_of(entry, name, value);
      else
        check_option(entry, registry_.at(method), name, value);
    }
  }

  void add_pairs(const SweepEntry& entry) {
    for (const std::string& word : split_pairs(entry.value)) {
      const std::size_t equals = word.find('='), dot = word.find('.');
      if (equals == std::string::npos || equals == 0 || equals + 1 == word.size())
        throw UsageError("{}: found '{}', expected key=value", entry.where, printable(word, 80));
      const std::string key = word.substr(0, equals), value = word.substr(equals + 1);
      if (dot < equals) {
        add_scoped(entry, key, value);
        continue;
      }
      std::vector<const Method*> holders;
      for (const Method& method : registry_.methods())
        if (has_option(method, key)) holders.push_back(&method);
      // dora(lotr) and the like, which no list names.
      if (const auto methods = sweep_.common.find("method"); methods != sweep_.common.end())
        for (const std::string& name : methods->second)
          if (name.find('(') != std::string::npos && has_option(registry_.at(name), key))
            holders.push_back(&registry_.at(name));
      if (holders.empty())
        throw UsageError("{}: no method has a key '{}'", entry.where, printable(key, 80));
      // Methods may take unlike words under one key: one must take these; those that the grid has
      // are checked with their runs.
      const auto takes = [&](const Method* method) {
        try {
          check_values(entry, method->name, key, grid_of(entry, key, value));
          return true;
        } catch (const UsageError&) {
          return false;
        }
      };
      if (std::ranges::none_of(holders, takes))
        check_values(entry, holders.front()->name, key, grid_of(entry, key, value));
      for (const Method* method : holders)
        sweep_.scoped[{method->name, ""}][key] = grid_of(entry, key, value);
    }
  }

  UsageError unknown_key(const SweepEntry& entry) const {
    std::vector<std::string> known;
    for (const SettingSpec& spec : run_settings()) known.push_back(spec.name);
    for (const SettingSpec& spec : sweep_settings()) known.push_back(spec.name);
    for (const Method& method : registry_.methods())
      if (has_option(method, entry.key))
        return UsageError("{}: '{}' is a key of {}; write {}.{}", entry.where, entry.key,
                          method.name, method.name, entry.key);
    return UsageError("{}: {}", entry.where, unknown_name("key", entry.key, known).what());
  }

  const Registry& registry_;
  std::vector<std::string> tables_;
  Sweep sweep_;
  const SweepEntry* task_key_ = nullptr;
};

/// A key that the kind of the sweep has no use for, though others have.
void check_kind(const SweepEntry& entry, const Sweep& sweep) {
  const std::string name = entry.key.substr(entry.key.rfind('.') + 1);
  if (sweep.kind != SweepKind::fit && is_of_fits(entry.key))
    throw UsageError("{}: {} is for kind = fit", entry.where, entry.key);
  if (entry.key == "labels" && sweep.kind == SweepKind::train)
    throw UsageError("{}: labels is for kind = count; in training the task has its own",
                     entry.where);
  if (sweep.kind != SweepKind::fit) return;
  std::vector<std::string> known;
  for (const SettingSpec& spec : run_settings())
    if (spec.has_role({SettingRole::fitting})) known.push_back(spec.name);
  known.emplace_back("threads");  // of all fits together
  const bool of_runs =
      find_setting(name) != nullptr && std::ranges::find(known, name) == known.end();
  if (of_runs || entry.key == "labels" || entry.key == "jobs" ||
      (name == "threads" && name != entry.key))
    throw UsageError("{}: {} is not for kind = fit; expected of the settings of runs {}",
                     entry.where, entry.key, fmt::join(known, ", "));
}

/// Nothing says which of a method's and a task's values counts.
void check_scopes(const Sweep& sweep) {
  for (const auto& [of_method, methods] : sweep.scoped)
    for (const auto& [of_task, tasks] : sweep.scoped) {
      if (!of_method.task.empty() || !of_task.method.empty()) continue;
      const SweepScope both{of_method.method, of_task.task};
      const auto known = sweep.scoped.find(both);
      for (const auto& [name, values] : methods)
        if (tasks.contains(name) && (known == sweep.scoped.end() || !known->second.contains(name)))
          throw UsageError("sweep: {0}.{2} and {1}.{2} both tell {2}; expected {0}.{1}.{2} too",
                           both.method, both.task, name);
    }
}

void check_together(const std::vector<SweepEntry>& entries, const Sweep& sweep) {
  check_scopes(sweep);
  for (const SweepEntry& entry : entries) {
    check_kind(entry, sweep);
    const bool is_rank = entry.key == "rank" || entry.key.ends_with(".rank");
    if (is_rank && !sweep.budgets.empty())
      throw UsageError("{}: {} and budget exclude each other: the budget chooses the rank",
                       entry.where, entry.key);
  }
}

/// The settings of runs that hold for all fits of a sweep, which are made in one process.
void take_common_of_fits(const std::vector<SweepEntry>& entries, Sweep& sweep) {
  for (const SweepEntry& entry : entries) {
    if (entry.key != "threads" && entry.key != "seed") continue;
    if (entry.key == "threads") sweep.fit_threads = positive(entry, single_value(entry), 4096);
  }
}

}  // namespace

Sweep parse_sweep(const std::vector<SweepEntry>& entries, const Registry& registry) {
  Parser parser(registry, table_names(entries));
  // Methods first: keys are given to those of them that have them.
  for (const bool methods : {true, false})
    for (const SweepEntry& entry : entries)
      if ((entry.key == "method") == methods) parser.add(entry);
  Sweep sweep = parser.take();
  if (const SweepEntry* entry = parser.task_key(); entry && sweep.kind != SweepKind::train)
    throw UsageError("{}: {} is of a task, which is for kind = train", entry->where, entry->key);
  check_together(entries, sweep);
  if (sweep.kind == SweepKind::fit) take_common_of_fits(entries, sweep);
  return sweep;
}

}  // namespace rankfold
