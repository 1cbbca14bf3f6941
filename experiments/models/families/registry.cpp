#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/families/family.h"

namespace rankfold {

std::span<const Family* const> families() {
  static const std::array table = {
      &albert_family(),     &bert_family(),  &camembert_family(),   &deberta_family(),
      &deberta_v2_family(), &gpt2_family(),  &llama_family(),       &mistral_family(),
      &opt_family(),        &qwen2_family(), &qwen3_family(),       &roberta_family(),
      &starcoder2_family(), &vit_family(),   &xlm_roberta_family(),
  };
  return table;
}

std::span<const std::string_view> preset_order() {
  static constexpr std::array<std::string_view, 24> order = {
      "roberta-base",    "roberta-large", "bert-base-uncased", "albert-base-v2", "deberta-base",
      "deberta-v3-base", "llama-7b",      "llama-2-7b",        "llama-2-13b",    "llama-2-70b",
      "llama-3-8b",      "llama-3.2-3b",  "gpt2-medium",       "gpt2-large",     "vit-base-patch16",
      "minilm-l6",       "smollm2-135m",  "llama-3.2-1b",      "qwen2.5-0.5b",   "qwen3-0.6b",
      "mistral-7b",      "gpt2",          "opt-1.3b",          "starcoder2-3b"};
  return order;
}

const Family* find_family(std::string_view name) {
  const auto all = families();
  const auto found =
      std::ranges::find_if(all, [&](const Family* family) { return family->name == name; });
  return found == all.end() ? nullptr : *found;
}

const Family& family_of(const ModelShape& shape) {
  const Family* family = find_family(shape.family);
  if (!family) throw Error("{}: there is no family '{}'", shape.name, shape.family);
  return *family;
}

std::string_view head_of(std::string_view tensor) {
  const auto all = families();
  const auto found = std::ranges::find_if(all, [&](const Family* family) {
    return tensor.starts_with(std::string(family->head) + ".");
  });
  return found == all.end() ? std::string_view() : (*found)->head;
}

bool is_in_a_head(std::string_view tensor) {
  return !head_of(tensor).empty();
}

std::vector<std::string> output_weights() {
  std::vector<std::string> names;
  for (const Family* family : families()) {
    std::string name = std::string(family->output_layer) + ".weight";
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

std::string loadable_families() {
  std::vector<std::string> names;
  for (const Family* family : families())
    if (family->load) names.emplace_back(family->name);
  return join(names, ", ");
}

}  // namespace rankfold
