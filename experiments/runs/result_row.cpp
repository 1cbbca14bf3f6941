#include "experiments/runs/result_row.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/core.h>

#include "core/adapter/rank.h"
#include "core/base/text.h"
#include "experiments/runs/score_metric.h"
#include "experiments/runs/setting_rules.h"

namespace rankfold {

const std::vector<RowSetting>& row_settings() {
  static const std::vector<RowSetting> table = {
      {"task", &ResultRow::task}, {"model", &ResultRow::model}, {"method", &ResultRow::method},
      {"rank", &ResultRow::rank}, {"seed", &ResultRow::seed},   {"layers", &ResultRow::layers},
      {"max-train", nullptr}};
  return table;
}

bool is_row_setting(const std::string& name) {
  return std::ranges::find(row_settings(), name, &RowSetting::name) != row_settings().end();
}

std::optional<std::string> row_setting(const ResultRow& row, const std::string& name) {
  const auto own = std::ranges::find(row_settings(), name, &RowSetting::name);
  if (own == row_settings().end()) {
    const auto found = row.settings.find(name);
    if (found == row.settings.end()) return std::nullopt;
    return found->second;
  }
  return row_setting(row, *own);
}

std::string row_setting(const ResultRow& row, const RowSetting& own) {
  if (own.text == nullptr) return row.train_rows ? std::to_string(*row.train_rows) : "0";
  const bool has_form = own.text == &ResultRow::seed || own.text == &ResultRow::layers;
  return has_form ? setting_form(own.name, row.*own.text) : row.*own.text;
}

void note_left_out(const std::filesystem::path& source,
                   const std::map<std::string, std::size_t>& by_status,
                   std::vector<std::string>& notes) {
  for (const auto& [status, number] : by_status)
    notes.push_back(fmt::format("{}: left out {} run{} ({})", printable(source.string(), 300),
                                number, number == 1 ? "" : "s", printable(status, 40)));
}

std::optional<std::int64_t> parse_count(const std::string& text) {
  const std::optional<double> value = parse_number<double>(text);
  if (!value || *value < 0 || *value != std::floor(*value) || *value > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

std::optional<std::string> normal_rank(const std::string& text) {
  if (text.empty() || text == "none" || text == "-") return "";
  if (const auto count = parse_count(text)) return std::to_string(*count);
  const auto rank = Rank::parse(text);
  return rank ? std::optional(rank->text()) : std::nullopt;
}

bool score_is_possible(const std::string& metric, double score) {
  const Bounds range = score_metric(metric).range;
  return score >= range.low - 1e-6 && score <= range.high + 1e-6;
}

std::string main_metric(const std::string& task, const std::vector<std::string>& measured) {
  static const std::set<std::string> classifications = {
      "sst2", "mrpc",   "qqp",      "mnli",   "qnli",       "rte",
      "wnli", "movies", "products", "tweets", "editorials", "mnli-mm"};
  std::vector<std::string> order;
  if (classifications.contains(task)) order = {"accuracy"};
  if (task == "stsb") order = {"pearson"};
  for (const char* metric : {"matthews_correlation", "accuracy", "pearson", "f1", "spearman"}) {
    order.push_back(metric);
  }
  for (const std::string& metric : order) {
    if (std::find(measured.begin(), measured.end(), metric) != measured.end()) return metric;
  }
  const auto first = std::min_element(measured.begin(), measured.end());
  return first == measured.end() ? "" : *first;
}

std::optional<std::int64_t> adapted_layer_count(const ResultRow& row) {
  if (row.adapted_layers) return row.adapted_layers;
  const std::string& layers = row.layers;
  for (const std::string prefix : {"first:", "last:"}) {
    if (layers.starts_with(prefix)) return parse_count(layers.substr(prefix.size()));
  }
  if (layers.empty() || layers == "all") return std::nullopt;
  std::int64_t total = 0;
  for (const std::string& part : split(layers, ',')) {
    const std::vector<std::string> ends = split(part, '-');
    const auto first = parse_count(ends.front());
    const auto last = parse_count(ends.back());
    if (ends.size() > 2 || !first || !last || *last < *first) return std::nullopt;
    total += *last - *first + 1;
  }
  return total;
}

std::optional<double> rank_position(const std::string& rank) {
  const auto parsed = Rank::parse(rank);
  return parsed ? parsed->position() : std::nullopt;
}

}  // namespace rankfold
