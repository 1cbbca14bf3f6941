#include "experiments/sweep/fit_sweep.h"

#include <cmath>
#include <filesystem>
#include <set>

#include "analysis/csv.h"
#include "core/backend.h"
#include "core/elapsed.h"
#include "core/error.h"
#include "core/fit/fit.h"
#include "core/fit/working_memory.h"
#include "core/rank_budget.h"
#include "core/version.h"
#include "experiments/sweep/count_sweep.h"

namespace rankfold {
namespace {

MethodSettings settings_of(const Method& method, const PlannedRun& run, const Stack& stack) {
  return resolve_settings(method, method_request(run.settings), stack);
}

template <class T>
void run_one(const Method& method, const UpdateFile& file, const UpdateSource<T>& source,
             const FitSettings& fit, FitRow& row) {
  const MethodSettings settings = settings_of(method, row.run, file.stack());
  const auto start = Clock::now();
  const FittedUpdates<T> fitted =
      fit_updates<T>(method, file.stack(), settings, source, fit, make_openblas_backend());
  row.seconds = seconds_since(start);
  row.parameters = fitted.adapter->parameter_count();
  row.relative_error = fitted.report.relative_error;
  if (!std::isfinite(row.relative_error))
    throw Error("[{}] the updates are zero and the fit is not, so it has no relative error",
                method.name);
  row.starts = fitted.report.starts;
  row.sweeps = fitted.report.iterations;
}

}  // namespace

UpdateFiles::UpdateFiles(const std::vector<std::string>& inputs, const std::string& minus,
                         std::size_t heads) {
  std::map<std::string, int> times;
  for (const std::string& input : inputs) {
    if (files_.contains(input)) continue;
    files_.emplace(input, std::make_unique<UpdateFile>(input, minus, heads));
    ++times[std::filesystem::path(input).stem().string()];
  }
  for (const auto& [input, file] : files_) {
    const std::string stem = std::filesystem::path(input).stem().string();
    names_[input] = times[stem] == 1 ? stem : input;
  }
}

std::optional<std::string> fit_rank_within_budget(const Method& method, const PlannedRun& run,
                                                  std::size_t budget, const UpdateFiles& files) {
  const BudgetedRank chosen =
      choose_rank(method, method_request(run.settings), files.at(run.input).stack(), budget);
  return chosen.fits ? std::optional(chosen.rank) : std::nullopt;
}

void check_fits(const std::vector<PlannedRun>& runs, const Registry& registry,
                const UpdateFiles& files) {
  for (const PlannedRun& run : runs) {
    const Method& method = registry.at(run.settings.text("method"));
    const Stack& stack = files.at(run.input).stack();
    try {
      expect_fittable(method, stack, settings_of(method, run, stack),
                      files.at(run.input).has_minus());
    } catch (const UsageError& error) {
      throw UsageError("{} (in {})", error.what(), describe(run));
    } catch (const Error& error) {
      throw Error("{} (in {})", error.what(), describe(run));
    }
  }
}

std::vector<FitRow> fit_runs(const Sweep& sweep, const std::vector<PlannedRun>& runs,
                             const Registry& registry, const UpdateFiles& files,
                             const std::function<void(const FitRow&)>& ended) {
  const std::size_t threads = sweep.fit_threads ? sweep.fit_threads : cpu_count();
  set_threads(static_cast<int>(threads));
  keep_freed_memory();
  std::vector<FitRow> rows;
  // Neighbours read the same file, which is opened once for all of them.
  std::string open;
  std::unique_ptr<UpdateSource<float>> single;
  std::unique_ptr<UpdateSource<double>> exact;
  for (const PlannedRun& run : runs) {
    const UpdateFile& file = files.at(run.input);
    if (run.input != open) {
      single.reset();
      exact.reset();
      if (file.is_double())
        exact = file.open<double>(kept_bytes);
      else
        single = file.open<float>(kept_bytes);
      open = run.input;
    }
    FitRow row{.run = run, .model = files.name(run.input), .failure = {}, .threads = threads};
    FitSettings fit = sweep.fit;
    const auto seed = run.settings.values.find("seed");
    fit.seed = seed == run.settings.values.end() ? 0 : run.settings.count("seed");
    row.run.settings.values["seed"] = std::to_string(fit.seed);
    const Method& method = registry.at(run.settings.text("method"));
    try {
      if (exact)
        run_one<double>(method, file, *exact, fit, row);
      else
        run_one<float>(method, file, *single, fit, row);
    } catch (const Error& error) {
      row.failure = error.what();
    }
    if (ended) ended(row);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string fits_csv(const std::vector<FitRow>& rows) {
  std::vector<std::string> settings;
  std::set<std::string> options;
  for (const char* name : {"alpha", "preset"})
    for (const FitRow& row : rows)
      if (row.run.settings.values.contains(name)) {
        settings.emplace_back(name);
        break;
      }
  for (const FitRow& row : rows)
    for (const auto& [name, value] : row.run.settings.options)
      options.insert(row.run.settings.text("method") + "." + name);
  std::string text = "task,model,method,rank,seed";
  for (const std::string& name : settings) text += "," + name;
  for (const std::string& name : options) text += "," + csv_field(name);
  text += ",parameters,metric,score,seconds,starts,sweeps,threads,status\n";
  for (const FitRow& row : rows) {
    const RunSettings& given = row.run.settings;
    const bool done = row.failure.empty();
    text += fmt::format("fit,{},{},{},{}", csv_field(row.model), csv_field(given.text("method")),
                        csv_field(given.text("rank")), given.text("seed"));
    for (const std::string& name : settings) text += "," + csv_field(given.text(name));
    const std::string prefix = given.text("method") + ".";
    for (const std::string& name : options) {
      const auto found = name.starts_with(prefix) ? given.options.find(name.substr(prefix.size()))
                                                  : given.options.end();
      text += "," + (found == given.options.end() ? "" : csv_field(found->second));
    }
    text += done ? fmt::format(",{},relative_error,{:.9g},{:.4g},{},{},{},done\n", row.parameters,
                               row.relative_error, row.seconds, row.starts, row.sweeps, row.threads)
                 : fmt::format(",,relative_error,,,,,{},failed\n", row.threads);
  }
  return text;
}

}  // namespace rankfold
