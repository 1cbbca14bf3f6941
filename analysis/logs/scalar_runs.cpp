#include "analysis/logs/scalar_runs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr std::size_t merge_rows = std::size_t{1} << 20;  // of all buffers together
constexpr std::size_t piece_rows = 4096;

/// The rows of a run one after another.
class Cursor {
 public:
  Cursor(const SortedRun& run, const RunStore& store, const RowOrder& order, std::size_t rows)
      : run_(run), store_(store), order_(order), buffer_(run.rows.empty() ? rows : 0) {
    load();
  }
  bool at_end() const { return next_ == piece_.size(); }
  const ScalarRow& row() const { return piece_[next_]; }
  const RowOrder::Key& key() const { return key_; }
  void advance() {
    if (++next_ == piece_.size()) load();
    if (!at_end()) key_ = order_.key(row());
  }

 private:
  void load() {
    next_ = 0;
    const std::uint64_t left = run_.count - done_;
    if (run_.rows.empty()) {
      piece_ = std::span(buffer_).first(std::min<std::uint64_t>(left, buffer_.size()));
      store_.read(run_, done_, std::span(buffer_).first(piece_.size()));
    } else {
      piece_ = std::span(run_.rows).subspan(done_);
    }
    done_ += piece_.size();
    if (!piece_.empty()) key_ = order_.key(piece_[0]);
  }

  const SortedRun& run_;
  const RunStore& store_;
  const RowOrder& order_;
  std::vector<ScalarRow> buffer_;
  std::span<const ScalarRow> piece_;
  std::size_t next_ = 0;
  std::uint64_t done_ = 0;
  RowOrder::Key key_{};
};

void merge_some(std::span<const SortedRun> runs, const RowOrder& order, const RunStore& store,
                const std::function<void(std::span<const ScalarRow>)>& emit) {
  const std::size_t buffer = std::clamp<std::size_t>(merge_rows / runs.size(), 64, piece_rows);
  std::vector<Cursor> cursors;
  cursors.reserve(runs.size());
  std::vector<std::size_t> heap;
  for (const SortedRun& run : runs) {
    cursors.emplace_back(run, store, order, buffer);
    if (!cursors.back().at_end()) heap.push_back(cursors.size() - 1);
  }
  // The smallest on top; among equals the earlier run.
  const auto later = [&](std::size_t left, std::size_t right) {
    if (RowOrder::less(cursors[left].key(), cursors[right].key())) return false;
    return left > right || RowOrder::less(cursors[right].key(), cursors[left].key());
  };
  std::ranges::make_heap(heap, later);
  std::vector<ScalarRow> piece;
  piece.reserve(piece_rows);
  while (!heap.empty()) {
    Cursor& top = cursors[heap.front()];
    piece.push_back(top.row());
    if (piece.size() == piece_rows) {
      emit(piece);
      piece.clear();
    }
    top.advance();
    if (top.at_end()) {
      std::ranges::pop_heap(heap, later);
      heap.pop_back();
      continue;
    }
    // The new row of the top sinks to its place.
    for (std::size_t at = 0;;) {
      std::size_t child = 2 * at + 1;
      if (child >= heap.size()) break;
      if (child + 1 < heap.size() && later(heap[child], heap[child + 1])) ++child;
      if (!later(heap[at], heap[child])) break;
      std::swap(heap[at], heap[child]);
      at = child;
    }
  }
  if (!piece.empty()) emit(piece);
}

/// Runs as one longer run in the store's file.
SortedRun merged(std::span<const SortedRun> runs, const RowOrder& order, RunStore& store) {
  SortedRun longer{runs.front().order, 0, {}, 0};
  for (const SortedRun& run : runs) longer.count += run.count;
  longer.offset = store.reserve(longer.count);
  std::uint64_t end = longer.offset;
  merge_some(runs, order, store, [&](std::span<const ScalarRow> rows) {
    store.write(end, rows);
    end += rows.size();
  });
  return longer;
}

}  // namespace

RowOrder::Key RowOrder::key(const ScalarRow& row) const {
  const std::int64_t tag = tag_places[row.tag], step = by_step ? row.step : 0;
  return {tag_first ? tag : step, tag_first ? step : tag, before[row.file], between[row.file],
          behind[row.file]};
}

bool RowOrder::less(const Key& left, const Key& right) {
  return std::tie(left.before, left.first, left.between, left.second, left.behind) <
         std::tie(right.before, right.first, right.between, right.second, right.behind);
}

RunStore::~RunStore() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void RunStore::open() {
  descriptor_ = ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor_ >= 0) return;
  // File systems without nameless files.
  std::string name = (folder_ / ".rankfold-tmp-XXXXXX").string();
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0)
    throw Error("{}: cannot make a temporary file for sorting: {}", printable(folder_.string()),
                std::strerror(errno));
  ::unlink(name.c_str());
}

SortedRun RunStore::keep(std::uint64_t order, std::span<const ScalarRow> rows) {
  SortedRun run{order, rows.size(), {}, 0};
  {
    const std::lock_guard lock(mutex_);
    if (rows.size() <= room_) {
      room_ -= rows.size();
      run.rows.assign(rows.begin(), rows.end());
      return run;
    }
    room_ = 0;
  }
  run.offset = reserve(rows.size());
  write(run.offset, rows);
  return run;
}

std::uint64_t RunStore::reserve(std::uint64_t rows) {
  const std::lock_guard lock(mutex_);
  if (descriptor_ < 0) open();
  end_ += rows;
  return end_ - rows;
}

void RunStore::write(std::uint64_t offset, std::span<const ScalarRow> rows) const {
  const char* next = reinterpret_cast<const char*>(rows.data());
  std::size_t left = rows.size_bytes();
  auto at = static_cast<off_t>(offset * sizeof(ScalarRow));
  while (left > 0) {
    const ssize_t count = ::pwrite(descriptor_, next, left, at);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw Error("{}: cannot write a temporary file for sorting: {}", printable(folder_.string()),
                  std::strerror(errno));
    next += count;
    at += count;
    left -= static_cast<std::size_t>(count);
  }
}

void RunStore::read(const SortedRun& run, std::uint64_t first, std::span<ScalarRow> rows) const {
  char* next = reinterpret_cast<char*>(rows.data());
  std::size_t left = rows.size_bytes();
  auto at = static_cast<off_t>((run.offset + first) * sizeof(ScalarRow));
  while (left > 0) {
    const ssize_t count = ::pread(descriptor_, next, left, at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      throw Error("{}: cannot read the temporary file for sorting: {}", printable(folder_.string()),
                  count == 0 ? "it ends" : std::strerror(errno));
    next += count;
    at += count;
    left -= static_cast<std::size_t>(count);
  }
}

void merge_runs(std::vector<SortedRun> runs, const RowOrder& order, RunStore& store,
                std::size_t fan_in, const std::function<void(std::span<const ScalarRow>)>& emit) {
  std::ranges::sort(runs, {}, &SortedRun::order);
  while (runs.size() > fan_in) {
    std::vector<SortedRun> longer;
    for (std::size_t i = 0; i < runs.size(); i += fan_in) {
      const std::size_t count = std::min(fan_in, runs.size() - i);
      if (count == 1) {
        longer.push_back(std::move(runs[i]));
        continue;
      }
      longer.push_back(merged(std::span(runs).subspan(i, count), order, store));
    }
    runs = std::move(longer);
  }
  if (!runs.empty()) merge_some(runs, order, store, emit);
}

}  // namespace rankfold
