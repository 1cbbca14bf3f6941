#include "analysis/figures/figure_thinning.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/core.h>

#include "analysis/figures/line_split.h"
#include "analysis/figures/method_style.h"
#include "core/base/text.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {
namespace {

constexpr std::size_t most_lines = 12, most_of_method = 6;

bool is_crowded(FigureKind kind, const std::vector<ResultRow>& rows) {
  const LineSplit split(kind, rows);
  std::map<std::vector<std::string>, std::map<std::string, std::set<LineName>>> panels;
  for (const ResultRow& row : rows) {
    if (row.method == "none") continue;
    std::set<LineName>& lines = panels[{row.task, row.model}][row.method];
    for (const LineName& line : split.lines_of(row)) lines.insert(line);
  }
  return std::ranges::any_of(panels, [](const auto& panel) {
    std::size_t all = 0, most = 0;
    for (const auto& [method, lines] : panel.second) {
      all += lines.size();
      most = std::max(most, lines.size());
    }
    return most > 1 && (all > most_lines || most > most_of_method);
  });
}

/// The mean of finite scores, turned so that more is better; -inf for none.
class Goodness {
 public:
  void add(const ResultRow& row) {
    if (!row.score || !std::isfinite(*row.score)) return;
    sum_ += score_metric(row.metric).less_is_better ? -*row.score : *row.score;
    ++count_;
  }
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : -INFINITY; }

 private:
  double sum_ = 0;
  std::size_t count_ = 0;
};

std::string setting(const ResultRow& row, const std::string& name) {
  const auto found = row.settings.find(name);
  return found == row.settings.end() ? "" : found->second;
}

using Settings = std::map<std::string, std::string>;

/// Those that are chosen among.
Settings chosen_settings(FigureKind kind, const ResultRow& row) {
  Settings settings = row.settings;
  settings.erase("targets");
  if (kind == FigureKind::learning_rate) settings.erase("lr");
  return settings;
}

/// Where a line has a point, whatever its settings.
std::vector<std::string> place_of(FigureKind kind, const ResultRow& row) {
  return {row.task,
          row.model,
          row.method,
          row.rank,
          row.layers,
          setting(row, "targets"),
          row.train_rows ? std::to_string(*row.train_rows) : "",
          std::to_string(row.parameters),
          kind == FigureKind::learning_rate ? setting(row, "lr") : ""};
}

/// The key with the greatest mean; the first of equal ones.
template <class Key>
Key best_of(const std::map<Key, Goodness>& candidates) {
  return std::ranges::max_element(candidates, {},
                                  [](const auto& entry) { return entry.second.mean(); })
      ->first;
}

std::string keep_best_settings(FigureKind kind, std::vector<ResultRow>& rows) {
  std::map<std::vector<std::string>, std::map<Settings, Goodness>> places;
  for (const ResultRow& row : rows)
    places[place_of(kind, row)][chosen_settings(kind, row)].add(row);
  std::size_t most = 0;
  std::set<std::string> names;
  for (const auto& [place, candidates] : places) {
    most = std::max(most, candidates.size());
    for (const auto& [settings, goodness] : candidates) {
      for (const auto& [name, value] : settings) {
        const auto differs = [&, &name = name, &value = value](const auto& other) {
          const auto found = other.first.find(name);
          return found == other.first.end() || found->second != value;
        };
        if (std::ranges::any_of(candidates, differs)) names.insert(name);
      }
    }
  }
  if (most < 2) return "";
  std::map<std::vector<std::string>, Settings> best;
  for (const auto& [place, candidates] : places) best[place] = best_of(candidates);
  std::erase_if(rows, [&](const ResultRow& row) {
    return chosen_settings(kind, row) != best[place_of(kind, row)];
  });
  return fmt::format(
      "Of up to {} settings ({}) the best at each point, chosen by the scores shown, which "
      "flatters "
      "them.",
      most, join(std::vector(names.begin(), names.end()), ", "));
}

std::string middle_rank(const std::map<std::string, Goodness>& ranks) {
  std::vector<std::pair<double, std::string>> sorted;
  for (const auto& [rank, goodness] : ranks) sorted.push_back(rank_order(rank));
  std::sort(sorted.begin(), sorted.end());
  return sorted[(sorted.size() - 1) / 2].second;
}

bool keep_best_ranks(FigureKind kind, std::vector<ResultRow>& rows) {
  using Method = std::pair<std::string, std::string>;  // model, method
  // The best mean of each rank in each task, then their mean over the tasks.
  std::map<Method, std::map<std::string, std::map<std::string, std::map<std::string, Goodness>>>>
      points;
  for (const ResultRow& row : rows) {
    const std::string place = join(place_of(kind, row), "\n");
    points[{row.model, row.method}][row.rank][row.task][place].add(row);
  }
  std::map<Method, std::string> kept;
  bool left_out = false;
  for (const auto& [method, ranks] : points) {
    left_out = left_out || ranks.size() > 1;
    std::map<std::string, Goodness> candidates;
    for (const auto& [rank, tasks] : ranks) {
      candidates[rank];
      for (const auto& [task, places] : tasks) {
        ResultRow best;
        best.score = places.at(best_of(places)).mean();
        candidates[rank].add(best);
      }
    }
    const bool has_scores = std::isfinite(candidates.at(best_of(candidates)).mean());
    kept[method] = has_scores ? best_of(candidates) : middle_rank(candidates);
  }
  if (!left_out) return false;
  std::erase_if(rows, [&](const ResultRow& row) {
    return row.rank != kept.at({row.model, row.method});
  });
  return true;
}

}  // namespace

ThinnedRows thin_rows(FigureKind kind, const std::vector<ResultRow>& rows) {
  ThinnedRows thinned{rows, "", false};
  if (!is_crowded(kind, rows)) return thinned;
  thinned.note = keep_best_settings(kind, thinned.rows);
  const bool by_rank = kind == FigureKind::depth || kind == FigureKind::learning_rate;
  if (!by_rank || !is_crowded(kind, thinned.rows)) return thinned;
  const bool is_scored =
      std::ranges::any_of(rows, [](const ResultRow& row) { return row.score.has_value(); });
  thinned.is_one_rank = keep_best_ranks(kind, thinned.rows);
  if (!thinned.is_one_rank) return thinned;
  thinned.note += thinned.note.empty() ? "" : " ";
  thinned.note += is_scored ? "Of each method's ranks the best-scoring one."
                            : "Of each method's ranks the middle one.";
  return thinned;
}

}  // namespace rankfold
