#include "experiments/runs/run_identity.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/runs/setting_rules.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

bool is_run_file(const ResultRow& row) {
  return !row.model_path.empty();
}

/// The last `count` names of a path.
std::string end_of_path(const std::string& path, std::size_t count) {
  std::vector<std::string> names;
  for (const std::string& name : split(path, '/'))
    if (!name.empty() && name != ".") names.push_back(name);
  if (names.size() > count) names.erase(names.begin(), names.end() - static_cast<long>(count));
  return names.empty() ? path : join(names, "/");
}

/// For every path the shortest end that no other path has.
std::map<std::string, std::string> ends_that_differ(const std::set<std::string>& paths) {
  std::map<std::string, std::set<std::string>> by_name;
  for (const std::string& path : paths) by_name[end_of_path(path, 1)].insert(path);
  std::map<std::string, std::string> ends;
  for (const auto& [name, alike] : by_name) {
    constexpr std::size_t deepest = 64;
    std::size_t count = 0;
    std::set<std::string> distinct;
    do {
      distinct.clear();
      ++count;
      for (const std::string& path : alike) distinct.insert(end_of_path(path, count));
    } while (distinct.size() < alike.size() && count < deepest);
    for (const std::string& path : alike) ends[path] = end_of_path(path, count);
  }
  return ends;
}

