#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "core/fit/fit.h"
#include "experiments/runs/settings.h"

namespace rankfold {

enum class SweepKind { train, count, fit };

/// One line of a sweep file, or one option of the command line.
struct SweepEntry {
  std::string key;    ///< "rank", "lotr.stack", "lora.lr", "cola.epochs", "lora.cola.lr"
  std::string value;  ///< grid values, not yet split
  std::string where;  ///< "sweep.txt:3" or "--rank", for messages
};

/// Reads `key = value` lines. '#' begins a comment at the start of a line or behind a blank, and
/// "\#" there is the sign itself; empty lines are skipped. Throws UsageError naming file and line:
/// no '=', an empty key or value, a key that stands twice, a control character.
std::vector<SweepEntry> read_sweep_file(const std::filesystem::path& file);
/// The same of a text; `name` stands for the file in messages.
std::vector<SweepEntry> read_sweep_text(std::string text, const std::string& name);

/// What a sweep knows besides the settings of a run: kind, out, jobs, budget, labels, and for fits
/// input, minus, heads, starts, tolerance, iterations.
const std::vector<SettingSpec>& sweep_settings();

/// Which runs a key is for: those of a method, of a task (see task_in_keys); "" stands for all.
struct SweepScope {
  std::string method, task;
  auto operator<=>(const SweepScope&) const = default;
};

/// A grid: for every setting the values that it takes, for all runs or for those of a scope.
struct Sweep {
  using Grid = std::map<std::string, std::vector<std::string>>;
  SweepKind kind = SweepKind::train;
  std::string out;
  std::size_t jobs = 1;
  Grid common;                        ///< settings of a run, and labels
  std::map<SweepScope, Grid> scoped;  ///< settings of a method or task, and a method's options
  std::vector<std::size_t> budgets;   ///< parameters of the adapter; they choose the rank, and
                                      ///< leave references (none, full) as they are
  // Of kind fit:
  std::vector<std::string> inputs;  ///< files of updates
  std::string minus;
  std::size_t heads = 1, fit_threads = 0;  ///< 0: all processors
  FitSettings fit;
};

/// Splits grid values: at commas for scalars, at ';' for settings that are lists themselves
/// (targets, layers, train, and options named shape...); one behind a backslash is a part of the
/// value. Of two entries for one key the later wins.
/// `set` holds pairs: key=value for every method that has the key, or method.key=value; words
/// without '=' belong to the value before them. A key for
/// a method and a task replaces one for either, and those the common one. Throws UsageError naming
/// the entry for an unknown key (with the nearest), method or kind, an empty grid value, a wrong
/// value, budget together with rank, a key that is for another kind, whether or not the grid has
/// the method or task that a key is of; and where a method's key and a task's contradict.
Sweep parse_sweep(const std::vector<SweepEntry>& entries, const Registry& registry);

/// What tables of one's own are called in keys, those that entries for task and data name: a
/// table's file without the ending (table_task_name), "reviews" of data/reviews.tsv.
std::vector<std::string> table_names(const std::vector<SweepEntry>& entries);
/// What a run's task is called in keys.
std::string task_in_keys(const std::string& task);

/// What "lora.cola.lr", a method's, a task's or both's, is for, and its key. Of a method and a
/// table of one name it is the method's. Throws UsageError beginning with `where` unless there are
/// such a method and task and the key is the method's or a setting.
struct ScopedKey {
  SweepScope scope;
  std::string key;
};
ScopedKey parse_scoped_key(const std::string& where, const std::string& text,
                           const Registry& registry, const std::vector<std::string>& tables);

/// Of entries of a file and of the command line, in this order, those that count: the command line
/// has the last word. A key of it takes the place of the same key of the file, and of the file's
/// narrower ones (--lr of lora.lr and cola.lr, --lora.lr of lora.cola.lr), which `told` says in one
/// line each.
std::vector<SweepEntry> with_last_word(std::vector<SweepEntry> file,
                                       const std::vector<SweepEntry>& command_line,
                                       const Registry& registry, std::vector<std::string>& told);

struct PlannedRun {
  RunSettings settings;  ///< as given; what its method or task ignores is left out
  std::size_t labels = 2;
  std::string input = {};  ///< kind fit: the file
  bool operator==(const PlannedRun&) const = default;
};

/// The largest rank whose adapter has at most `budget` parameters, or nothing where the smallest
/// has more (for a method without a rank: "" where it fits).
using RankChooser =
    std::function<std::optional<std::string>(const Method&, const PlannedRun&, std::size_t budget)>;

struct Expansion {
  std::vector<PlannedRun> runs;
  std::vector<std::string> skipped;  ///< one line for each that no rank fits
};

/// The runs of the grid, without repetition, always in one order: input, model, data, task, method,
/// then the settings in the order of run_settings, the method's options by name, the seed last.
/// Settings that cannot matter are dropped first: those of training where kind is count, rank and
/// alpha where the method has none, targets and layers of the method none. Throws UsageError for
/// more than 1,000,000 runs and for a missing model (kind fit: input), method or (kind train)
/// required setting.
Expansion expand(const Sweep& sweep, const Registry& registry, const RankChooser& choose_rank);

}  // namespace rankfold
