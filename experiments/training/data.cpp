#include "experiments/training/data.h"

#include <algorithm>
#include <array>
#include <exception>
#include <numeric>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "experiments/models/shapes.h"
#include "experiments/training/feature_cache.h"

namespace rankfold {
namespace {

std::vector<std::vector<std::size_t>> cut(const std::vector<std::size_t>& order,
                                          std::size_t batch) {
  std::vector<std::vector<std::size_t>> batches;
  for (std::size_t begin = 0; begin < order.size(); begin += batch) {
    const std::size_t end = std::min(order.size(), begin + batch);
    batches.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(begin),
                         order.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return batches;
}

std::string place_of(const Example& example, const std::vector<std::filesystem::path>& files) {
  return fmt::format("{}:{}", printable(files.at(example.part).string()), example.line);
}

}  // namespace

void for_all_examples(std::size_t examples, const std::function<void()>& pause,
                      const std::function<void(std::size_t)>& work) {
  constexpr std::size_t block = 4096;
  for (std::size_t begin = 0; begin < examples; begin += block) {
    if (pause) pause();
    const std::size_t end = std::min(examples, begin + block);
    std::vector<std::exception_ptr> failures(end - begin);
#pragma omp parallel for schedule(dynamic, 16)
    for (std::size_t i = begin; i < end; ++i) {
      // An exception may not leave the parallel loop.
      try {
        work(i);
      } catch (...) {
        failures[i - begin] = std::current_exception();
      }
    }
    for (const std::exception_ptr& failure : failures)
      if (failure) std::rethrow_exception(failure);
  }
}

EncodedSplit encode_split(const std::vector<Example>& examples,
                          const std::vector<std::filesystem::path>& files,
                          const Tokenizer& tokenizer, std::size_t max_length,
                          const std::function<void()>& pause) {
  EncodedSplit split;
  split.sequences.resize(examples.size());
  split.labels.resize(examples.size());
  for (const Example& example : examples) split.parts.push_back(example.part);
  for_all_examples(examples.size(), pause, [&](std::size_t i) {
    const Example& example = examples[i];
    const auto pair =
        example.pair.empty() ? std::nullopt : std::optional<std::string_view>(example.pair);
    split.sequences[i] = tokenizer.encode(example.text, pair, max_length);
    split.labels[i] = example.label;
    if (split.sequences[i].ids.empty())
      throw Error("{}: the tokenizer makes no tokens of '{}', expected at least one",
                  place_of(example, files), printable(example.text, 60));
  });
  return split;
}

void check_max_length(std::size_t max_length, const Host& host,
                      const std::filesystem::path& model) {
  if (max_length <= host.max_tokens()) return;
  const std::size_t positions = read_shape(model).positions, tokens = positions - host.max_tokens();
  if (positions > host.max_tokens())
    throw UsageError(
        "--max-length is {}; expected at most {}: of the {} positions of the model in {} virtual "
        "tokens take {}",
        max_length, host.max_tokens(), positions, model.string(), tokens);
  throw UsageError("--max-length is {}; expected at most the {} positions of the model in {}",
                   max_length, host.max_tokens(), model.string());
}

void check_split(const EncodedSplit& split, const std::vector<Example>& examples,
                 const std::vector<std::filesystem::path>& files, const Host& host) {
  for (std::size_t i = 0; i < split.size(); ++i) {
    const Batch alone = pack(split, std::array{i});
    try {
      host.check(alone);
    } catch (const Error& failure) {
      throw Error("{}: {}", place_of(examples[i], files), failure.what());
    }
  }
}

std::size_t mean_batch_tokens(const EncodedSplit& split, std::size_t batch) {
  std::size_t tokens = 0;
  for (const Encoding& sequence : split.sequences) tokens += sequence.ids.size();
  return std::max<std::size_t>(1, tokens * batch / std::max<std::size_t>(1, split.size()));
}

Batch pack(const EncodedSplit& split, std::span<const std::size_t> chosen) {
  Batch batch;
  std::size_t tokens = 0;
  for (std::size_t index : chosen) tokens += split.sequences[index].ids.size();
  batch.ids.reserve(tokens);
  batch.type_ids.reserve(tokens);
  batch.starts.push_back(0);
  for (std::size_t index : chosen) {
    const Encoding& sequence = split.sequences[index];
    batch.ids.insert(batch.ids.end(), sequence.ids.begin(), sequence.ids.end());
    batch.type_ids.insert(batch.type_ids.end(), sequence.type_ids.begin(), sequence.type_ids.end());
    batch.starts.push_back(batch.ids.size());
    batch.labels.push_back(split.labels[index]);
  }
  return batch;
}

std::vector<std::vector<std::size_t>> epoch_batches(std::size_t examples, std::size_t batch,
                                                    std::uint64_t seed, std::size_t epoch) {
  return cut(RandomStream(seed, "shuffle", epoch).permutation(examples), batch);
}

std::vector<float> predict_split(Host& host, const EncodedSplit& split, std::size_t batch,
                                 std::size_t labels, const ScoringProgress& progress,
                                 FeatureCache* features) {
  std::vector<std::size_t> order(split.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return split.sequences[a].ids.size() > split.sequences[b].ids.size();
  });
  std::vector<float> logits(split.size() * labels);
  std::size_t done = 0;
  for (const std::vector<std::size_t>& chosen : cut(order, batch)) {
    Batch packed = pack(split, chosen);
    if (features) features->add_features(packed, chosen);
    const std::vector<float> part = host.predict(packed);
    if (part.size() != chosen.size() * labels) {
      throw Error("the network gave {} logits for {} sequences; expected {} a sequence",
                  part.size(), chosen.size(), labels);
    }
    for (std::size_t row = 0; row < chosen.size(); ++row) {
      std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(row * labels), labels,
                  logits.begin() + static_cast<std::ptrdiff_t>(chosen[row] * labels));
    }
    done += chosen.size();
    if (progress) progress(done, split.size());
  }
  return logits;
}

}  // namespace rankfold
