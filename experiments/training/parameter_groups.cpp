#include "experiments/training/parameter_groups.h"

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/network/stack.h"

namespace rankfold {
namespace {

constexpr std::string_view biases_and_norms = "biases-and-norms";

std::vector<std::string> words_of(const std::string& list) {
  std::vector<std::string> words;
  if (list.empty()) return words;
  for (const std::string& part : split(list, ',')) words.emplace_back(trim(part));
  return words;
}

bool is_left_out(const ParameterGroups& groups, const std::string& name, const std::string& kind,
                 bool is_norm) {
  return std::ranges::any_of(groups.no_decay, [&](const std::string& word) {
    if (word == biases_and_norms) return is_norm || kind.find("bias") != std::string::npos;
    return fits_pattern(word, name);
  });
}

void expect_names(const ParameterGroups& groups, const std::vector<TrainedSpan>& tensors) {
  for (const std::string& word : groups.no_decay) {
    if (word == biases_and_norms || word.find_first_of("*?") != std::string::npos) continue;
    if (std::ranges::find(tensors, word, &TrainedSpan::name) != tensors.end()) continue;
    std::vector<std::string> names{std::string(biases_and_norms)};
    for (const TrainedSpan& tensor : tensors) names.push_back(tensor.name);
    throw unknown_name("tensor for --no-decay", word, names);
  }
}

}  // namespace

ParameterGroups parameter_groups(const RunSettings& settings) {
  ParameterGroups groups;
  groups.no_decay = words_of(settings.text("no-decay"));
  if (!settings.text("lr-head").empty())
    groups.head_rate = settings.number("lr-head") / settings.number("lr");
  for (const std::string& word : words_of(settings.text("lr-ratio"))) {
    const std::size_t sign = word.find('=');
    const std::string factor = word.substr(0, sign);
    const auto ratio =
        sign == std::string::npos ? std::nullopt : parse_number<double>(word.substr(sign + 1));
    if (factor.empty() || !ratio || !(*ratio > 0) || *ratio > 1e30)
      throw UsageError("--lr-ratio is '{}'; expected FACTOR=X with X positive, as B=16",
                       printable(word, 80));
    if (!groups.factor_rates.emplace(factor, *ratio).second)
      throw UsageError("--lr-ratio names factor '{}' twice", printable(factor, 80));
  }
  return groups;
}

std::vector<TrainedSpan> trained_spans(Adapter<float>& adapter, Host& host,
                                       const ParameterGroups& groups) {
  std::vector<TrainedSpan> tensors;
  std::set<std::string> factors;
  for (Parameter<float>& parameter : adapter.parameters()) {
    if (!parameter.trainable) continue;
    factors.insert(parameter.factor);
    const auto rate = groups.factor_rates.find(parameter.factor);
    tensors.push_back({parameter.name,
                       {parameter.value.data(), parameter.value.size()},
                       {parameter.gradient.data(), parameter.gradient.size()},
                       rate == groups.factor_rates.end() ? 1 : rate->second,
                       !is_left_out(groups, parameter.name, parameter.factor, false)});
  }
  for (const auto& [factor, rate] : groups.factor_rates)
    if (!factors.contains(factor))
      throw unknown_name("factor for --lr-ratio", factor,
                         std::vector<std::string>(factors.begin(), factors.end()));
  for (const TrainedTensor& tensor : host.trained())
    tensors.push_back(
        {tensor.name, tensor.value, tensor.gradient,
         tensor.part == TrainedTensor::Part::head ? groups.head_rate : 1,
         !is_left_out(groups, tensor.name, tensor.name, tensor.part == TrainedTensor::Part::norm)});
  expect_names(groups, tensors);
  return tensors;
}

}  // namespace rankfold
