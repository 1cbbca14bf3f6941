#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/sweep/sweep.h"
#include "experiments/tasks/table_file.h"
#include "experiments/tasks/task.h"

namespace rankfold {
namespace {

bool is_one_of(const std::string& name, const std::vector<std::string>& names) {
  return std::ranges::find(names, name) != names.end();
}

bool is_method(const std::string& name, const Registry& registry) {
  return std::ranges::find(registry.methods(), name, &Method::name) != registry.methods().end();
}

/// The part of a key that names a task: one with a name, or a table.
bool names_task(const std::string& name, const Registry& registry,
                const std::vector<std::string>& tables) {
  const bool has_name = std::ranges::find(tasks(), name, &Task::name) != tasks().end();
  return has_name || (is_one_of(name, tables) && !is_method(name, registry));
}

/// "lora.cola" or "cola" or "lora".
SweepScope parse_scope(const std::string& where, const std::string& text, const Registry& registry,
                       const std::vector<std::string>& tables) {
  if (names_task(text, registry, tables)) return {"", text};
  const std::size_t dot = text.find('.');
  if (dot == std::string::npos) return {text, ""};
  const SweepScope scope{text.substr(0, dot), text.substr(dot + 1)};
  if (is_one_of(scope.task, tables)) return scope;
  const bool has_more = scope.task.find('.') != std::string::npos;
  if (has_more || names_task(scope.method, registry, tables))
    throw UsageError("{}: found '{}', expected METHOD.KEY, TASK.KEY or METHOD.TASK.KEY", where,
                     printable(text, 80));
  try {
    find_task(scope.task);
  } catch (const UsageError& error) {
    throw UsageError("{}: {}", where, error.what());
  }
  return scope;
}

/// A setting's own name, of a key without its scope.
std::string setting_of(const std::string& key) {
  const std::string name = key.substr(key.rfind('.') + 1);
  const SettingSpec* spec = find_setting_called(name);
  return spec ? spec->name : name;
}

}  // namespace

std::vector<std::string> table_names(const std::vector<SweepEntry>& entries) {
  std::vector<std::string> names;
  for (const SweepEntry& entry : entries) {
    const std::string name = setting_of(entry.key);
    if (name != "task" && name != "data") continue;
    for (const std::string& value : split(entry.value, ','))
      if (const std::string file(trim(value)); is_table_file(file))
        names.push_back(table_task_name(file));
  }
  return names;
}

std::string task_in_keys(const std::string& task) {
  return is_table_file(task) ? table_task_name(task) : task;
}

ScopedKey parse_scoped_key(const std::string& where, const std::string& text,
                           const Registry& registry, const std::vector<std::string>& tables) {
  const std::size_t dot = text.rfind('.');
  ScopedKey result{parse_scope(where, text.substr(0, dot), registry, tables), setting_of(text)};
  std::vector<std::string> known;
  if (!result.scope.method.empty()) {
    try {
      for (const MethodOption& option : registry.at(result.scope.method).options)
        known.push_back(option.name);
    } catch (const UsageError& error) {
      throw UsageError("{}: {}", where, error.what());
    }
  }
  for (const SettingSpec& setting : run_settings())
    if (setting.name != "method" && (setting.name != "task" || result.scope.task.empty()))
      known.push_back(setting.name);
  if (!is_one_of(result.key, known))
    throw UsageError("{}: {}", where,
                     unknown_name("key of " + text.substr(0, dot), result.key, known).what());
  return result;
}

std::vector<SweepEntry> with_last_word(std::vector<SweepEntry> file,
                                       const std::vector<SweepEntry>& command_line,
                                       const Registry& registry, std::vector<std::string>& told) {
  std::vector<SweepEntry> all = file;
  all.insert(all.end(), command_line.begin(), command_line.end());
  const std::vector<std::string> tables = table_names(all);
  const auto key_of = [&](const SweepEntry& entry) {
    return entry.key.find('.') == std::string::npos
               ? ScopedKey{{}, setting_of(entry.key)}
               : parse_scoped_key(entry.where, entry.key, registry, tables);
  };
  for (const SweepEntry& entry : command_line) {
    if (entry.key == "set") continue;
    const ScopedKey wide = key_of(entry);
    std::vector<std::string> replaced;
    std::erase_if(file, [&](const SweepEntry& other) {
      const ScopedKey narrow = key_of(other);
      const bool holds = narrow.key == wide.key &&
                         (wide.scope.method.empty() || wide.scope.method == narrow.scope.method) &&
                         (wide.scope.task.empty() || wide.scope.task == narrow.scope.task);
      if (holds && narrow.scope != wide.scope) replaced.push_back(other.key);
      return holds;
    });
    if (!replaced.empty())
      told.push_back(fmt::format("{} has the last word: without {} of the file", entry.where,
                                 join(replaced, ", ")));
  }
  file.insert(file.end(), command_line.begin(), command_line.end());
  return file;
}

}  // namespace rankfold
