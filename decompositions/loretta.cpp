#include "decompositions/loretta.h"

#include <algorithm>
#include <cmath>

#include <fmt/ranges.h>

#include "decompositions/train_shapes.h"

namespace rankfold {
namespace {

/// Table 10 of arXiv 2402.11417, for the trains of LoRETTA_adp (64) and LoRETTA_rep (8, 16, 32),
/// and the 768 x 768 head.
const std::vector<TrainShape>& published_shapes() {
  static const std::vector<TrainShape> shapes = {
      {768, 64, {8, 8, 12, 8, 8}},       {64, 768, {8, 8, 12, 8, 8}},
      {4096, 64, {16, 16, 16, 4, 4, 4}}, {64, 4096, {4, 4, 4, 16, 16, 16}},
      {768, 8, {8, 8, 12, 8}},           {8, 768, {8, 12, 8, 8}},
      {768, 16, {8, 8, 12, 4, 4}},       {16, 768, {4, 4, 12, 8, 8}},
      {768, 32, {8, 8, 12, 8, 4}},       {32, 768, {4, 8, 12, 8, 8}},
      {4096, 8, {8, 8, 8, 8, 8}},        {8, 4096, {8, 8, 8, 8, 8}},
      {4096, 16, {8, 8, 8, 8, 4, 4}},    {16, 4096, {4, 4, 8, 8, 8, 8}},
      {4096, 32, {8, 8, 8, 8, 8, 4}},    {32, 4096, {4, 8, 8, 8, 8, 8}},
      {768, 768, {12, 8, 8, 8, 8, 12}},
  };
  return shapes;
}

}  // namespace

std::vector<std::size_t> loretta_shape(const std::vector<std::size_t>& given, std::size_t inputs,
                                       std::size_t outputs) {
  if (!given.empty()) return given;
  const auto* published = find_train_shape(published_shapes(), inputs, outputs);
  return published ? *published : balanced_train_shape(inputs, outputs);
}

std::vector<std::string> loretta_notes(const std::string& method, const Stack& stack,
                                       const MethodSettings& settings,
                                       const std::string& first_shape,
                                       const std::string& second_shape,
                                       std::pair<std::size_t, std::size_t> (*sides)(const Site&)) {
  const std::size_t bottleneck = settings.count("bottleneck");
  std::vector<std::string> notes;
  const auto add = [&](const std::string& option, std::size_t inputs, std::size_t outputs) {
    if (!settings.text(option).empty() || find_train_shape(published_shapes(), inputs, outputs))
      return;
    std::string note = fmt::format(
        "[{}] {} of {} x {}: {} (balanced; the paper's table has no such sizes)", method, option,
        inputs, outputs, fmt::join(loretta_shape({}, inputs, outputs), ","));
    if (std::ranges::find(notes, note) == notes.end()) notes.push_back(std::move(note));
  };
  for (const Site& site : stack.sites) {
    const auto [inputs, outputs] = sides(site);
    add(first_shape, inputs, bottleneck);
    add(second_shape, bottleneck, outputs);
  }
  return notes;
}

Block loretta_train(const std::string& prefix, const std::vector<std::size_t>& shape,
                    std::size_t rank, const Mode& inputs, const Mode& outputs,
                    const std::string& what) {
  const auto length = static_cast<double>(shape.size());
  const double deviation = std::pow(static_cast<double>(inputs.size + outputs.size), -0.5 / length);
  std::vector<Initialiser> initialisers(shape.size(),
                                        normal(deviation / std::sqrt(static_cast<double>(rank))));
  initialisers.back() = normal(deviation);
  return tensor_train(prefix, shape, rank, {inputs, outputs}, initialisers, Owner::site, what);
}

}  // namespace rankfold
