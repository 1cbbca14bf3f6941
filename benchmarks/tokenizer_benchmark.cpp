#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/tokenizers/tokenizer.h"
#include "experiments/tokenizers/tokenizer_cases.h"

// Texts to ids on one thread: the texts of the golden cases, and invented words, which no cache
// knows. RANKFOLD_TOKENIZER names a further tokenizer, or a model folder.

namespace rankfold {
namespace {

const std::filesystem::path golden_tokenizers =
    std::filesystem::path(RANKFOLD_BENCHMARK_SOURCE) / "tests/golden/tokenizers";

std::vector<std::string> case_texts() {
  std::vector<std::string> texts;
  for (const TokenizerCase& each :
       load_tokenizer_cases(golden_tokenizers / "byte-level-bpe/cases.json"))
    texts.push_back(each.text);
  return texts;
}

std::vector<std::string> invented_texts() {
  std::vector<std::string> texts(200);
  std::uint32_t state = 1;
  const auto draw = [&](std::uint32_t limit) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % limit;
  };
  for (std::string& text : texts)
    for (int word = 0; word < 200; ++word) {
      for (std::uint32_t letters = 2 + draw(9); letters > 0; --letters)
        text += static_cast<char>('a' + draw(26));
      text += ' ';
    }
  return texts;
}

void encode(benchmark::State& state, const std::filesystem::path& file,
            const std::vector<std::string>& texts) {
  const auto tokenizer = load_tokenizer(file);
  std::size_t tokens = 0, bytes = 0;
  for (auto _ : state)
    for (const std::string& text : texts) {
      tokens += tokenizer->encode(text).ids.size();
      bytes += text.size();
    }
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(tokens), benchmark::Counter::kIsRate);
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void load(benchmark::State& state, const std::filesystem::path& file) {
  for (auto _ : state) benchmark::DoNotOptimize(load_tokenizer(file));
}

void add(const std::string& name, const std::filesystem::path& file) {
  benchmark::RegisterBenchmark(
      ("encode/" + name + "/cases").c_str(),
      [file](benchmark::State& state) { encode(state, file, case_texts()); });
  benchmark::RegisterBenchmark(
      ("encode/" + name + "/invented").c_str(),
      [file](benchmark::State& state) { encode(state, file, invented_texts()); });
  benchmark::RegisterBenchmark(("load/" + name).c_str(),
                               [file](benchmark::State& state) { load(state, file); });
}

const int registered_tokenizers = [] {
  for (const char* kind : {"wordpiece", "byte-level-bpe", "llama-bpe", "unigram"})
    add(kind, golden_tokenizers / kind / "tokenizer.json");
  if (const char* other = std::getenv("RANKFOLD_TOKENIZER")) add("other", other);
  return 0;
}();

}  // namespace
}  // namespace rankfold
