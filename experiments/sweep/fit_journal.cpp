#include "experiments/sweep/fit_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_field.h"
#include "core/base/system_error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// Appends in one piece, so that a line is whole unless the disk is full.
void append(const fs::path& file, const std::string& text) {
  const std::string name = printable(file.string());
  const int descriptor =
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0666);
  if (descriptor < 0) throw Error("{}: cannot be written: {}", name, system_reason(errno));
  const ssize_t written = ::write(descriptor, text.data(), text.size());
  const int failure = written < 0 ? errno : ENOSPC;
  ::close(descriptor);
  if (written != static_cast<ssize_t>(text.size()))
    throw Error("{}: cannot be written: {}", name, system_reason(failure));
}

}  // namespace

FitJournal::FitJournal(fs::path file) : file_(std::move(file)) {
  std::error_code failure;
  if (!fs::exists(file_, failure)) return;
  const std::string text = read_text(file_);
  ends_in_a_line_ = text.empty() || text.ends_with('\n');
  for (const std::string& line : split(text, '\n'))
    if (!line.empty()) read_line(line);
}

void FitJournal::read_line(std::string_view line) {
  try {
    const JsonDocument document(file_, line);
    const JsonField entry = document.root();
    const auto count = [&](const char* name) {
      return static_cast<std::size_t>(entry.member(name).integer(0, INT64_MAX));
    };
    const Kept kept{count("parameters"),
                    count("starts"),
                    count("sweeps"),
                    count("threads"),
                    entry.member("relative_error").number(),
                    entry.member("seconds").number()};
    FitIdentity fit;
    for (const auto& [name, value] : entry.member("fit").members()) fit[name] = value.string();
    kept_.insert_or_assign(std::move(fit), kept);
  } catch (const Error&) {  // a line that a killed process left, or somebody else
  }
}

bool FitJournal::find(const FitIdentity& fit, FitRow& row) const {
  const auto found = kept_.find(fit);
  if (found == kept_.end()) return false;
  const Kept& kept = found->second;
  row.parameters = kept.parameters;
  row.starts = kept.starts;
  row.sweeps = kept.sweeps;
  row.threads = kept.threads;
  row.relative_error = kept.relative_error;
  row.seconds = kept.seconds;
  return true;
}

void FitJournal::add(const FitIdentity& fit, const FitRow& row) {
  const Json entry = {{"fit", fit},
                      {"parameters", row.parameters},
                      {"relative_error", row.relative_error},
                      {"seconds", row.seconds},
                      {"starts", row.starts},
                      {"sweeps", row.sweeps},
                      {"threads", row.threads}};
  append(file_, (ends_in_a_line_ ? "" : "\n") +
                    entry.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  ends_in_a_line_ = true;
}

double FitJournal::mean_seconds(const std::string& method, const std::string& content) const {
  double sum = 0, count = 0;
  for (const auto& [fit, kept] : kept_) {
    if (fit.at("method") != method || fit.at("content") != content) continue;
    sum += kept.seconds;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace rankfold
