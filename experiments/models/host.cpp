#include "experiments/models/host.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "experiments/models/config_file.h"

namespace rankfold {
namespace {

[[noreturn]] void refuse_language_model(const Host& host) {
  throw Error("{}: is a classifier, expected a language model", host.catalogue().model);
}

}  // namespace

HostOutput declared_output(const ConfigFile& config) {
  if (!config.has("architectures")) return HostOutput::classifier;
  const std::vector<std::string> names = config.texts("architectures");
  const bool tells_tokens = std::ranges::any_of(names, [](const std::string& name) {
    return name.ends_with("ForCausalLM") || name.ends_with("LMHeadModel");
  });
  return tells_tokens ? HostOutput::language_model : HostOutput::classifier;
}

std::vector<double> Host::answer_scores(const Batch&) {
  refuse_language_model(*this);
}

std::vector<float> Host::token_logits(const Batch&) {
  refuse_language_model(*this);
}

KeyValueCache Host::make_cache(std::span<const std::size_t>) const {
  refuse_language_model(*this);
}

std::vector<float> Host::next_logits(const Batch&, std::span<const std::size_t>, KeyValueCache&) {
  refuse_language_model(*this);
}

std::vector<float> Host::next_logits(std::span<const std::int32_t> ids, KeyValueCache& cache) {
  Batch batch;
  batch.ids.assign(ids.begin(), ids.end());
  batch.starts = {0, ids.size()};
  return next_logits(batch, std::array<std::size_t, 1>{0}, cache);
}

}  // namespace rankfold
