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

TEST(CheckBatch, TakesOptionsThatGoOnFromOnePromptAndNoOthers) {
  BatchLimits limits{"m", 101, 0, 4};
  limits.tells_tokens = true;
  const auto message = [&](const std::function<void(Batch&)>& change) {
    Batch batch;
    batch.ids = {1, 2, 3, 4, 5};
    batch.starts = {0, 3, 4, 5};
    batch.targets = {-100, -100, -100, 4, 5};
    batch.prefixes = {no_prefix, 0, 0};
    batch.options = {0, 2};
    batch.labels = {1};
    change(batch);
    return message_of<Error>([&] { check_batch(batch, limits, true); });
  };
  EXPECT_EQ(message([](Batch&) {}), "");
  EXPECT_EQ(message([](Batch& b) { b.prefixes.pop_back(); }),
            "m: the batch has 2 prefixes for 3 sequences, expected one a sequence");
  EXPECT_EQ(message([](Batch& b) { b.prefixes[1] = 2; }),
            "m: sequence 1 goes on from sequence 2, expected an earlier one without prefix");
  EXPECT_EQ(message([](Batch& b) { b.prefixes[2] = 1; }),
            "m: sequence 2 goes on from sequence 1, expected an earlier one without prefix");
  EXPECT_EQ(message([](Batch& b) {
              b.starts = {0, 3, 5, 5};
            }),
            "m: sequence 2 of the batch goes from token 5 to 5, expected 1 to 4 tokens");
  EXPECT_EQ(message([](Batch& b) {
              b.starts = {0, 3, 5};
              b.prefixes = {no_prefix, 0};
            }),
            "m: sequence 1 has 5 tokens with its prefix, expected at most 4");
  // Without prefix a first token's label is not read: one answer is no answer.
  EXPECT_EQ(message([](Batch& b) {
              b.prefixes = {no_prefix, 0, no_prefix};
            }),
            "m: the batch has options 0 to 2, expected 0 to 1, its answers");
  EXPECT_EQ(message([](Batch& b) {
              b.options = {0, 0, 2};
            }),
            "m: the batch has 1 labels for 2 examples with options");
  EXPECT_EQ(message([](Batch& b) {
              b.options = {0, 0, 2};
              b.labels = {0, 0};
            }),
            "m: example 0 has options 0 to 0, expected at least one");
  EXPECT_EQ(message([](Batch& b) { b.labels = {2}; }),
            "m: label 2 of example 0, expected an option from 0 to 1");
  limits.tells_tokens = false;
  EXPECT_EQ(message([](Batch&) {}), "m: the batch has 3 prefixes for 3 sequences, expected none");
}

}  // namespace
}  // namespace rankfold