std::string plain_path(const std::string& path) {
  std::string plain = fs::path(path).lexically_normal().string();
  while (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return plain;
}

/// "1a2b3c4d/5e6f7081" of "xxh64-1a2b3c4d.../xxh64-5e6f7081...".
std::string short_print(const std::string& fingerprint) {
  constexpr std::size_t shown = 8;
  std::vector<std::string> parts = split(fingerprint, '/');
  for (std::string& part : parts) part = part.substr(part.find('-') + 1).substr(0, shown);
  return join(parts, "/");
}

/// A folder that was read, and the fingerprint of what was read there ("": unknown), among those
/// that should have read the same there.
struct ReadFolder {
  std::string* path;
  std::string fingerprint, group;
  std::string mark = "";  ///< behind its name, where others of its path hold something else
};

/// Folders are what they hold: several of one content get the path of one, those of one path and
/// several contents get marks ("glue@1a2b3c4d").
void mark_contents(std::vector<ReadFolder>& folders) {
  std::map<std::pair<std::string, std::string>, std::string> path_of;  // group, fingerprint
  for (const ReadFolder& folder : folders) {
    if (folder.fingerprint.empty()) continue;
    const auto [path, is_new] =
        path_of.emplace(std::pair(folder.group, folder.fingerprint), *folder.path);
    if (!is_new) path->second = std::min(path->second, *folder.path);
  }
  std::map<std::pair<std::string, std::string>, std::set<std::string>> contents;  // group, path
  for (const ReadFolder& folder : folders) {
    if (folder.fingerprint.empty()) continue;
    *folder.path = path_of.at({folder.group, folder.fingerprint});
    contents[{folder.group, *folder.path}].insert(folder.fingerprint);
  }
  for (ReadFolder& folder : folders)
    if (!folder.fingerprint.empty() && contents[{folder.group, *folder.path}].size() > 1)
      folder.mark = "@" + short_print(folder.fingerprint);
}

/// Gives every folder a name instead of its path.
void name_folders(std::vector<ReadFolder> folders) {
  mark_contents(folders);
  std::set<std::string> paths;
  for (const ReadFolder& folder : folders) paths.insert(*folder.path);
  const auto names = ends_that_differ(paths);
  for (const ReadFolder& folder : folders) *folder.path = names.at(*folder.path) + folder.mark;
}

/// A setting that is none after this.
std::string taken(ResultRow& row, const char* key) {
  const auto found = row.settings.find(key);
  if (found == row.settings.end()) return "";
  std::string value = std::move(found->second);
  row.settings.erase(found);
  return value;
}

void name_paths(const std::vector<RunView>& runs, std::vector<std::string>& notes) {
  std::vector<ReadFolder> models, data;
  for (const RunView& run : runs) {
    ResultRow& row = *run.row;
    const std::string model_print = taken(row, model_fingerprint_key),
                      data_print = taken(row, data_fingerprint_key);
    if (is_run_file(row)) {
      row.model_path = plain_path(row.model_path);
      models.push_back({&row.model_path, model_print, ""});
    }
    const auto found = row.settings.find("data");
    if (found == row.settings.end() || found->second.empty()) continue;
    found->second = plain_path(found->second);
    const auto part = row.settings.find("score-on");
    data.push_back({&found->second, data_print,
                    fmt::format("{}\n{}\n{}", row.task, row.train_rows.value_or(0),
                                part == row.settings.end() ? "" : part->second)});
  }
  name_folders(std::move(models));
  name_folders(std::move(data));
  std::set<std::string> split_names;
  for (const RunView& run : runs) {
    if (!is_run_file(*run.row)) continue;
    run.row->model = run.row->model_path;
    if (run.row->model.find_first_of("/@") != std::string::npos) split_names.insert(run.row->model);
  }
  if (!split_names.empty())
    notes.push_back(fmt::format(
        "models of one name that differ, or lie in different folders, are told apart: {}",
        printable(join(std::vector<std::string>(split_names.begin(), split_names.end()), ", "),
                  400)));
}

/// A diverged run has no scores; its metric is that of the other runs of its task.
void name_metrics_of_diverged(const std::vector<RunView>& runs) {
  std::map<std::string, std::vector<std::string>> measured;
  for (const RunView& run : runs)
    if (!run.row->metric.empty()) measured[run.row->task].push_back(run.row->metric);
  for (const RunView& run : runs) {
    if (!run.is_result || !run.row->score || !run.row->metric.empty()) continue;
    run.row->metric = main_metric(run.row->task, measured[run.row->task]);
    if (run.row->metric.empty()) run.row->metric = "score";
  }
}

/// Every run of a method has every setting that one of them has; runs of ours have the defaults of
/// what older versions did not write.
void fill_in(const std::vector<RunView>& runs) {
  std::map<std::string, std::set<std::string>> of_method;
  std::set<std::string> of_all;
  for (const RunView& run : runs)
    for (const auto& [name, value] : run.row->settings) {
      if (!run.is_result) continue;
      of_method[run.row->method].insert(name);
      of_all.insert(name);
    }
  for (const RunView& run : runs) {
    ResultRow& row = *run.row;
    if (!run.is_result) continue;
    if (is_run_file(row)) {
      for (const KnownSetting& known : known_settings())
        if (!known.fallback.empty() && of_all.contains(known.name))
          row.settings.try_emplace(known.name, setting_form(known.name, known.fallback));
      if (row.layers.empty()) row.layers = "all";
    }
    for (const std::string& name : of_method[row.method]) row.settings.try_emplace(name, "");
  }
}

std::optional<std::string> told(const RunView& run, const std::string& key) {
  const ResultRow& row = *run.row;
  if (key == "task") return row.task;
  if (key == "model") return row.model;
  if (key == "method") return row.method;
  if (key == "rank") return row.rank;
  if (key == "seed") return setting_form(key, row.seed);
  if (key == "layers") return setting_form(key, row.layers);
  if (key == "metric") return row.metric;
  if (key == "max-train") return row.train_rows ? std::to_string(*row.train_rows) : "0";
  if (const auto found = row.settings.find(key); found != row.settings.end()) return found->second;
  if (run.settings == nullptr) return std::nullopt;
  const auto found = run.settings->find(key);
  if (found == run.settings->end()) return std::nullopt;
  return setting_form(key, found->second);
}

std::vector<std::string> told_keys(const std::vector<RunView>& runs) {
  std::set<std::string> keys = {"task", "model",  "method", "rank",
                                "seed", "layers", "metric", "max-train"};
  for (const RunView& run : runs) {
    for (const auto& [name, value] : run.row->settings) keys.insert(name);
    if (run.settings == nullptr) continue;
    for (const auto& [name, value] : *run.settings) keys.insert(name);
  }
  return {keys.begin(), keys.end()};
}

std::string value_form(const std::string& key, const std::string& text) {
  if (key == "rank") return normal_rank(setting_form(key, text)).value_or(text);
  if (key == "task" || key == "model" || key == "method" || key == "metric") return text;
  if (key == "max-train" && text == "all") return "0";
  return setting_form(key, text);
}

struct Clause {
  std::string key;
  std::set<std::string> values;
};

std::vector<Clause> clauses_of(const std::vector<std::string>& where) {
  std::vector<Clause> clauses;
  for (const std::string& text : where) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw UsageError("--where: found '{}', expected key=value", printable(text, 80));
    const std::string key = setting_name(text.substr(0, equals)), value = text.substr(equals + 1);
    auto clause = std::ranges::find(clauses, key, &Clause::key);
    if (clause == clauses.end()) clause = clauses.insert(clause, {key, {}});
    const bool is_list = key == "targets" || key == "layers" || key == "train";
    clause->values.insert(value_form(key, value));
    for (const std::string& part : split(value, is_list ? ';' : ','))
      clause->values.insert(value_form(key, std::string(trim(part))));
  }
  return clauses;
}

