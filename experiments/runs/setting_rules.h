#pragma once

#include <string>
#include <string_view>

namespace rankfold {

/// Whether a setting of that name is no part of what was run. Of run.json: what is incidental, and
/// options of a command that older versions wrote beside the settings (out, jobs, ...).
bool is_incidental_setting(const std::string& name);

/// Under these a run's row keeps the fingerprints of what it read among its settings, until
/// settle_runs has compared them.
inline constexpr const char* model_fingerprint_key = "fingerprint of the model";
inline constexpr const char* data_fingerprint_key = "fingerprint of the data";

/// The name as command line and run.json have it: '-' for '_' and blanks ("max_length").
std::string setting_name(std::string_view column);

/// Whether a column of somebody's table tells how a run went, when and where it ran, or counts
/// rows, so that it tells no runs apart: measures (score, loss, train_seconds, ...), wall time,
/// dates, machines, pandas' unnamed index. With `only_numbers` also what is a measure by its name
/// if it holds numbers ("val_loss").
bool is_bookkeeping(const std::string& column, bool only_numbers);

/// Whether a text stands for a value that is missing: "", None, NaN, null, NA, N/A, <NA>, NaT.
bool is_missing_text(std::string_view text);

/// The value of a run.json in the form in which it is compared: that of setting_form, but paths as
/// they are.
std::string stored_form(const std::string& name, const std::string& text);

/// A setting's value in the one form of all texts that mean the same, so that equal texts are equal
/// settings: numbers (1e-3, 0.001, "1E-03"; 8, 8.0, "08"), true and false in any case, lists with
/// or without brackets, quotes and blanks; targets, train and layers in any order; "" where it is
/// missing. Other texts stay as they are, without blanks around them.
std::string setting_form(const std::string& name, std::string_view text);

}  // namespace rankfold
