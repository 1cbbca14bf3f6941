#include "experiments/commands/result_input.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/runs/run_file.h"

namespace rankfold {

namespace fs = std::filesystem;

std::vector<Option> result_options(const std::string& what) {
  return {{.name = "input",
           .value = "FILE|DIR",
           .fallback = "",
           .meaning = what + "; may be repeated: all runs count as one sweep's",
           .repeated = true},
          {.name = "where",
           .value = "KEY=VALUE",
           .fallback = "",
           .meaning = "only runs with this task, model, method, rank, seed, layers or setting; "
                      "KEY=VALUE,VALUE: one of them (of targets, layers and train: VALUE;VALUE); "
                      "may be repeated",
           .repeated = true},
          {.name = "ignore",
           .value = "SETTING",
           .fallback = "",
           .meaning = "a setting that is to tell no runs apart; may be repeated",
           .repeated = true}};
}

Positional result_positional() {
  return {.name = "INPUT...", .required = false, .several = true};
}

ResultInput result_input(const Arguments& arguments, std::size_t first) {
  ResultInput input;
  std::vector<std::string> given = arguments.positionals();
  given.erase(given.begin(), given.begin() + static_cast<long>(std::min(first, given.size())));
  for (const std::string& place : arguments.texts("input")) given.push_back(place);
  for (const std::string& place : given) {
    std::error_code failure;
    const auto is_same = [&](const fs::path& other) {
      return other == place || fs::equivalent(other, place, failure);
    };
    if (std::ranges::any_of(input.places, is_same))
      throw UsageError("--input: {} is given twice", printable(place, 300));
    input.places.emplace_back(place);
  }
  input.selection = {arguments.texts("where"), arguments.texts("ignore")};
  return input;
}

std::vector<ResultRow> read_all_results(const ResultInput& input,
                                        const std::vector<const char*>& tables, std::ostream& err) {
  Results all;
  for (const fs::path& place : input.places) {
    Results results = read_results(table_of(place, tables));
    std::ranges::move(results.rows, std::back_inserter(all.rows));
    std::ranges::move(results.notes, std::back_inserter(all.notes));
  }
  if (all.rows.empty()) {
    tell_notes(all.notes, err);
    throw Error("{}: holds no results", printable(input.places.front().string(), 300));
  }
  settle_results(all, input.selection);
  tell_notes(all.notes, err);
  return all.rows;
}

void tell_notes(const std::vector<std::string>& notes, std::ostream& err) {
  for (const std::string& note : notes) err << note << '\n';
}

}  // namespace rankfold
