#include "experiments/training/feature_cache.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <numeric>

#include "core/base/error.h"
#include "models/bert_example.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t no_limit = std::uint64_t{1} << 40;
constexpr std::size_t token_bytes = 32 * sizeof(float);

/// 400 sequences of 1 to 20 tokens, more than two groups of them.
EncodedSplit make_split(int seed = 0) {
  EncodedSplit split;
  for (int i = 0; i < 400; ++i) {
    Encoding sequence;
    for (int t = 0; t < 1 + (i * 7) % 20; ++t) {
      sequence.ids.push_back(5 + (seed + i * 31 + t * 17) % 96);
      sequence.type_ids.push_back(t > 3 ? 1 : 0);
    }
    split.sequences.push_back(sequence);
    split.labels.push_back(static_cast<float>(i % 2));
  }
  return split;
}

std::size_t tokens_of(const EncodedSplit& split, std::size_t examples) {
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < examples; ++i) tokens += split.sequences[i].ids.size();
  return tokens;
}

std::unique_ptr<Host> make_host() {
  HostSettings settings;
  settings.dropout = 0;
  return load_host(golden, settings, make_cpu_device());
}

std::vector<float> features_of(FeatureCache& cache, const EncodedSplit& split,
                               const std::vector<std::size_t>& chosen) {
  Batch batch = pack(split, chosen);
  cache.add_features(batch, chosen);
  EXPECT_EQ(batch.features.rows, batch.tokens());
  return {batch.features.data, batch.features.data + batch.features.rows * batch.features.columns};
}

std::vector<std::size_t> all_of(const EncodedSplit& split) {
  std::vector<std::size_t> all(split.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

/// On one thread: the passes are tiny.
class FeatureCaching : public testing::Test {
 protected:
  void SetUp() override {
    threads_ = kernel_report().threads;
    set_threads(1);
  }
  void TearDown() override { set_threads(threads_); }

  FeatureCacheSettings settings(std::uint64_t limit = no_limit) {
    messages_.clear();
    return {folder_.path,
            limit,
            "origin",
            [this](const std::string& line) { messages_.push_back(line); },
            {}};
  }
  std::vector<float> all_features(std::uint64_t limit = no_limit) {
    FeatureCache cache(*host_, split_, "train", settings(limit));
    return features_of(cache, split_, all_of(split_));
  }
  fs::path file() { return FeatureCache(*host_, split_, "train", settings()).file(); }
  static std::vector<std::string> names(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Host> host_ = make_host();
  EncodedSplit split_ = make_split();
  std::vector<std::string> messages_;
  int threads_ = 1;
};

TEST_F(FeatureCaching, GivesABatchWhatTheHostComputes) {
  FeatureCache cache(*host_, split_, "train", settings());
  EXPECT_EQ(cache.examples(), split_.size());
  EXPECT_EQ(cache.bytes(), tokens_of(split_, 400) * token_bytes);
  EXPECT_THAT(messages_, ElementsAre(HasSubstr("features of 400 train examples below layer 1")));
  EXPECT_THAT(messages_.front(), HasSubstr("computed in"));
  const std::vector<std::size_t> chosen = {399, 3, 3, 0, 250, 7};
  const Batch batch = pack(split_, chosen);
  EXPECT_LT(largest_difference(features_of(cache, split_, chosen), host_->hidden_states(batch)[1]),
            1e-5f);
}

TEST_F(FeatureCaching, GivesTheSameBitsWhoeverFilledTheFile) {
  const std::vector<float> cold = all_features();
  const std::vector<float> warm = all_features();
  EXPECT_THAT(messages_, ElementsAre(HasSubstr("found in")));
  EXPECT_EQ(cold, warm);
  // Another object, in another folder, after other work.
  const TemporaryFolder elsewhere;
  const auto host = make_host();
  host->predict(pack(split_, all_of(split_)));
  FeatureCacheSettings other = settings();
  other.folder = elsewhere.path;
  FeatureCache cache(*host, split_, "train", other);
  EXPECT_EQ(features_of(cache, split_, all_of(split_)), cold);
}

TEST_F(FeatureCaching, KeepsFilesOfOtherTokensAndOriginsApart) {
  const std::vector<float> first = all_features();
  const EncodedSplit other = make_split(1);
  FeatureCache other_tokens(*host_, other, "train", settings());
  FeatureCacheSettings other_origin = settings();
  other_origin.origin = "another";
  const FeatureCache third(*host_, split_, "train", other_origin);
  EXPECT_EQ(folder_.count(), 3u);
  EXPECT_NE(features_of(other_tokens, other, all_of(other)), first);
  EXPECT_EQ(all_features(), first);
  EXPECT_EQ(folder_.count(), 3u);
}

TEST_F(FeatureCaching, ReplacesAFileThatIsNotWhole) {
  const std::vector<float> expected = all_features();
  const fs::path path = file();
  const std::string whole = read_text(path);
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{48},
                                 std::size_t{1000}, whole.size() / 2, whole.size() - 1}) {
    write_atomically(path, whole.substr(0, size));
    EXPECT_EQ(all_features(), expected) << size;
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("it is computed anew"), HasSubstr("computed in")))
        << size;
    EXPECT_TRUE(read_text(path) == whole) << size;
  }
  write_atomically(path, whole + "more");
  EXPECT_EQ(all_features(), expected);
  EXPECT_TRUE(read_text(path) == whole);
}

