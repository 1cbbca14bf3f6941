#include "experiments/training/zero_order_log.h"

#include <cmath>
#include <fstream>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view log_title = "rankfold zeroth-order log 1";

std::string line_of(const ZeroOrderStep& step, std::size_t index) {
  std::string line = fmt::format("{} {} {}", index, step.rate, step.gradient_scale);
  for (const double projection : step.projections) line += fmt::format(" {}", projection);
  return line + '\n';
}

std::optional<double> finite_number(const std::string& text) {
  const auto number = parse_number<double>(text);
  return number && std::isfinite(*number) ? number : std::nullopt;
}

std::optional<ZeroOrderStep> parse_step(const std::string& line, std::size_t index) {
  const std::vector<std::string> words = split(line, ' ');
  if (words.size() < 4 || parse_number<unsigned long>(words[0]) != index) return std::nullopt;
  std::vector<double> numbers;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto number = finite_number(words[i]);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return ZeroOrderStep{numbers[0], numbers[1], {numbers.begin() + 2, numbers.end()}};
}

}  // namespace

ZeroOrderLog::ZeroOrderLog(const fs::path& folder, const std::vector<ZeroOrderStep>& steps)
    : file_(folder / zero_order_log_name), steps_(steps) {
  std::string text = std::string(log_title) + '\n';
  for (std::size_t index = 0; index < steps.size(); ++index) text += line_of(steps[index], index);
  write_atomically(file_, text);
}

void ZeroOrderLog::add(const ZeroOrderStep& step) {
  std::ofstream file(file_, std::ios::binary | std::ios::app);
  file << line_of(step, steps_.size()) << std::flush;
  if (!file) throw Error("{}: cannot be written", printable(file_.string()));
  steps_.push_back(step);
}

bool is_zero_order_log(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string line;
  std::getline(stream, line);
  return line.empty() ? stream.eof() : line == log_title;
}

std::vector<ZeroOrderStep> read_zero_order_log(const fs::path& file) {
  const std::string text = read_text(file);
  std::vector<std::string> lines = split(text, '\n');
  // What a killed run wrote of a last line is none.
  lines.pop_back();
  if (lines.empty() || lines.front() != log_title)
    throw Error("{}: is no log of a zeroth-order run; expected the first line '{}'",
                printable(file.string()), log_title);
  std::vector<ZeroOrderStep> steps;
  for (std::size_t line = 1; line < lines.size(); ++line) {
    const auto step = parse_step(lines[line], line - 1);
    if (!step || (!steps.empty() && step->projections.size() != steps[0].projections.size()))
      throw Error("{}:{}: '{}' is no step; expected {}, rate, scale and projected gradients{}",
                  printable(file.string()), line + 1, printable(lines[line], 60), line - 1,
                  steps.empty() ? "" : ", as many as in the first");
    steps.push_back(*step);
  }
  return steps;
}

std::vector<ZeroOrderStep> replay_zero_order(const fs::path& file, TrainingSession& session,
                                             std::size_t most) {
  if (session.steps() > 0)
    throw Error("{}: is replayed from the start; the session has taken {} steps",
                printable(file.string()), session.steps());
  std::vector<ZeroOrderStep> steps = read_zero_order_log(file);
  if (steps.size() > most) steps.resize(most);
  for (const ZeroOrderStep& step : steps) {
    session.replay(step.projections);
    session.update(step.rate, step.gradient_scale);
  }
  return steps;
}

}  // namespace rankfold
