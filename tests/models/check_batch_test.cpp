#include "experiments/models/check_batch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "core/base/error.h"
#include "models/bert_example.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

std::string refusal(const std::function<void(Batch&)>& change, bool regression = false,
                    bool with_labels = true) {
  Batch batch = example();
  change(batch);
  const BatchLimits limits{"m", 101, 2, 64, 2, regression};
  return message_of<Error>([&] { check_batch(batch, limits, with_labels); });
}

TEST(CheckBatch, TakesWhatFits) {
  EXPECT_EQ(refusal([](Batch&) {}), "");
  EXPECT_EQ(refusal([](Batch& b) { b.labels[0] = -0.5f; }, true), "");
  EXPECT_EQ(refusal([](Batch& b) { b.labels.clear(); }, false, false), "");
}

TEST(CheckBatch, NamesTheModelWhatWasFoundAndWhatWasExpected) {
  EXPECT_EQ(refusal([](Batch& b) { b.starts.clear(); }),
            "m: the batch has 17 tokens, expected its starts to go from 0 to that");
  EXPECT_EQ(refusal([](Batch& b) { b.starts.front() = 1; }),
            "m: the batch has 17 tokens, expected its starts to go from 0 to that");
  EXPECT_EQ(refusal([](Batch& b) { b.type_ids.pop_back(); }),
            "m: the batch has 16 token types for 17 tokens");
  EXPECT_EQ(refusal([](Batch& b) { b.starts[1] = 0; }),
            "m: sequence 0 of the batch goes from token 0 to 0, expected 1 to 64 tokens");
  EXPECT_EQ(refusal([](Batch& b) { b.ids[1] = 101; }),
            "m: token id 101, expected 0 to 100 (does the tokenizer belong to this model?)");
  EXPECT_EQ(refusal([](Batch& b) { b.type_ids[1] = 2; }), "m: token type 2, expected 0 to 1");
  EXPECT_EQ(refusal([](Batch& b) { b.labels.pop_back(); }),
            "m: the batch has 2 labels for 3 sequences");
  EXPECT_EQ(refusal([](Batch& b) { b.labels[0] = 0.5f; }),
            "m: label 0.5, expected a class from 0 to 1");
  EXPECT_EQ(refusal([](Batch& b) { b.labels[0] = 2; }), "m: label 2, expected a class from 0 to 1");
  EXPECT_EQ(refusal([](Batch& b) { b.labels[0] = INFINITY; }, true),
            "m: label inf, expected a finite number");
}

TEST(CheckBatch, ReadsTheTargetsOfALanguageModelAndNoTokenTypes) {
  BatchLimits limits{"m", 101, 0, 64};
  limits.tells_tokens = true;
  const auto message = [&](std::vector<std::int32_t> targets) {
    Batch batch;
    batch.ids = {1, 2, 3};
    batch.starts = {0, 1, 3};
    batch.targets = std::move(targets);
    return message_of<Error>([&] { check_batch(batch, limits, true); });
  };
  EXPECT_EQ(message({-100, -100, 100}), "");
  EXPECT_EQ(message({1, 2}), "m: the batch has 2 targets for 3 tokens");
  EXPECT_EQ(message({1, 2, 101}), "m: target 101, expected 0 to 100, or -100 for none");
  EXPECT_EQ(message({1, -1, 2}), "m: target -1, expected 0 to 100, or -100 for none");
  EXPECT_EQ(message({1, 2, -100}),
            "m: the batch has no target behind a first token, expected at least one");
}

}  // namespace
}  // namespace rankfold