bool has_value(const RunView& run, const Clause& clause) {
  const auto value = told(run, clause.key);
  if (!run.is_result && (!value || value->empty())) return true;  // may be one of them
  return value && clause.values.contains(*value);
}

void expect_answers(const Clause& clause, const std::vector<RunView>& runs) {
  std::set<std::string> found;
  bool is_key = false;
  for (const RunView& run : runs)
    if (const auto value = told(run, clause.key)) {
      is_key = true;
      found.insert(*value);
    }
  if (!is_key) throw unknown_name("key of --where", clause.key, told_keys(runs));
  if (std::ranges::any_of(clause.values,
                          [&](const std::string& value) { return found.contains(value); }))
    return;
  std::vector<std::string> shown;
  for (const std::string& value : found) shown.push_back(value.empty() ? "none" : value);
  throw UsageError(
      "--where {}={}: no run has it (found: {})", clause.key,
      printable(join(std::vector<std::string>(clause.values.begin(), clause.values.end()), ","),
                80),
      printable(join(shown, ", "), 300));
}

void ignore(const std::vector<RunView>& runs, const std::vector<std::string>& ignored) {
  for (const std::string& given : ignored) {
    const std::string name = setting_name(given);
    std::set<std::string> names;
    for (const RunView& run : runs)
      for (const auto& [known, value] : run.row->settings) names.insert(known);
    const std::vector<std::string> known(names.begin(), names.end());
    if (!names.contains(name)) throw unknown_name("setting of --ignore", name, known);
    for (const RunView& run : runs) run.row->settings.erase(name);
  }
}

/// What tells a run from all others, without the setting `left_out`.
std::string identity_of(const ResultRow& row, bool with_seed, const std::string& left_out = "") {
  std::string key;
  const auto add = [&](std::string_view text) {
    key += text;
    key += '\0';
  };
  add(row.task);
  add(row.model);
  add(row.method);
  add(row.rank);
  add(setting_form("layers", row.layers));
  add(row.train_rows ? std::to_string(*row.train_rows) : "");
  add(row.metric);
  if (with_seed) add(setting_form("seed", row.seed));
  for (const auto& [name, value] : row.settings) {
    if (value.empty() || name == left_out) continue;
    add(name);
    add(value);
  }
  return key;
}

/// Columns of other programs may be measures that is_bookkeeping does not know.
void note_unknown_settings(const std::vector<RunView>& runs, std::vector<std::string>& notes) {
  std::set<std::string> unknown;
  for (const RunView& run : runs) {
    if (is_run_file(*run.row) || !run.is_result || !run.row->score) continue;
    for (const auto& [name, value] : run.row->settings)
      if (std::ranges::find(known_settings(), name, &KnownSetting::name) ==
              known_settings().end() &&
          name.find('.') == std::string::npos)
        unknown.insert(name);
  }
  for (const std::string& name : unknown) {
    std::unordered_map<std::string, std::string> values;
    const bool tells_apart = std::ranges::any_of(runs, [&](const RunView& run) {
      const auto found = run.row->settings.find(name);
      const std::string value = found == run.row->settings.end() ? "" : found->second;
      return values.emplace(identity_of(*run.row, false, name), value).first->second != value;
    });
    if (tells_apart)
      notes.push_back(fmt::format(
          "'{}' is taken for a setting and tells runs apart; --ignore {} where it is none",
          printable(name, 80), printable(name, 80)));
  }
}

