#include "analysis/logs/scalar_files.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "analysis/logs/event_reader.h"
#include "analysis/logs/utf8_text.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

// A file with more is read in pieces, each a sorted run.
constexpr std::size_t run_rows = std::size_t{1} << 20;
constexpr std::size_t most_known_tags = std::size_t{1} << 16;
constexpr std::uint32_t left_out = UINT32_MAX;

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// Numbers of tags, given as they come, for all threads.
class TagNumbers {
 public:
  explicit TagNumbers(const Pattern& pattern) : pattern_(pattern) {}
  std::uint32_t number(std::string_view raw) {
    const std::string tag = utf8_text(raw);
    const std::lock_guard lock(mutex_);
    if (!pattern_.begins(tag)) return left_out;
    const auto [found, is_new] = numbers_.emplace(tag, static_cast<std::uint32_t>(tags_.size()));
    if (is_new) tags_.push_back(tag);
    return found->second;
  }
  std::string tag(std::uint32_t number) const {
    const std::lock_guard lock(mutex_);
    return tags_[number];
  }
  std::vector<std::string> take() { return std::move(tags_); }

 private:
  const Pattern& pattern_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::vector<std::string> tags_;
};

struct SortRule {
  bool tag_first, by_tag, by_step;
};

/// One thread's reading.
class Worker {
 public:
  Worker(TagNumbers& numbers, const SortRule& rule, RunStore& store)
      : numbers_(numbers), rule_(rule), store_(store) {}

  void read(const std::filesystem::path& path, std::uint32_t file, ScalarFiles& result) {
    std::optional<EventFileReader> opened;
    try {
      opened.emplace(path);
    } catch (const Error& failure) {
      result.unreadable.emplace_back(failure.what());
      return;
    }
    EventFileReader& reader = *opened;
    std::uint64_t order = std::uint64_t{file} << 32;
    newest_.clear();
    bool has_version = false;
    std::uint64_t goes_back = 0;  // scalars below a step that their tag had before
    while (reader.next(scalars_)) {
      const EventMessage& event = reader.message();
      has_version = has_version || event.has_version();
      if (event.is_start()) {
        keep(order++, result);
        result.restarts.push_back({file, order, event.step(), every_tag});
        newest_.clear();
      }
      for (const ScalarView& scalar : scalars_) {
        const std::uint32_t tag = number_of(scalar.tag);
        if (tag == left_out) continue;
        // Older writers mark nothing: what goes back is a restart.
        const auto newest = newest_.find(tag);
        if (!has_version && (newest == newest_.end() || scalar.step < newest->second)) {
          keep(order++, result);
          result.restarts.push_back({file, order, scalar.step, tag});
        }
        if (has_version && newest != newest_.end() && scalar.step < newest->second) ++goes_back;
        newest_[tag] = scalar.step;
        rows_.push_back({scalar.step, scalar.value, tag, file});
      }
      if (rows_.size() >= run_rows) keep(order++, result);
    }
    keep(order, result);
    if (goes_back > 0)
      result.repeated.push_back(
          {path, fmt::format("goes back to earlier steps {} time{} without marking a restart; all "
                             "of its scalars are kept, as TensorBoard does",
                             goes_back, goes_back == 1 ? "" : "s")});
    if (reader.damage())
      result.problems.push_back({path, describe(*reader.damage())});
    else if (reader.truncated())
      result.problems.push_back(
          {path, fmt::format("ends inside a record, at byte {}", reader.valid_size())});
  }

 private:
  std::uint32_t number_of(std::string_view tag) {
    const auto known = known_.find(tag);
    if (known != known_.end()) return known->second;
    if (known_.size() >= most_known_tags) known_.clear();
    return known_.emplace(std::string(tag), numbers_.number(tag)).first->second;
  }

  void keep(std::uint64_t order, ScalarFiles& result) {
    if (rows_.empty()) return;
    sort();
    result.runs.push_back(store_.keep(order, rows_));
    rows_.clear();
  }

