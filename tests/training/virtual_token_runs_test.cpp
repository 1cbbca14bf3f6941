#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

class VirtualTokenRuns : public Workplace {
 protected:
  RunSettings run_of(const std::string& method, std::map<std::string, std::string> options = {},
                     std::map<std::string, std::string> values = {}) const {
    RunSettings run = settings(method, "");
    run.options = std::move(options);
    run.options.try_emplace("tokens", "5");
    for (auto& [name, value] : values) run.values[name] = value;
    return run;
  }
  /// The embeddings of a prompt after a step that changes nothing.
  std::vector<float> start(std::map<std::string, std::string> options, const std::string& out) {
    const RunResult result =
        finetune(run_of("prompt", std::move(options), {{"lr", "1e-30"}, {"epochs", "1"}}),
                 folder / out, builtin_registry());
    EXPECT_EQ(result.status, "done") << result.error;
    const SafetensorsFile file(folder / out / "adapter/adapter_model.safetensors");
    return file.read<float>("P.virtual_tokens");
  }
  std::string refusal(const RunSettings& run) {
    return error_of([&] { finetune(run, folder / "refused", builtin_registry()); });
  }
};

TEST_F(VirtualTokenRuns, AreScoredAgainAsTheyWere) {
  for (const char* method : {"prompt", "prefix"})
    for (const char* optimizer : {"adamw", "zo-sgd"}) {
      const auto out = folder / (std::string(method) + optimizer);
      std::map<std::string, std::string> values = {{"optimizer", optimizer}};
      if (std::string_view(optimizer) == "zo-sgd") values["dropout"] = values["clip"] = "0";
      const RunResult result = finetune(run_of(method, {}, values), out, builtin_registry());
      ASSERT_EQ(result.status, "done") << result.error;
      EXPECT_EQ(result.parameters.adapter, method == std::string("prompt") ? 5 * 32U : 5 * 128U);
      EvaluationRequest request;
      request.model = folder / "model";
      request.adapter = out / "adapter";
      request.data = folder / "data";
      request.threads = 1;
      EXPECT_EQ(evaluate(request, builtin_registry()).scores, result.scores) << method << optimizer;
    }
}

TEST_F(VirtualTokenRuns, StartAsTheTokensOfATextRepeatedOrCut) {
  const SafetensorsFile model(folder / "model/model.safetensors");
  const std::vector<float> words = model.read<float>("bert.embeddings.word_embeddings.weight");
  const auto rows_of = [&](const std::vector<int>& ids) {
    std::vector<float> rows;
    for (const int id : ids)
      rows.insert(rows.end(), words.begin() + id * 32, words.begin() + (id + 1) * 32);
    return rows;
  };
  EXPECT_EQ(start({{"init", "text"}, {"init-text", "w9 w40"}}, "repeated"),
            rows_of({2, 9, 40, 3, 2}));
  EXPECT_EQ(start({{"init", "text"}, {"init-text", "w9 w40"}, {"tokens", "3"}}, "cut"),
            rows_of({2, 9, 40}));
  const std::vector<float> drawn = start({{"init", "vocabulary"}}, "drawn");
  for (std::size_t token = 0; token < 5; ++token) {
    const std::span row = std::span(drawn).subspan(token * 32, 32);
    std::size_t found = 0;
    for (std::size_t word = 0; word < words.size() / 32; ++word)
      found += std::ranges::equal(row, std::span(words).subspan(word * 32, 32));
    EXPECT_EQ(found, 1U) << token;
  }
}

TEST_F(VirtualTokenRuns, RefuseWhatMeansNothingToThem) {
  EXPECT_THAT(refusal(run_of("prompt", {{"init", "text"}})), HasSubstr("expected init=text with"));
  EXPECT_THAT(refusal(run_of("prompt", {{"init-text", "w9"}})),
              HasSubstr("expected init=text with"));
  EXPECT_THAT(refusal(run_of("prefix", {}, {{"adapter-dropout", "0.1"}})),
              HasSubstr("--adapter-dropout"));
  EXPECT_THAT(refusal(run_of("prefix", {}, {{"targets", "q"}})), HasSubstr("acts on no weight"));
  EXPECT_THAT(refusal(run_of("prompt", {}, {{"layers", "0"}})), HasSubstr("expected all"));
  EXPECT_THAT(
      refusal(run_of("prompt", {{"tokens", "60"}})),
      HasSubstr("--max-length is 16; expected at most 4: of the 64 positions of the model"));
  EXPECT_THAT(refusal(run_of("prompt", {{"tokens", "64"}})), HasSubstr("64 virtual tokens"));
}

}  // namespace
}  // namespace rankfold
