#pragma once

#include <string>

#include "analysis/report/report_settings.h"
#include "experiments/runs/run_record.h"

namespace rankfold {

// Parts of the report's page as HTML; "" where the records tell nothing of them.

/// How many runs ended how, what was run, and when and by which version the page was made.
std::string summary_section(const RunRecords& records, const std::string& date);
/// The mean with Student's 95 % interval of runs that differ in the task and the seed alone.
std::string score_section(const RunRecords& records);
/// Counts of parameters by method and rank.
std::string parameter_section(const RunRecords& records);
std::string setting_section(const SortedSettings& use);
std::string machine_section(const RunRecords& records);
/// Runs that are not done, and why.
std::string failure_section(const RunRecords& records);

}  // namespace rankfold
