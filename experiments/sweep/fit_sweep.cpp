#include "experiments/sweep/fit_sweep.h"

#include <cmath>
#include <filesystem>
#include <set>

#include "core/adapter/rank_budget.h"
#include "core/base/csv.h"
#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/machine.h"
#include "core/device/device.h"
#include "core/fit/fit.h"
#include "core/fit/working_memory.h"
#include "experiments/sweep/count_sweep.h"
#include "experiments/sweep/fit_journal.h"

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
      fit_updates<T>(method, file.stack(), settings, source, fit, make_cpu_device());
  row.seconds = seconds_since(start);
  row.parameters = fitted.adapter->parameter_count();
  row.relative_error = fitted.report.relative_error;
  if (!std::isfinite(row.relative_error))
    throw Error("[{}] the updates are zero and the fit is not, so it has no relative error",
                method.name);
  row.starts = fitted.report.starts;
  row.sweeps = fitted.report.iterations;
}

std::size_t threads_of(const Sweep& sweep) {
  return sweep.fit_threads ? sweep.fit_threads : cpu_count();
}

FitRow new_row(const Sweep& sweep, const PlannedRun& run, const UpdateFiles& files) {
  FitRow row{
      .run = run, .model = files.name(run.input), .failure = {}, .threads = threads_of(sweep)};
  RunSettings& settings = row.run.settings;
  settings.values.try_emplace("seed", "0");
  settings.values["seed"] = std::to_string(settings.count("seed"));
  return row;
}

FitIdentity identity_of(const Sweep& sweep, const FitRow& row, const UpdateFiles& files) {
  FitIdentity fit = row.run.settings.values;
  for (const auto& [name, value] : row.run.settings.options)
    fit[row.run.settings.text("method") + "." + name] = value;
  fit["content"] = files.content(row.run.input);
  fit["heads"] = std::to_string(sweep.heads);
  const auto text = [](const std::optional<std::size_t>& number) {
    return number ? std::to_string(*number) : "";
  };
  fit["starts"] = text(sweep.fit.starts);
  fit["tolerance"] = canonical_number(sweep.fit.tolerance);
  fit["iterations"] = text(sweep.fit.iterations);
  fit["threads"] = std::to_string(row.threads);
  return fit;
}

}  // namespace

UpdateFiles::UpdateFiles(const std::vector<std::string>& inputs, const std::string& minus,
                         std::size_t heads)
    : minus_(minus) {
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

const std::string& UpdateFiles::content(const std::string& input) const {
  std::string& content = contents_[input];
  if (!content.empty()) return content;
  std::uint64_t hash = fnv1a("");
  for (const std::string& name : {input, minus_}) {
    if (name.empty()) continue;
    const MappedFile file(name);
    const std::span<const std::byte> bytes = file.bytes();
    hash = fnv1a({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, hash);
  }
  return content = fmt::format("{:016x}", hash);
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

std::vector<std::optional<FitRow>> kept_fits(const Sweep& sweep,
                                             const std::vector<PlannedRun>& runs,
                                             const UpdateFiles& files, const FitJournal& journal) {
  std::vector<std::optional<FitRow>> rows;
  for (const PlannedRun& run : runs) {
    FitRow row = new_row(sweep, run, files);
    rows.push_back(journal.find(identity_of(sweep, row, files), row) ? std::optional(std::move(row))
                                                                     : std::nullopt);
  }
  return rows;
}

void fit_missing(const Sweep& sweep, const std::vector<PlannedRun>& runs, const Registry& registry,
                 const UpdateFiles& files, FitJournal& journal,
                 std::vector<std::optional<FitRow>>& rows,
                 const std::function<void(const FitRow&)>& ended) {
  set_threads(static_cast<int>(threads_of(sweep)));
  keep_freed_memory();
  // Neighbours read the same file, which is opened once for all of them.
  std::string open;
  std::unique_ptr<UpdateSource<float>> single;
  std::unique_ptr<UpdateSource<double>> exact;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (rows[i]) continue;
    const PlannedRun& run = runs[i];
    const UpdateFile& file = files.at(run.input);
    if (run.input != open) {
      single.reset();
      exact.reset();
      if (file.is_double())
        exact = file.open<double>(kept_input_bytes);
      else
        single = file.open<float>(kept_input_bytes);
      open = run.input;
    }
    FitRow row = new_row(sweep, run, files);
    FitSettings fit = sweep.fit;
    fit.seed = row.run.settings.count("seed");
    const Method& method = registry.at(run.settings.text("method"));
    try {
      if (exact)
        run_one<double>(method, file, *exact, fit, row);
      else
        run_one<float>(method, file, *single, fit, row);
    } catch (const Error& error) {
      row.failure = error.what();
    }
    if (row.failure.empty()) journal.add(identity_of(sweep, row, files), row);
    rows[i] = std::move(row);
    if (ended) ended(*rows[i]);
  }
}

std::string fits_csv(const std::vector<std::optional<FitRow>>& all) {
  std::vector<FitRow> rows;
  for (const std::optional<FitRow>& row : all)
    if (row) rows.push_back(*row);
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
