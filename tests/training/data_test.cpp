#include "experiments/training/data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "temporary_folder.h"
#include "word_tokenizer.h"

namespace rankfold {
namespace {

EncodedSplit make_split(const std::vector<std::size_t>& lengths) {
  EncodedSplit split;
  std::int32_t next = 0;
  for (std::size_t length : lengths) {
    Encoding encoding;
    for (std::size_t i = 0; i < length; ++i) {
      encoding.ids.push_back(next++);
      encoding.type_ids.push_back(static_cast<std::int32_t>(i % 2));
    }
    split.sequences.push_back(encoding);
    split.labels.push_back(static_cast<float>(length) / 2);
  }
  return split;
}

TEST(Pack, PutsTheChosenSequencesEndToEnd) {
  const EncodedSplit split = make_split({2, 3, 1});
  const std::vector<std::size_t> chosen{2, 0};
  const Batch batch = pack(split, chosen);
  EXPECT_THAT(batch.ids, testing::ElementsAre(5, 0, 1));
  EXPECT_THAT(batch.type_ids, testing::ElementsAre(0, 0, 1));
  EXPECT_THAT(batch.starts, testing::ElementsAre(0, 1, 3));
  EXPECT_THAT(batch.labels, testing::ElementsAre(0.5F, 1.0F));
  EXPECT_EQ(batch.sequences(), 2U);
}

TEST(EpochBatches, HoldEveryExampleOnceAndKeepTheShortLastBatch) {
  const auto batches = epoch_batches(10, 4, 7, 1);
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches.back().size(), 2U);
  std::set<std::size_t> seen;
  for (const auto& batch : batches) seen.insert(batch.begin(), batch.end());
  EXPECT_EQ(seen.size(), 10U);
}

TEST(EpochBatches, AreAFunctionOfSeedAndEpoch) {
  EXPECT_EQ(epoch_batches(100, 8, 7, 1), epoch_batches(100, 8, 7, 1));
  EXPECT_NE(epoch_batches(100, 8, 7, 1), epoch_batches(100, 8, 7, 2));
  EXPECT_NE(epoch_batches(100, 8, 7, 1), epoch_batches(100, 8, 8, 1));
}

/// Logits that tell the sequence: its first id, and its length.
class EchoHost : public Host {
 public:
  const SiteCatalogue& catalogue() const override { return catalogue_; }
  FrozenLinear<float> frozen(const Site&) const override { return {}; }
  void attach(Adapter<float>*) override {}
  std::vector<TrainedTensor> trained() override { return {}; }
  void zero_gradients() override {}
  std::vector<DrawnTensor> drawn() const override { return {}; }
  std::vector<DrawnTensor> replaced() const override { return {}; }
  std::size_t total_parameters() const override { return 0; }
  std::size_t max_tokens() const override { return 100; }
  std::size_t hidden_size() const override { return 1; }
  std::size_t frozen_layers() const override { return 0; }
  void features(const Batch&, MatrixView<float>) override {}
  std::vector<float> words(std::span<const std::int32_t>) const override { return {}; }
  std::map<std::string, double> dropouts() const override { return {}; }
  const std::vector<std::string>& notes() const override { return notes_; }
  void check(const Batch& batch) const override {
    for (const std::int32_t id : batch.ids)
      if (id > 9) throw Error("token id {}", id);
  }
  std::vector<float> predict(const Batch& batch) override {
    std::vector<float> logits;
    for (std::size_t i = 0; i < batch.sequences(); ++i) {
      const std::size_t length = batch.starts[i + 1] - batch.starts[i];
      logits.push_back(static_cast<float>(batch.ids[batch.starts[i]]));
      logits.push_back(static_cast<float>(length));
      lengths_.push_back(length);
    }
    return logits;
  }
  double train_pass(const Batch&, std::uint64_t, std::uint64_t) override { return 0; }
  double mean_loss(const Batch&) override { return 0; }
  std::vector<std::vector<float>> hidden_states(const Batch&) override { return {}; }
  std::vector<std::size_t> lengths_;

 private:
  SiteCatalogue catalogue_;
  std::vector<std::string> notes_;
};

TEST(EncodeSplit, NamesFileAndLineOfATextWithoutTokens) {
  const TemporaryFolder folder;
  write_word_tokenizer(folder.path, 12);
  const auto tokenizer = load_tokenizer(folder.path);
  // A space that takes no room in a line.
  const std::vector<Example> texts = {{"w1 w2", "", 0, 4}, {"\u00A0", "", 1, 9}};
  EXPECT_EQ(message_of<Error>([&] { encode_split(texts, {"DATA/train.tsv"}, *tokenizer, 8); }),
            "DATA/train.tsv:9: the tokenizer makes no tokens of '\u00A0', expected at least one");
  const EncodedSplit split = encode_split({texts.front()}, {"DATA/train.tsv"}, *tokenizer, 8);
  EXPECT_THAT(split.sequences.front().ids, testing::ElementsAre(1, 2));
}

TEST(CheckSplit, NamesFileAndLineOfATextThatTheHostRefuses) {
  EchoHost host;
  const std::vector<Example> texts = {{"a", "", 0, 4}, {"b", "", 0, 7}};
  EXPECT_NO_THROW(check_split(make_split({2, 8}), texts, {"dev.tsv"}, host));
  EXPECT_EQ(message_of<Error>([&] {
              check_split(make_split({2, 9}), texts, {"dev.tsv"}, host);
            }),
            "dev.tsv:7: token id 10");
}

TEST(PredictSplit, TellsHowManyExamplesAreScored) {
  EchoHost host;
  std::vector<std::size_t> done;
  predict_split(host, make_split({2, 5, 1, 5, 3}), 2, 2, [&](std::size_t scored, std::size_t all) {
    EXPECT_EQ(all, 5U);
    done.push_back(scored);
  });
  EXPECT_THAT(done, testing::ElementsAre(2, 4, 5));
}

TEST(PredictSplit, GroupsByLengthAndKeepsTheOrderOfTheResults) {
  EchoHost host;
  const std::vector<float> logits = predict_split(host, make_split({2, 5, 1, 5, 3}), 2, 2);
  EXPECT_THAT(host.lengths_, testing::ElementsAre(5, 5, 3, 2, 1));
  EXPECT_THAT(logits, testing::ElementsAre(0, 2, 2, 5, 7, 1, 8, 5, 13, 3));
}

}  // namespace
}  // namespace rankfold