TEST_F(FeatureCaching, ReplacesAForeignFile) {
  const std::vector<float> expected = all_features();
  const fs::path path = file();
  const std::string whole = read_text(path);
  struct Case {
    std::size_t byte;
    std::string fault;
  };
  for (const Case& c : {Case{0, "is no file of features"},
                        {8, "format"},
                        {12, "columns"},
                        {16, "key"},
                        {24, "examples"},
                        {32, "tokens"},
                        {40, "promises"},
                        {64, "other lengths"}}) {
    std::string changed = whole;
    changed[c.byte] = static_cast<char>(changed[c.byte] ^ 1);
    write_atomically(path, changed);
    EXPECT_EQ(all_features(), expected) << c.fault;
    EXPECT_THAT(messages_.front(), HasSubstr(c.fault));
    EXPECT_THAT(messages_.front(), HasSubstr(path.string()));
    EXPECT_TRUE(read_text(path) == whole) << c.fault;
  }
}

TEST_F(FeatureCaching, KeepsAsManyExamplesAsTheLimitAllows) {
  const std::vector<float> expected = all_features();
  fs::remove_all(file().parent_path());
  const std::uint64_t limit = tokens_of(split_, 100) * token_bytes;
  for (const std::uint64_t allowed : {limit, limit + 1, limit - 1}) {
    FeatureCache cache(*host_, split_, "train", settings(allowed));
    const std::size_t kept = allowed < limit ? 99 : 100;
    EXPECT_EQ(cache.examples(), kept);
    EXPECT_LE(cache.bytes(), allowed);
    EXPECT_THAT(messages_.back(), HasSubstr(std::to_string(kept) + " of 400 train examples"));
    EXPECT_LT(fs::file_size(cache.file()), allowed + 2000);
    // What is kept has the bits that it has without a limit, beside others that are not kept.
    const std::vector<std::size_t> mixed = {0, 399, 98, 200, 98, 201};
    const Batch batch = pack(split_, mixed);
    const std::vector<float> found = features_of(cache, split_, mixed);
    for (const std::size_t place : {0, 2, 4}) {
      const auto* row = found.data() + batch.starts[place] * 32;
      const std::size_t size = (batch.starts[place + 1] - batch.starts[place]) * 32;
      EXPECT_TRUE(
          std::equal(row, row + size, expected.data() + tokens_of(split_, mixed[place]) * 32));
    }
    EXPECT_LT(largest_difference(found, host_->hidden_states(batch)[1]), 1e-5f);
  }
}

