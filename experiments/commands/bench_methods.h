#pragma once

#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/json_value.h"
#include "experiments/bench/skipped_method.h"
#include "experiments/commands/options.h"

// What the commands share that measure several methods one after the other.

namespace rankfold {

/// The methods of --method, which may be none for all. Throws UsageError where neither they nor
/// --rank are given (`command` says by whom), and for a wrong --rank or --threads.
std::vector<std::string> read_methods(const Arguments& arguments, const std::string& command);

/// Shows a bar where standard error is a terminal.
std::function<void(std::size_t done, std::size_t total)> method_progress();

/// One line a method that was left out.
void tell_skipped(const std::vector<SkippedMethod>& skipped, std::ostream& err);
JsonValue to_json(const std::vector<SkippedMethod>& skipped);

}  // namespace rankfold
