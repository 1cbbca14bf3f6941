#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/folder_lock.h"
#include "core/base/json_text.h"
#include "core/base/progress.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/sweep_plan.h"
#include "experiments/commands/sweep_report.h"
#include "experiments/commands/text_table.h"
#include "experiments/sweep/count_sweep.h"
#include "experiments/sweep/fit_journal.h"
#include "experiments/sweep/fit_sweep.h"
#include "experiments/sweep/presets.h"
#include "experiments/sweep/sweep.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// The sweep of a paper that --preset names; null where it names a method's set-up. Throws
/// UsageError where it must be a sweep's, but is none.
const SweepPreset* chosen_preset(const Arguments& arguments) {
  if (!arguments.has("preset")) return nullptr;
  const std::string name = arguments.text("preset");
  std::vector<std::string> known;
  const bool has_file = !arguments.positional(0).empty();
  for (const SweepPreset& preset : sweep_presets()) {
    known.emplace_back(preset.name);
    if (preset.name != name) continue;
    if (has_file)
      throw UsageError("--preset {}: is a sweep as FILE is; expected one of them", name);
    return &preset;
  }
  if (!has_file && !arguments.has("method")) throw unknown_name("preset", name, known);
  return nullptr;
}

std::vector<SweepEntry> read_entries(const Arguments& arguments, Context& context) {
  std::vector<SweepEntry> file, given;
  const SweepPreset* const preset = chosen_preset(arguments);
  if (preset)
    file = read_sweep_text(std::string(preset->text), fmt::format("preset {}", preset->name));
  else if (!arguments.positional(0).empty())
    file = read_sweep_file(arguments.positional(0));
  const auto add = [&](const std::string& key) {
    if (arguments.has(key)) given.push_back({key, arguments.text(key), "--" + key});
  };
  for (const SettingSpec& spec : run_settings())
    if (!(preset && spec.name == "preset")) add(spec.name);
  for (const SettingSpec& spec : sweep_settings()) add(spec.name);
  for (const std::string& name : arguments.names())
    if (name.find('.') != std::string::npos) add(name);
  if (arguments.has("set")) given.push_back({"set", join(arguments.texts("set"), " "), "--set"});
  std::vector<std::string> told;
  std::vector<SweepEntry> entries = with_last_word(std::move(file), given, context.registry, told);
  for (const std::string& line : told) context.err << line << '\n';
  return entries;
}

/// A folder holds either tables or runs.
void expect_no_runs(const std::string& out) {
  std::error_code failure;
  if (fs::exists(fs::path(out) / "sweep.json", failure))
    throw Error("--out {}: holds a sweep of kind train (sweep.json); choose another folder",
                printable(out));
}

/// Makes the folder where it is missing.
const std::string& make_out(const std::string& out) {
  std::error_code failure;
  fs::create_directories(out, failure);
  if (failure) throw Error("--out {}: cannot be made: {}", printable(out), failure.message());
  return out;
}

int count_sweep(const Sweep& sweep, const Expansion& expansion, bool dry_run, ShapeStore& store,
                Context& context) {
  const std::vector<CountRow> rows = count_runs(expansion.runs, context.registry, store);
  const fs::path file = fs::path(sweep.out) / "counts.csv";
  if (dry_run) {
    print_counts(rows, context.json, context.out);
    return 0;
  }
  expect_no_runs(sweep.out);
  constexpr std::string_view beginnings[] = {"model,method,rank"};
  expect_replaceable(file, "table of counts", beginnings);
  const FolderLock lock(make_out(sweep.out));
  write_atomically(file, counts_csv(rows));
  if (context.json)
    context.out
        << nlohmann::ordered_json({{"out", file.string()}, {"settings", rows.size()}}).dump(2)
        << '\n';
  else
    context.out << fmt::format("{}: {}\n", file.string(),
                               counted(rows.size(), "setting", "settings"));
  return 0;
}

/// How far a sweep has come: a bar on a terminal, else a line for each that has ended, with the
/// time that the others will take.
class SweepProgress {
 public:
  SweepProgress(std::size_t total, std::ostream& err) : total_(total), err_(err) {
    if (standard_error_is_terminal() && total > 0)
      bar_ = std::make_unique<Progress>("sweep", total, true);
  }

