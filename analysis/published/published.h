#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// The unit of a published score: of 1, of 100, or points on a scale of the benchmark's own.
enum class ScoreUnit { fraction, percent, points };

/// One cell of a published table, as the source prints it.
struct PublishedScore {
  std::string paper, table, task, model, method;
  std::string setting;                     ///< rank or what else the table varies; "" for nothing
  std::optional<std::int64_t> parameters;  ///< as rounded in the source; empty where it gives none
  std::string metric;
  ScoreUnit unit = ScoreUnit::percent;
  double score = 0;
  std::optional<double> deviation;  ///< over seeds, in the score's unit
  std::vector<std::string> flags;   ///< reservations; analysis/published/README.md explains them
  std::string source;               ///< paper or repository, and where in it
  std::string origin;               ///< file:line, for messages
};

/// A table of published scores as CSV.
struct PublishedTable {
  std::string_view name;  ///< of its file, for messages
  std::string_view text;
};

/// The files of analysis/published, which the program holds, by name.
std::span<const PublishedTable> published_tables();

/// Reads tables. Their columns are paper, table, task, model, method, setting, parameters, metric,
/// unit, score, deviation, flag (separated by ";"), source; cells of setting, parameters, deviation
/// and flag may be empty.
///
/// Throws Error naming file and line, what was found and what was expected: for a missing column,
/// an empty cell, a score that is no finite number or lies outside its unit, parameters that are no
/// positive whole number, a negative deviation, and a cell that two rows give.
std::vector<PublishedScore> read_published(std::span<const PublishedTable> tables);

}  // namespace rankfold
