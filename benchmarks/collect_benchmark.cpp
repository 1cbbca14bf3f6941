// collect_benchmark [FILES SCALARS [FOLDER]]: writes a tree of event files as torch's SummaryWriter
// does (model/ method/task/lr/rank/seed, ten tags), collects it, and prints seconds, resident
// memory and size. FOLDER is kept; without it a temporary one is removed again. Without arguments
// the trees of docs/performance.md's table.

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/core.h>

#include "analysis/logs/checksum.h"
#include "analysis/logs/collect.h"

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

const char* const tags[] = {"train/loss",          "train/learning_rate",
                            "train/epoch",         "train/loss",
                            "train/learning_rate", "train/epoch",
                            "eval/loss",           "eval/matthews_correlation",
                            "train/train_loss",    "train/grad_norm_not_kept"};

template <class Number>
void append(std::string& bytes, Number value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  bytes += static_cast<char>(value);
}

void append_record(std::string& bytes, const std::string& message) {
  const std::size_t start = bytes.size();
  append(bytes, static_cast<std::uint64_t>(message.size()));
  append(bytes, rankfold::masked_crc32c(bytes.data() + start, 8));
  bytes += message;
  append(bytes, rankfold::masked_crc32c(message.data(), message.size()));
}

/// An event file of so many scalars that are kept, a tenth more that are not.
void write_file(const fs::path& file, std::size_t scalars, std::uint64_t& state) {
  std::string bytes;
  append_record(bytes, std::string("\x09\0\0\0\0\0\0\xd9\x41\x1a\x0d"
                                   "brain.Event:2",
                                   24));
  std::size_t kept = 0;
  for (std::uint64_t event = 0; kept < scalars; ++event) {
    const char* tag = tags[event % 10];
    if (event % 10 != 9) ++kept;
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::string value = "\x0a";
    append_varint(value, std::strlen(tag));
    value += tag;
    value += '\x15';
    append(value, static_cast<float>(state >> 40) / 16777216.0f);
    std::string message = "\x09";
    append(message, 1.7e9 + static_cast<double>(event));
    message += '\x10';
    append_varint(message, 10 * (event / 5));
    message += '\x2a';
    append_varint(message, value.size() + 2);
    message += '\x0a';
    append_varint(message, value.size());
    append_record(bytes, message + value);
  }
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << bytes;
}

void write_tree(const fs::path& root, std::size_t files, std::size_t scalars) {
  std::uint64_t state = 1;
  const char* methods[] = {"lora", "lotr", "lorta", "loretta_rep"};
  const char* tasks[] = {"cola", "mrpc", "qnli", "rte", "sst2", "stsb", "wnli"};
  const char* rates[] = {"1.000000e-03", "5.000000e-04", "1.000000e-04"};
  for (std::size_t i = 0; i < files; ++i)
    write_file(root / "roberta-base" / methods[i / 5 % 4] / tasks[i / 20 % 7] / rates[i / 140 % 3] /
                   std::to_string(1 + i / 420) / std::to_string(42 + i % 5) /
                   "events.out.tfevents.1700000000.host.1.0",
               scalars, state);
}

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void measure(std::size_t files, std::size_t scalars, const fs::path& folder) {
  const fs::path logs = folder / "logs";
  if (!fs::exists(logs)) write_tree(logs, files, scalars);
  rankfold::CollectRequest request;
  request.logs = {logs};
  request.out = folder / "out.parquet";
  request.names = {"model", "method", "task", "lr", "rank", "seed"};
  double best = HUGE_VAL, processors = HUGE_VAL;
  rankfold::CollectReport report;
  for (int run = 0; run < 3; ++run) {
    const Clock::time_point start = Clock::now();
    const double before = processor_seconds();
    report = rankfold::collect(request);
    processors = std::min(processors, processor_seconds() - before);
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print(
      "{:>6} files, {:>9} scalars: {:6.3f} s ({:.3f} of processors), {:4.0f} ns a scalar, {} MiB "
      "resident at most, {} bytes\n",
      report.files, report.rows, best, processors, 1e9 * best / static_cast<double>(report.rows),
      usage.ru_maxrss / 1024, fs::file_size(request.out));
}

}  // namespace

int main(int count, char** words) {
  if (count == 4) {
    measure(std::stoul(words[1]), std::stoul(words[2]), words[3]);
    return 0;
  }
  std::string folder = (fs::temp_directory_path() / "rankfold-collect-XXXXXX").string();
  const auto measure_there = [&](std::size_t files, std::size_t scalars) {
    std::string name = folder;
    if (::mkdtemp(name.data()) == nullptr) return;
    measure(files, scalars, name);
    fs::remove_all(name);
  };
  if (count == 3) {
    measure_there(std::stoul(words[1]), std::stoul(words[2]));
  } else {
    measure_there(168, 830);
    for (const std::size_t files : {1000, 3000, 10000}) measure_there(files, 2000);
  }
  return 0;
}