bool is_same_score(const std::optional<double>& a, const std::optional<double>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  if (!std::isfinite(*a) || !std::isfinite(*b)) return std::isfinite(*a) == std::isfinite(*b);
  // What float32 and text of some digits leave of one number.
  return std::abs(*a - *b) <= 1e-6 * std::max(1.0, std::abs(*a));
}

/// What differs between two results of one run, "" for nothing.
std::string difference(const ResultRow& a, const ResultRow& b) {
  const auto shown = [](const std::optional<double>& score) {
    return score ? fmt::format("{:.6g}", *score) : std::string("none");
  };
  if (!is_same_score(a.score, b.score))
    return fmt::format("score {} and {}", shown(a.score), shown(b.score));
  if (a.parameters != b.parameters)
    return fmt::format("{} and {} parameters", a.parameters, b.parameters);
  if (a.trainable && b.trainable && *a.trainable != *b.trainable)
    return fmt::format("{} and {} trainable parameters", *a.trainable, *b.trainable);
  return "";
}

std::string shown_run(const ResultRow& row) {
  std::string text;
  for (const auto& [name, value] : {std::pair("task", row.task),
                                    {"model", row.model},
                                    {"method", row.method},
                                    {"rank", row.rank},
                                    {"seed", row.seed}})
    if (!value.empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  return printable(text, 200);
}

}  // namespace

std::vector<std::size_t> settle_runs(const std::vector<RunView>& runs,
                                     const RunSelection& selection,
                                     std::vector<std::string>& notes) {
  for (const RunView& run : runs) run.row->seed = setting_form("seed", run.row->seed);
  name_paths(runs, notes);
  name_metrics_of_diverged(runs);
  ignore(runs, selection.ignored);
  fill_in(runs);
  const std::vector<Clause> clauses = clauses_of(selection.where);
  for (const Clause& clause : clauses) expect_answers(clause, runs);

  std::vector<std::size_t> kept;
  std::vector<RunView> counted;
  std::unordered_map<std::string, const ResultRow*> known;
  std::size_t copies = 0;
  std::string copy;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!std::ranges::all_of(clauses,
                             [&](const Clause& clause) { return has_value(runs[i], clause); }))
      continue;
    const ResultRow& row = *runs[i].row;
    if (runs[i].is_result) {
      const auto [same, is_new] = known.emplace(identity_of(row, true), &row);
      if (!is_new) {
        const std::string differs = difference(*same->second, row);
        if (!differs.empty())
          throw Error("{}: is the same run as {} ({}) with another result: {}; expected each once",
                      row.origin, same->second->origin, shown_run(row), differs);
        if (++copies == 1)
          copy = fmt::format("{}: is the same run as {}, with the same result; counted once",
                             row.origin, same->second->origin);
        continue;
      }
      counted.push_back(runs[i]);
    }
    kept.push_back(i);
  }
  if (copies > 1)
    copy += fmt::format(" (and {} more such run{})", copies - 1, copies == 2 ? "" : "s");
  if (copies > 0) notes.push_back(copy);
  if (kept.empty() && !runs.empty())
    throw UsageError("--where: no run has all of these values together");
  note_unknown_settings(counted, notes);
  return kept;
}

void settle_results(Results& results, const RunSelection& selection) {
  std::vector<RunView> views;
  for (ResultRow& row : results.rows) views.push_back({&row, nullptr, true});
  std::vector<ResultRow> kept;
  for (const std::size_t position : settle_runs(views, selection, results.notes))
    kept.push_back(std::move(results.rows[position]));
  results.rows = std::move(kept);
}

}  // namespace rankfold
