#include "experiments/sweep/count_sweep.h"

#include <set>

#include "core/base/csv.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

std::string describe(const PlannedRun& run) {
  const RunSettings& settings = run.settings;
  std::string text = settings.text("method");
  if (!settings.text("rank").empty()) text += " rank " + settings.text("rank");
  text += " on " + (run.input.empty() ? settings.text("model") : run.input);
  for (const auto& [name, value] : settings.values)
    if (name != "method" && name != "rank" && name != "model" && name != "threads")
      text += ", " + name + " " + value;
  for (const auto& [name, value] : settings.options) text += ", " + name + " " + value;
  return printable(text, 300);
}

std::vector<CountRow> count_runs(const std::vector<PlannedRun>& runs, const Registry& registry,
                                 ShapeStore& store) {
  std::vector<CountRow> rows;
  rows.reserve(runs.size());
  for (const PlannedRun& run : runs) {
    const Method& method = registry.at(run.settings.text("method"));
    try {
      ModelCount count = store.count(method, run);
      const Stack& stack = store.stack(method, run.settings);
      rows.push_back({run, std::move(count), stack.layers.size()});
    } catch (const UsageError& error) {
      throw UsageError("{} (in {})", error.what(), describe(run));
    }
  }
  return rows;
}

std::string counts_csv(const std::vector<CountRow>& rows) {
  std::vector<std::string> settings;
  std::set<std::string> options;
  bool several_labels = false;
  for (const char* name : {"alpha", "preset", "train"})
    for (const CountRow& row : rows)
      if (row.run.settings.values.contains(name)) {
        settings.emplace_back(name);
        break;
      }
  for (const CountRow& row : rows) {
    several_labels |= row.run.labels != 2;
    for (const auto& [name, value] : row.run.settings.options)
      options.insert(row.run.settings.text("method") + "." + name);
  }
  std::string text = "model,method,rank,targets,layers";
  for (const std::string& name : settings) text += "," + name;
  if (several_labels) text += ",labels";
  for (const std::string& name : options) text += "," + csv_field(name);
  text += ",matrices,adapted_layers,adapter,trainable\n";
  for (const CountRow& row : rows) {
    const RunSettings& given = row.run.settings;
    text += csv_field(given.text("model")) + "," + csv_field(given.text("method")) + ",";
    text += (row.count.rank == 0 ? "" : std::to_string(row.count.rank)) + ",";
    text += csv_field(row.count.targets) + "," + csv_field(given.text("layers"));
    for (const std::string& name : settings) text += "," + csv_field(given.text(name));
    if (several_labels) text += "," + std::to_string(row.run.labels);
    const std::string prefix = given.text("method") + ".";
    for (const std::string& name : options) {
      const auto found = name.starts_with(prefix) ? given.options.find(name.substr(prefix.size()))
                                                  : given.options.end();
      text += "," + (found == given.options.end() ? "" : csv_field(found->second));
    }
    text += fmt::format(",{},{},{},{}\n", row.count.matrices, row.adapted_layers, row.count.adapter,
                        row.count.trainable);
  }
  return text;
}

}  // namespace rankfold
