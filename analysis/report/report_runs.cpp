#include "analysis/report/report_runs.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <unordered_map>

#include <fmt/core.h>

#include "analysis/drawings/svg.h"
#include "analysis/figures/figure_lines.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

using Texts = std::function<const std::string&(const RunRecord&)>;
using Numbers = std::function<std::optional<double>(const RunRecord&)>;

std::string text_column(const std::string& name, const std::vector<RunRecord>& runs,
                        const Texts& text, const std::string& look = "") {
  std::unordered_map<std::string, std::size_t> places;
  std::vector<std::string> words, cells;
  for (const RunRecord& run : runs) {
    const std::string& value = text(run);
    const auto [place, is_new] = places.emplace(value, words.size());
    if (is_new) words.push_back(script_string(value));
    cells.push_back(std::to_string(place->second));
  }
  return fmt::format("{{\"name\":{},{}\"words\":[{}],\"cells\":[{}]}}", script_string(name),
                     look.empty() ? "" : "\"look\":" + script_string(look) + ",", join(words, ","),
                     join(cells, ","));
}

/// Digits behind the point; -1 for whole numbers in groups.
std::string number_column(const std::string& name, int digits, const std::vector<RunRecord>& runs,
                          const Numbers& number) {
  std::vector<std::string> cells;
  for (const RunRecord& run : runs) {
    const auto value = number(run);
    cells.push_back(value && std::isfinite(*value)
                        ? fmt::format("{:.{}f}", *value, std::max(digits, 0))
                        : "null");
  }
  return fmt::format("{{\"name\":{},\"digits\":{},\"cells\":[{}]}}", script_string(name), digits,
                     join(cells, ","));
}

bool any(const std::vector<RunRecord>& runs, const Numbers& number) {
  return std::ranges::any_of(runs, [&](const RunRecord& run) { return number(run).has_value(); });
}

}  // namespace

std::string runs_document(const std::vector<RunRecord>& runs,
                          const std::vector<std::string>& settings) {
  static const std::string nothing;
  std::vector<std::string> columns;
  const auto add_text = [&](const char* name, std::string ResultRow::*member) {
    columns.push_back(text_column(
        name, runs, [&](const RunRecord& run) -> const std::string& { return run.row.*member; }));
  };
  add_text("task", &ResultRow::task);
  add_text("model", &ResultRow::model);
  add_text("method", &ResultRow::method);
  add_text("rank", &ResultRow::rank);
  add_text("seed", &ResultRow::seed);
  for (const std::string& setting : settings) {
    columns.push_back(text_column(setting, runs, [&](const RunRecord& run) -> const std::string& {
      const auto found = run.settings.find(setting);
      return found == run.settings.end() ? nothing : found->second;
    }));
  }
  const auto add_number = [&](const char* name, int digits, const Numbers& number) {
    if (any(runs, number)) columns.push_back(number_column(name, digits, runs, number));
  };
  add_number("parameters", -1, [](const RunRecord& run) -> std::optional<double> {
    if (!run.is_result() && run.row.parameters == 0) return std::nullopt;
    return static_cast<double>(run.row.parameters);
  });
  add_number("trainable", -1, [](const RunRecord& run) -> std::optional<double> {
    if (!run.row.trainable) return std::nullopt;
    return static_cast<double>(*run.row.trainable);
  });
  const auto has_metric = [](const RunRecord& run) { return !run.row.metric.empty(); };
  if (std::ranges::any_of(runs, has_metric)) {
    std::map<std::string, std::string> labels;
    for (const RunRecord& run : runs)
      labels.emplace(run.row.metric, label_of_metric(run.row.metric).first);
    const auto is_share = [](const RunRecord& run) {
      return run.row.metric.empty() || label_of_metric(run.row.metric).second != 1;
    };
    columns.push_back(text_column("metric", runs, [&](const RunRecord& run) -> const std::string& {
      return labels.at(run.row.metric);
    }));
    columns.push_back(number_column("score", std::ranges::all_of(runs, is_share) ? 2 : 4, runs,
                                    [](const RunRecord& run) -> std::optional<double> {
                                      if (!run.row.score) return std::nullopt;
                                      return *run.row.score *
                                             label_of_metric(run.row.metric).second;
                                    }));
  }
  if (std::ranges::any_of(runs,
                          [](const RunRecord& run) { return run.row.constant_predictions; })) {
    static const std::string one = "one answer", several;
    columns.push_back(
        text_column("predictions", runs, [](const RunRecord& run) -> const std::string& {
          return run.row.constant_predictions ? one : several;
        }));
  }
  add_number("seconds", 1, [](const RunRecord& run) { return run.row.train_seconds; });
  add_number("tokens/s", 0, [](const RunRecord& run) { return run.row.tokens_per_second; });
  add_number("memory, MiB", 0, [](const RunRecord& run) { return run.row.peak_memory_mib; });
  columns.push_back(text_column(
      "status", runs, [](const RunRecord& run) -> const std::string& { return run.status; }));
  if (std::ranges::any_of(runs, [](const RunRecord& run) { return !run.reason.empty(); })) {
    columns.push_back(text_column(
        "reason", runs, [](const RunRecord& run) -> const std::string& { return run.reason; },
        "long"));
  }
  columns.push_back(text_column(
      "folder", runs, [](const RunRecord& run) -> const std::string& { return run.folder; },
      "path"));
  return fmt::format("{{\"runs\":{},\"columns\":[{}]}}", runs.size(), join(columns, ",\n"));
}

}  // namespace rankfold
