#include <algorithm>
#include <cmath>
#include <string>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "experiments/tasks/sources.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr double highest_rating = 4.0;
constexpr double neutral_below = 0.5;

fs::path find_file(const std::string& name, const fs::path& data) {
  for (const fs::path& file : {data / name, data / "hutto_ICWSM_2014" / name}) {
    std::error_code error;
    if (fs::is_regular_file(file, error)) return file;
  }
  throw Error(
      "{}: found no {}, expected it there or in the folder hutto_ICWSM_2014 (from "
      "hutto_ICWSM_2014.tar.gz in the source archive of PyPI's vaderSentiment 3.3.2)",
      printable(data.string()), name);
}

struct OrderedExample {
  std::uint64_t key = 0;
  Example example;
};

/// The finaliser of MurmurHash3 (64 bits): a bijection. The high bits of FNV-1a hardly depend on a
/// text's last bytes, so in its own order texts with one beginning would stand together.
std::uint64_t mix_bits(std::uint64_t bits) {
  bits = (bits ^ (bits >> 33)) * 0xff51afd7ed558ccdU;
  bits = (bits ^ (bits >> 33)) * 0xc4ceb9fe1a85ec53U;
  return bits ^ (bits >> 33);
}

// All rows lie in one file.
Dataset read_sentiment(const Task& task, const std::string& name, const fs::path& data) {
  const fs::path file = find_file(name, data);
  Dataset dataset;
  dataset.train_file = file;
  dataset.scored_files = {file};
  std::vector<OrderedExample> kept;
  std::unordered_set<std::string> seen;
  Table table = read_table(file, {{{"rating", "text"}}, {"id", "rating", "text"}});
  for (TableRow& row : table.rows) {
    const double rating = take_number(table, row, 0, {-highest_rating, highest_rating});
    Example example;
    example.text = take_sentence(table, row, 1);
    if (!seen.insert(normalise_text(example.text)).second) {
      ++dataset.duplicates_removed;
      continue;
    }
    if (!task.regression && std::abs(rating) < neutral_below) {
      ++dataset.neutral_removed;
      continue;
    }
    example.label = task.regression ? static_cast<float>(rating) : rating > 0 ? 1.0F : 0.0F;
    example.line = row.line;
    const std::uint64_t key = mix_bits(text_hash(example.text));
    kept.push_back({key, std::move(example)});
  }

  std::stable_sort(kept.begin(), kept.end(),
                   [](const OrderedExample& a, const OrderedExample& b) { return a.key < b.key; });
  for (OrderedExample& row : kept) {
    const Split split = sentiment_split(row.example.text);
    auto& examples = split == Split::train      ? dataset.train
                     : split == Split::held_out ? dataset.held_out
                                                : dataset.dev;
    examples.push_back(std::move(row.example));
  }
  if (dataset.train.empty() || dataset.dev.empty()) {
    throw Error("{}: found {} usable rows, of which {} in train and {} in dev, expected both",
                printable(file.string()), kept.size(), dataset.train.size(), dataset.dev.size());
  }
  return dataset;
}

}  // namespace

std::vector<Task> sentiment_tasks() {
  const std::pair<std::string, std::string> sets[] = {
      {"movies", "movieReviewSnippets_GroundTruth.txt"},
      {"products", "amazonReviewSnippets_GroundTruth.txt"},
      {"tweets", "tweets_GroundTruth.txt"},
      {"editorials", "nytEditorialSnippets_GroundTruth.txt"}};
  std::vector<Task> all;
  for (const bool regression : {false, true})
    for (const auto& [set, file] : sets) {
      Task task;
      task.name = set;
      task.metrics = {"accuracy", "f1", "matthews_correlation"};
      task.classes = {"negative", "positive"};
      if (regression) {
        task.name += "-regression";
        task.metrics = {"pearson", "spearman"};
        task.classes = {};
        task.regression = true;
        task.labels = 1;
      }
      task.read = [name = file](const Task& self, const fs::path& data, RowsNeeded) {
        return read_sentiment(self, name, data);
      };
      all.push_back(std::move(task));
    }
  return all;
}

}  // namespace rankfold
