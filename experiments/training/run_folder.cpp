#include "experiments/training/run_folder.h"

#include <algorithm>
#include <map>
#include <system_error>
#include <vector>

#include "analysis/logs/event_log.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_field.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "experiments/runs/run_result.h"
#include "experiments/training/checkpoint.h"
#include "experiments/training/run_log.h"
#include "experiments/training/zero_order_log.h"

namespace rankfold {

namespace fs = std::filesystem;

namespace {

std::string text_or_unset(const std::map<std::string, std::string>& values,
                          const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() || found->second.empty() ? "not set" : found->second;
}

constexpr const char* run_file = "run.json";
constexpr const char* adapter_folder = "adapter";
constexpr const char* adapter_files[] = {"adapter_config.json", "adapter_model.safetensors"};

bool entry_exists(const fs::path& path) {
  std::error_code failure;
  return fs::exists(fs::symlink_status(path, failure));
}

/// Whether it was missing.
bool make_folder(const fs::path& out) {
  std::error_code failure;
  const bool made = fs::create_directories(out, failure);
  if (failure)
    throw Error("--out {}: cannot be made: {}", printable(out.string()), failure.message());
  return made;
}

/// The files besides run.json that a run leaves: its adapter's, event files, a zeroth-order log.
std::vector<fs::path> result_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const char* name : adapter_files)
    if (entry_exists(folder / adapter_folder / name))
      files.push_back(folder / adapter_folder / name);
  if (entry_exists(folder / zero_order_log_name)) files.push_back(folder / zero_order_log_name);
  std::error_code failure;
  fs::directory_iterator entry(folder, failure);
  for (; !failure && entry != fs::directory_iterator(); entry.increment(failure))
    if (entry->path().filename().native().starts_with("events.out.tfevents."))
      files.push_back(entry->path());
  if (failure)
    throw Error("{}: cannot be listed: {}", printable(folder.string()), failure.message());
  return files;
}

/// Whether such a file is a run's.
bool is_own(const fs::path& file) {
  try {
    if (file.filename() == adapter_files[0]) {
      const JsonDocument document(file);
      const auto format = document.root().find("format");
      return format && format->string_or_nothing() == "rankfold";
    }
    if (file.filename() == adapter_files[1]) {
      const auto metadata = SafetensorsFile(file).metadata();
      const auto format = metadata.find("format");
      return format != metadata.end() && format->second == "rankfold";
    }
    if (file.filename() == zero_order_log_name) return is_zero_order_log(file);
    return is_run_log(file);
  } catch (const std::exception&) {
    return false;
  }
}

bool has_run_log(const fs::path& folder, const RunSettings& settings, bool of_any) {
  return std::ranges::any_of(result_files(folder), [&](const fs::path& file) {
    if (file.parent_path() != folder || file.filename() == zero_order_log_name) return false;
    return of_any ? read_session(file) && is_run_log(file) : is_log_of(file, settings);
  });
}

/// run.json first: without it nothing is taken for a finished run.
void remove_results(const fs::path& folder) {
  std::vector<fs::path> files = result_files(folder);
  files.insert(files.begin(), folder / run_file);
  for (const fs::path& file : files) {
    std::error_code failure;
    fs::remove(file, failure);
    if (failure)
      throw Error("{}: cannot be removed: {}", printable(file.string()), failure.message());
  }
}

}  // namespace

std::string first_difference(const RunSettings& there, const RunSettings& here) {
  for (const SettingSpec& spec : run_settings()) {
    const std::string left = text_or_unset(there.values, spec.name),
                      right = text_or_unset(here.values, spec.name);
    if (left != right) return fmt::format("{} is {} there and {} here", spec.name, left, right);
  }
  std::map<std::string, std::string> names = there.options;
  names.insert(here.options.begin(), here.options.end());
  for (const auto& [name, unused] : names) {
    const std::string left = text_or_unset(there.options, name),
                      right = text_or_unset(here.options, name);
    if (left != right) return fmt::format("{} is {} there and {} here", name, left, right);
  }
  return "";
}

RunFolder::RunFolder(const fs::path& out, const RunSettings& settings, bool force)
    : out_(out), place_(out), made_(make_folder(out)), lock_(out) {
  if (entry_exists(out_ / run_file)) {
    try {
      keeps_ = read_run(out_ / run_file).status != "failed";
    } catch (const Error& failure) {
      if (!has_run_log(out_, settings, force))
        throw Error(
            "{}; what lies there is not written over: expected --out to be a new folder or one of "
            "rankfold's runs",
            failure.what());
      unreadable_ = failure.what();
      keeps_ = true;
    }
  }
  for (const fs::path& file : result_files(out_))
    if (!is_own(file))
      throw Error(
          "{}: was not written by a run of rankfold and would be lost; expected --out to be a new "
          "folder or one of its runs",
          printable(file.string()));
  if (entry_exists(checkpoint()) && !is_checkpoint(checkpoint()))
    throw Error(
        "{}: is no checkpoint of a run of rankfold and would be lost; expected --out to be a new "
        "folder or one of its runs",
        printable(checkpoint().string()));
  { const AtomicFile probe(out_ / run_file); }
}

RunFolder::~RunFolder() {
  attempt_.reset();
  std::error_code ignored;
  if (made_) fs::remove(out_, ignored);  // only where it is empty
}

const fs::path& RunFolder::begin() {
  for (const fs::path& folder : {out_, out_ / adapter_folder}) remove_leftovers(folder);
  if (keeps_) {
    attempt_.emplace(out_);
    place_ = attempt_->path();
  } else {
    remove_results(out_);
  }
  return place_;
}

void RunFolder::finish(const std::string& run_json) {
  // Whatever may fail for want of space does so before anything is replaced.
  write_atomically(place_ / run_file, run_json);
  if (!attempt_) return remove_checkpoint();
  std::vector<fs::path> files = result_files(place_);
  remove_results(out_);
  files.push_back(place_ / run_file);
  for (const fs::path& file : files) {
    const fs::path target = out_ / file.lexically_relative(place_);
    std::error_code failure;
    fs::create_directories(target.parent_path(), failure);
    fs::rename(file, target, failure);
    if (failure)
      throw Error("{}: cannot be moved: {}", printable(file.string()), failure.message());
  }
  remove_checkpoint();
}

void RunFolder::remove_checkpoint() const {
  std::error_code ignored;
  fs::remove(checkpoint(), ignored);
}

bool RunFolder::fail(const std::string& run_json) {
  if (!keeps_) write_atomically(out_ / run_file, run_json);
  return !keeps_;
}

}  // namespace rankfold