  void ended(const std::string& text, bool failed, bool stopped = false) {
    ++ended_;
    if (bar_) bar_->update(ended_, text);
    if (bar_ && !failed) return;
    const double left =
        seconds_since(start_) * static_cast<double>(total_ - ended_) / static_cast<double>(ended_);
    message(fmt::format("[{}/{}] {}{}", ended_, total_, text,
                        left >= 1 && !stopped ? "; " + duration_text(left) + " left" : ""));
  }

  void message(const std::string& line) const {
    // The bar stands in the line; it is drawn again.
    err_ << (bar_ ? "\r\x1b[K" : "") << line << '\n' << std::flush;
  }

  void finish(bool completed) {
    if (bar_ && completed) bar_->finish();
    bar_.reset();
  }

 private:
  std::size_t total_, ended_ = 0;
  std::ostream& err_;
  Clock::time_point start_ = Clock::now();
  std::unique_ptr<Progress> bar_;
};

/// Whether the table is written with so many rows: always at first, less often as it grows.
bool is_due(std::size_t rows) {
  return rows % (rows / 256 + 1) == 0;
}

std::string fit_text(const FitRow& row) {
  return row.failure.empty() ? fmt::format("{}: relative error {:.6g}, {:.3f} s", describe(row.run),
                                           row.relative_error, row.seconds)
                             : fmt::format("{}: failed: {}", describe(row.run), row.failure);
}

/// "about 0:40", of the fits that are missing.
std::string fit_time_text(const std::vector<PlannedRun>& runs,
                          const std::vector<std::optional<FitRow>>& rows, const UpdateFiles& files,
                          const FitJournal& journal) {
  double seconds = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (rows[i]) continue;
    const double mean =
        journal.mean_seconds(runs[i].settings.text("method"), files.content(runs[i].input));
    if (mean == 0) return "time unknown: a method without a finished fit";
    seconds += mean;
  }
  return "about " + duration_text(seconds);
}

int fit_sweep(const Sweep& sweep, const Expansion& expansion, bool dry_run,
              const UpdateFiles& files, Context& context) {
  check_fits(expansion.runs, context.registry, files);
  const fs::path out = sweep.out, file = out / "fits.csv";
  std::optional<FolderLock> lock;
  if (!dry_run) {
    expect_no_runs(sweep.out);
    lock.emplace(make_out(sweep.out));
    const AtomicFile probe(file);  // what cannot be written is known before hours of fits
  }
  FitJournal journal(out / "fits.jsonl");
  std::vector<std::optional<FitRow>> rows = kept_fits(sweep, expansion.runs, files, journal);
  const auto open = static_cast<std::size_t>(
      std::ranges::count_if(rows, [](const auto& row) { return !row.has_value(); }));
  if (dry_run) {
    print_settings(expansion.runs, context.json, context.out);
    if (!context.json && open > 0)
      context.out << fmt::format("{} open: {}\n", open,
                                 fit_time_text(expansion.runs, rows, files, journal));
    return 0;
  }
  if (open < rows.size())
    context.err << fmt::format("{}, {} finished before\n", counted(rows.size(), "fit", "fits"),
                               rows.size() - open);
  SweepProgress progress(open, context.err);
  std::size_t failed = 0, done = rows.size() - open;
  fit_missing(sweep, expansion.runs, context.registry, files, journal, rows,
              [&](const FitRow& row) {
                failed += !row.failure.empty();
                progress.ended(printable(fit_text(row)), !row.failure.empty());
                if (is_due(++done)) write_atomically(file, fits_csv(rows));
              });
  progress.finish(true);
  write_atomically(file, fits_csv(rows));
  if (context.json)
    context.out << json_text(
        {{"out", file.string()}, {"settings", rows.size()}, {"failed", failed}});
  else
    context.out << fmt::format("{}: {}{}\n", file.string(), counted(rows.size(), "fit", "fits"),
                               failed ? fmt::format(", {} of them failed", failed) : "");
  return failed ? 1 : 0;
}