TEST_F(FeatureCaching, KeepsNoFileWhereNothingFits) {
  FeatureCache cache(*host_, split_, "train", settings(10));
  EXPECT_EQ(cache.examples(), 0u);
  EXPECT_EQ(folder_.count(), 0u);
  EXPECT_THAT(messages_, ElementsAre(HasSubstr("0 of 400")));
  const Batch batch = pack(split_, all_of(split_));
  EXPECT_EQ(features_of(cache, split_, all_of(split_)), host_->hidden_states(batch)[1]);
}

TEST_F(FeatureCaching, UsesALargerFileAndReplacesASmallerOne) {
  const std::uint64_t small = tokens_of(split_, 100) * token_bytes;
  all_features(small);
  const std::vector<float> expected = all_features();
  EXPECT_THAT(messages_.front(), HasSubstr("has 100 examples, expected 400"));
  const fs::path path = file();
  const auto written = fs::last_write_time(path);
  FeatureCache cache(*host_, split_, "train", settings(small));
  EXPECT_EQ(cache.examples(), 100u);
  EXPECT_EQ(fs::last_write_time(path), written);
  EXPECT_THAT(messages_, ElementsAre(HasSubstr("found in")));
}

TEST_F(FeatureCaching, OneOfTwoAtOnceComputes) {
  std::vector<std::string> lines[2];
  const FeatureCacheSettings common = settings();
  const auto open = [&](int which) {
    const auto host = make_host();
    FeatureCacheSettings own = common;
    own.message = [&, which](const std::string& line) { lines[which].push_back(line); };
    FeatureCache cache(*host, split_, "train", own);
    return features_of(cache, split_, all_of(split_));
  };
  auto other = std::async(std::launch::async, open, 1);
  const std::vector<float> mine = open(0);
  EXPECT_EQ(other.get(), mine);
  std::size_t computed = 0, found = 0;
  for (const auto& said : lines)
    for (const std::string& line : said) {
      computed += line.find("computed in") != std::string::npos;
      found += line.find("found in") != std::string::npos;
    }
  EXPECT_EQ(computed, 1u);
  EXPECT_EQ(found, 1u);
}