  /// Stably. Rows mostly come by step, with all tags at each: dealt out by tag they are in order.
  void sort() {
    std::vector<std::pair<std::string, std::uint32_t>> tags;
    if (rule_.by_tag) {
      for (const ScalarRow& row : rows_) {
        if (row.tag >= places_.size()) places_.resize(row.tag + 1, left_out);
        if (std::exchange(places_[row.tag], 0u) == left_out)
          tags.emplace_back(numbers_.tag(row.tag), row.tag);
      }
      std::ranges::sort(tags);
      for (std::uint32_t i = 0; i < tags.size(); ++i) places_[tags[i].second] = i;
    }
    if (rule_.by_tag && rule_.tag_first) deal_by_tag(tags.size());
    const auto key = [&](const ScalarRow& row) {
      const std::int64_t tag = rule_.by_tag ? places_[row.tag] : 0;
      const std::int64_t step = rule_.by_step ? row.step : 0;
      return rule_.tag_first ? std::pair(tag, step) : std::pair(step, tag);
    };
    if (!std::ranges::is_sorted(rows_, {}, key)) std::ranges::stable_sort(rows_, {}, key);
    for (const auto& [name, tag] : tags) places_[tag] = left_out;
  }

  void deal_by_tag(std::size_t tags) {
    std::vector<std::size_t> begin(tags + 1);
    for (const ScalarRow& row : rows_) ++begin[places_[row.tag] + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    dealt_.resize(rows_.size());
    for (const ScalarRow& row : rows_) dealt_[begin[places_[row.tag]]++] = row;
    rows_.swap(dealt_);
  }

  TagNumbers& numbers_;
  const SortRule rule_;
  RunStore& store_;
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> known_;
  std::unordered_map<std::uint32_t, std::int64_t> newest_;  // by tag: its last step in the file
  std::vector<std::uint32_t> places_;  // by tag, while sorting: its place among those that occur
  std::vector<ScalarView> scalars_;
  std::vector<ScalarRow> rows_, dealt_;
};

}  // namespace

ScalarFiles read_scalar_files(const std::vector<std::filesystem::path>& files,
                              const Pattern& pattern, bool tag_first, bool by_tag, bool by_step,
                              std::size_t threads, RunStore& store,
                              const std::function<void(std::size_t)>& check) {
  TagNumbers numbers(pattern);
  const SortRule rule{tag_first, by_tag, by_step};
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  threads = std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(files.size(), 1));
  std::vector<ScalarFiles> results(threads);
  std::vector<std::exception_ptr> failures(threads);
  const auto work = [&](std::size_t thread) {
    try {
      Worker worker(numbers, rule, store);
      while (!failed) {
        const std::size_t file = next++;
        if (file >= files.size()) break;
        worker.read(files[file], static_cast<std::uint32_t>(file), results[thread]);
        if (thread == 0) check(std::min<std::size_t>(next, files.size()));
      }
    } catch (...) {
      failures[thread] = std::current_exception();
      failed = true;
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
    work(0);
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
  ScalarFiles all;
  for (ScalarFiles& result : results) {
    std::ranges::move(result.runs, std::back_inserter(all.runs));
    std::ranges::move(result.problems, std::back_inserter(all.problems));
    std::ranges::move(result.repeated, std::back_inserter(all.repeated));
    std::ranges::move(result.restarts, std::back_inserter(all.restarts));
    std::ranges::move(result.unreadable, std::back_inserter(all.unreadable));
  }
  std::ranges::sort(all.problems, {}, &CollectReport::Problem::file);
  std::ranges::sort(all.repeated, {}, &CollectReport::Problem::file);
  std::ranges::sort(all.unreadable);
  std::ranges::sort(all.restarts, {}, &RestartMark::order);
  all.tags = numbers.take();
  return all;
}

}  // namespace rankfold
