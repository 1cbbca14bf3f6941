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
#include "experiments/tasks/tsv.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr double highest_rating = 4.0;
constexpr double neutral_below = 0.5;

std::string file_name(const Task& task) {
  const std::string set = task.name.substr(0, task.name.find('-'));
  if (set == "movies") return "movieReviewSnippets_GroundTruth.txt";
  if (set == "products") return "amazonReviewSnippets_GroundTruth.txt";
  if (set == "tweets") return "tweets_GroundTruth.txt";
  return "nytEditorialSnippets_GroundTruth.txt";
}

fs::path find_file(const Task& task, const fs::path& data) {
  const std::string name = file_name(task);
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

}  // namespace

std::string normalise_text(std::string_view text) {
  std::string normal;
  normal.reserve(text.size());
  bool space = false;
  for (char c : text) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      space = !normal.empty();
      continue;
    }
    if (space) normal += ' ';
    space = false;
    normal += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return normal;
}

std::uint64_t text_hash(std::string_view text) {
  return fnv1a(normalise_text(text));
}

Split sentiment_split(std::string_view text) {
  const std::uint64_t slot = text_hash(text) % 10;
  if (slot < 7) return Split::train;
  return slot == 7 ? Split::held_out : Split::dev;
}

// All rows lie in one file.
Dataset load_sentiment(const Task& task, const fs::path& data, RowsNeeded) {
  const fs::path file = find_file(task, data);
  Dataset dataset;
  dataset.train_file = dataset.scored_file = file;
  std::vector<OrderedExample> kept;
  std::unordered_set<std::string> seen;
  for (TsvRow& row : read_tsv(file, 3)) {
    const double rating = take_number(file, row, 1, -highest_rating, highest_rating);
    Example example;
    example.text = take_sentence(file, row, 2);
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

}  // namespace rankfold