TEST_F(FeatureCaching, WaitsForAProcessThatComputesUntilItDies) {
  const fs::path path = file();
  fs::remove(path);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const std::string lock = (path.parent_path() / "lock").string();
  const pid_t child = ::fork();
  if (child == 0) {
    const int descriptor = ::open(lock.c_str(), O_RDWR | O_CREAT, 0666);
    if (::flock(descriptor, LOCK_EX) != 0 || ::write(ready[1], "x", 1) != 1) ::_exit(1);
    while (true) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  // What it was writing.
  write_atomically(path.parent_path() / ".rankfold-tmp-0123456789abcdef", "half");
  FeatureCacheSettings waiting = settings();
  bool killed = false;
  waiting.pause = [&] {
    if (killed) return;
    EXPECT_FALSE(fs::exists(path));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    killed = true;
  };
  const FeatureCache cache(*host_, split_, "train", waiting);
  EXPECT_TRUE(killed);
  EXPECT_THAT(messages_, ElementsAre(HasSubstr("waiting"), HasSubstr("computed in")));
  EXPECT_THAT(names(path.parent_path()), ElementsAre("features", "lock"));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(FeatureCaching, LeavesNothingHalfWrittenWhenItIsStopped) {
  FeatureCacheSettings stopping = settings();
  int calls = 0;
  stopping.pause = [&] {
    if (++calls == 2) throw Error("stopped");
  };
  EXPECT_EQ(message_of<Error>([&] { FeatureCache(*host_, split_, "train", stopping); }), "stopped");
  for (const auto& entry : fs::directory_iterator(folder_.path))
    EXPECT_THAT(names(entry.path()), ElementsAre("lock"));
  EXPECT_FALSE(all_features().empty());
}

TEST_F(FeatureCaching, NamesTheFileThatCannotBeWritten) {
  write_atomically(folder_.path / "taken", "");
  FeatureCacheSettings taken = settings();
  taken.folder = folder_.path / "taken";
  EXPECT_THAT(message_of<Error>([&] { FeatureCache(*host_, split_, "train", taken); }),
              testing::AllOf(HasSubstr((folder_.path / "taken/train-").string()),
                             HasSubstr("cannot be made")));
  // A disk that is full after some groups.
  const fs::path path = file();
  fs::remove(path);
  rlimit before;
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight = {100'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const std::string message = message_of<Error>([&] { all_features(); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr(path.string() + ": cannot be written"));
  EXPECT_THAT(names(path.parent_path()), ElementsAre("lock"));
}

TEST_F(FeatureCaching, KnowsWhatFeaturesDependOn) {
  const std::string first = feature_origin("model", *host_, "f32");
  EXPECT_EQ(feature_origin("model", *host_, "f32"), first);
  EXPECT_NE(feature_origin("model", *host_, "bf16"), first);
  EXPECT_NE(feature_origin("other", *host_, "f32"), first);
  set_threads(2);
  EXPECT_NE(feature_origin("model", *host_, "f32"), first);
  set_threads(1);
}

TEST_F(FeatureCaching, ComputesADamagedFileAnewAndGivesTheSameBits) {
  const std::vector<float> right = all_features();
  const fs::path path = file();
  const std::string whole = read_text(path);
  for (const std::size_t place : {whole.size() / 2, whole.size() - 1, whole.size() - 8 * 400 - 1}) {
    std::string damaged = whole;
    damaged[place] ^= 1;
    write_atomically(path, damaged);
    EXPECT_EQ(all_features(), right) << place;
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("are damaged"), HasSubstr("computed in")))
        << place;
    EXPECT_EQ(read_text(path), whole);
  }
  std::string zeroed = whole;
  std::fill(zeroed.begin() + static_cast<std::ptrdiff_t>(zeroed.size() / 2), zeroed.end(), '\0');
  write_atomically(path, zeroed);
  EXPECT_EQ(all_features(), right);
}

TEST_F(FeatureCaching, RefusesFeaturesThatChangeWhileTheyAreUsed) {
  FeatureCache cache(*host_, split_, "train", settings());
  const std::vector<std::size_t> first = {0};
  features_of(cache, split_, first);
  std::fstream stream(cache.file(), std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(-400 * 8 - 16, std::ios::end);  // in the rows of the last example
  stream.write("\1\2\3\4", 4);
  stream.close();
  const std::vector<std::size_t> last = {399};
  EXPECT_THAT(message_of<Error>([&] { features_of(cache, split_, last); }),
              HasSubstr("the features of example 399 were changed"));
}

TEST_F(FeatureCaching, TellsOfFilesOfOtherVersions) {
  const fs::path path = file();
  std::string old = read_text(path);
  old[8] = 1;
  write_atomically(folder_.path / "train-0000000000000000" / "features", old);
  fs::remove(path);
  all_features();
  EXPECT_THAT(messages_, testing::Contains(HasSubstr("not used any more: 1 (")));
  all_features();
  EXPECT_THAT(messages_, ElementsAre(HasSubstr("found in")));
}

TEST(Cacheable, AreRunsWithFrozenLayersAndNoDropout) {
  RunSettings settings;
  Method method;
  settings.values["layers"] = "last:2";
  const auto message = [&](std::size_t frozen, bool dropout) {
    return message_of<UsageError>([&] { check_cacheable(settings, method, frozen, dropout); });
  };
  EXPECT_EQ(message(4, false), "");
  EXPECT_THAT(message(4, true),
              HasSubstr("dropout below the first adapted layer (4) changes the activations at "
                        "every step; expected --dropout 0"));
  settings.values["layers"] = "all";
  EXPECT_THAT(message(0, false), HasSubstr("(--layers all); expected --layers last:N"));
  settings.values["train"] = "tt-head, norms";
  EXPECT_THAT(message(4, false), HasSubstr("norms"));
  settings.values["train"] = "";
  method.trained_part = "norm-shifts";
  EXPECT_THAT(message(4, false), HasSubstr("a method that trains their shifts"));
}

}  // namespace
}  // namespace rankfold