TrainSweepOptions sweep_options(const Sweep& sweep, const Context& context) {
  TrainSweepOptions options;
  options.program = {fs::read_symlink("/proc/self/exe").string(), "finetune"};
  for (const std::string& plugin : context.plugins)
    options.more.push_back("--plugin=" + fs::absolute(plugin).string());
  options.jobs = sweep.jobs;
  return options;
}

/// Measures the rates that plans go by while nothing else runs, so that all runs read the same.
void calibrate(const std::vector<SweepRun>& runs) {
  std::set<std::string> threads;
  for (const SweepRun& run : runs)
    if (run.state == RunState::open) threads.insert(run.given.text("threads"));
  for (const std::string& count : threads) {
    set_threads(static_cast<int>(parse_number<unsigned>(count).value_or(1)));
    make_calibrated_device();
  }
}

/// One run that has ended, as a line of progress.
std::string ended_text(const SweepRun& run, const fs::path& out) {
  const std::string name = run.folder.lexically_relative(out).string();
  if (run.state == RunState::failed)
    return fmt::format("{}: failed: {} (see {})", name, run.reason,
                       (run.folder / "log.txt").string());
  if (run.state == RunState::stopped) return name + ": stopped";
  return name + ": " + result_text(run);
}

int train_sweep(const Sweep& sweep, Expansion expansion, const Arguments& arguments,
                Context& context) {
  Contents contents;
  const bool dry_run = arguments.has("dry-run");
  SweepPlan plan = plan_runs(std::move(expansion.runs), sweep.out, context.registry, contents,
                             {.rerun_changed = arguments.has("rerun-changed"), .dry_run = dry_run});
  for (const std::string& note : plan.notes) context.err << note << '\n';
  const fs::path out = sweep.out;
  const ReportPlace place{out, context.registry, context.json, context.out};
  if (dry_run) {
    ShapeStore store(SweepKind::train, true);
    Forecaster forecaster(context.registry, store);
    print_plan(plan, sweep.jobs, forecaster, place);
    return 0;
  }
  std::vector<SweepRun>& runs = plan.runs;
  const TimeEstimate time = estimate(plan, sweep.jobs, context.registry);
  const std::size_t open = time.known + time.unknown;
  context.err << fmt::format("{}, {} finished before, {} at a time{}\n",
                             counted(runs.size(), "run", "runs"), runs.size() - open, sweep.jobs,
                             time.known > 0 ? ", " + estimate_text(time) : "");
  if (open > 0) calibrate(runs);
  SweepProgress progress(open, context.err);
  TrainSweepOptions options = sweep_options(sweep, context);
  options.content = [&](const RunSettings& run) -> const RunFingerprints& {
    return contents.of(run);
  };
  options.waits = [&](const SweepRun& run) {
    progress.message(fmt::format("{}: another process works in this folder; waiting for it",
                                 run.folder.lexically_relative(out).string()));
  };
  std::set<std::string> told;
  options.ended = [&](const SweepRun& run) {
    progress.ended(printable(ended_text(run, out)), run.state == RunState::failed,
                   run.state == RunState::stopped);
    if (run.result && !run.result->warmup_note.empty() &&
        told.insert(run.result->warmup_note).second)
      progress.message(run.result->warmup_note);
  };
  const bool completed = run_sweep(runs, out, context.registry, options);
  progress.finish(completed);
  print_report(runs, place);
  print_totals(runs, context.err);
  if (!completed) {
    context.err << "rankfold: stopped; finished runs are kept, the same command goes on\n";
    return 1;
  }
  return std::ranges::count(runs, RunState::failed, &SweepRun::state) > 0 ? 1 : 0;
}

Expansion expand_or_refuse(const Sweep& sweep, Context& context, const RankChooser& choose_rank) {
  Expansion expansion = expand(sweep, context.registry, choose_rank);
  for (const std::string& line : expansion.skipped) context.err << line << '\n';
  if (expansion.runs.empty()) throw UsageError("sweep: no run is left; expected a larger budget");
  return expansion;
}

int run_sweep_command(const Arguments& arguments, Context& context) {
  const std::vector<SweepEntry> entries = read_entries(arguments, context);
  if (entries.empty())
    throw UsageError("sweep: found no settings; expected a sweep file or options such as --method");
  Sweep sweep = parse_sweep(entries, context.registry);
  const bool dry_run = arguments.has("dry-run");
  if (sweep.out.empty() && !dry_run)
    throw UsageError("sweep: --out is missing; expected DIR (the folder of the results)");
  if (sweep.out.empty()) sweep.out = ".rankfold-dry-run";
  if (sweep.kind == SweepKind::fit) {
    const UpdateFiles files(sweep.inputs, sweep.minus, sweep.heads);
    const Expansion expansion = expand_or_refuse(
        sweep, context, [&](const Method& method, const PlannedRun& planned, std::size_t budget) {
          return fit_rank_within_budget(method, planned, budget, files);
        });
    return fit_sweep(sweep, expansion, dry_run, files, context);
  }
  if (dry_run && sweep.kind == SweepKind::train)
    for (const char* name : {"task", "data"})
      sweep.common.try_emplace(name, std::vector<std::string>{unknown_place});
  ShapeStore store(sweep.kind, dry_run);
  Expansion expansion = expand_or_refuse(
      sweep, context, [&](const Method& method, const PlannedRun& planned, std::size_t budget) {
        return rank_within_budget(method, planned, budget, store);
      });
  return sweep.kind == SweepKind::count
             ? count_sweep(sweep, expansion, dry_run, store, context)
             : train_sweep(sweep, std::move(expansion), arguments, context);
}

/// `--lotr.stack VALUE`, `--cola.epochs VALUE` and the like, for those that the words name;
/// parse_sweep knows which there are.
std::vector<Option> scoped_options(const std::vector<std::string>& words, const Registry&) {
  std::vector<Option> options;
  for (const std::string& word : words) {
    if (!word.starts_with("--")) continue;
    const std::string name = word.substr(2, std::min(word.find('='), word.size()) - 2);
    if (name.find('.') == std::string::npos) continue;
    if (std::ranges::find(options, name, &Option::name) != options.end()) continue;
    options.push_back({name, "VALUES", "", "", false});
  }
  return options;
}

}  // namespace

Command sweep_command() {
  std::vector<Option> options = {
      {"dry-run", "", "",
       "print the runs, what they train, their steps and about how long they take; run nothing"},
      {"rerun-changed", "", "", "make finished runs again whose model or data is another by now"}};
  for (const SettingSpec& spec : sweep_settings())
    options.push_back({spec.name, spec.value, spec.fallback, spec.meaning});
  for (const Option& option : setting_options(false)) options.push_back(option);
  options.push_back(set_option());
  std::ranges::find(options, "preset", &Option::name)->meaning =
      "in place of FILE: a paper's sweep; with a method: a published set-up of it";
  return {
      "sweep",
      "runs a grid of methods, ranks, layers, seeds, ...: training runs, counts or fits",
      {{"FILE", false}},
      options,
      "Every setting may be a list: scalars with commas (--rank 1,2,4), lists with ';' between "
      "them\n(--targets 'q,v;q,k,v,o'). --METHOD.KEY gives a setting, or a key of the method, for "
      "one method,\n--TASK.KEY a setting for one task, --METHOD.TASK.KEY for both: --lora.lr "
      "1e-3,2e-3 --lotr.stack\none,per-type --cola.epochs 10. A table of your own is TASK by its "
      "file "
      "without the ending. The narrower\nsetting replaces the common one. FILE holds the same as "
      "`key = value` lines; '#' begins a comment; the\ncommand line has the last word, over "
      "narrower "
      "keys of FILE too.\n\n"
      "Results lie in OUT/TASK/MODEL/METHOD/lr=.../rank=.../.../seed=.../: lr, rank and seed, "
      "and what varies\nor differs from its default. Finished runs are found by their settings "
      "and not repeated, so a sweep\nmay grow: add values and run it again.",
      run_sweep_command,
      scoped_options};
}

}  // namespace rankfold
