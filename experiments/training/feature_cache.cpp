#include "experiments/training/feature_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/machine.h"
#include "core/base/scratch.h"
#include "core/base/text.h"
#include "experiments/models/trained_parts.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t group_tokens = 2048;
constexpr std::uint64_t released_bytes = std::uint64_t{64} << 20;
constexpr std::array<char, 8> magic = {'r', 'k', 'f', 'e', 'a', 't', 'u', 'r'};
constexpr std::uint32_t format_version = 2;

/// The beginning of a file: then come the first token of each example and the end, from the next
/// multiple of 64 bytes on the rows [tokens, hidden] in float32, and last of each example a
/// checksum of its rows.
struct Header {
  std::array<char, 8> magic = {};
  std::uint32_t version = 0, hidden = 0;
  std::uint64_t key = 0, examples = 0, tokens = 0, size = 0;
};

/// Held by one process, and by one object in it; the system takes it back when the process ends.
class FileLock {
 public:
  FileLock(const fs::path& file, const std::function<void(bool first)>& waiting) {
    descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0)
      throw Error("{}: cannot be opened: {}", file.string(), std::strerror(errno));
    try {
      for (bool first = true; ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0; first = false) {
        if (errno != EWOULDBLOCK && errno != EINTR)
          throw Error("{}: cannot be locked: {}", file.string(), std::strerror(errno));
        waiting(first);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    } catch (...) {
      ::close(descriptor_);
      throw;
    }
  }
  ~FileLock() { ::close(descriptor_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_;
};

std::string_view bytes_of(std::span<const std::int32_t> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

std::uint64_t key_of(const EncodedSplit& split, const std::string& origin) {
  std::uint64_t key = fnv1a(origin);
  for (const Encoding& sequence : split.sequences) {
    key = fnv1a(fmt::format("\n{} ", sequence.ids.size()), key);
    key = fnv1a(bytes_of(sequence.ids), key);
    key = fnv1a(bytes_of(sequence.type_ids), key);
  }
  return key;
}

double mebibytes(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

}  // namespace

void check_cacheable(const RunSettings& settings, const Method& method, std::size_t frozen_layers,
                     bool dropout) {
  const std::vector<std::string> parts =
      split(all_trained_parts(settings.text("train"), method), ',');
  if (std::ranges::any_of(parts,
                          [](const std::string& part) { return trim(part).starts_with("norm"); }))
    throw UsageError(
        "--cache-features: --train norms, and a method that trains their shifts, train a norm "
        "below "
        "every layer, so that no activations stay the same; expected no norms");
  if (frozen_layers == 0)
    throw UsageError(
        "--cache-features: no layer is frozen below all that trains (--layers {}); expected "
        "--layers last:N below the number of layers that have weights of their own",
        printable(settings.text("layers"), 80));
  if (dropout)
    throw UsageError(
        "--cache-features: dropout below the first adapted layer ({}) changes the activations at "
        "every step; expected --dropout 0",
        frozen_layers);
}

std::string feature_origin(const std::string& model, const Host& host,
                           const std::string& precision) {
  const KernelReport kernels = kernel_report();
  // Raised where hosts compute other numbers than before.
  constexpr int generation = 2;
  return fmt::format(
      "layers {}, precision {}, rankfold {} ({}), {}, {}, {}, {}, threads {}\nmodel {}\n",
      host.frozen_layers(), precision, version(), generation, compiler(), cpu_model(), kernels.own,
      kernels.openblas, kernels.threads, model);
}

FeatureCache::FeatureCache(Host& host, const EncodedSplit& split, const std::string& name,
                           FeatureCacheSettings settings)
    : host_(host),
      split_(split),
      name_(name),
      settings_(std::move(settings)),
      hidden_(host.hidden_size()),
      starts_(split.size() + 1),
      key_(key_of(split, settings_.origin)) {
  for (std::size_t i = 0; i < split.size(); ++i)
    starts_[i + 1] = starts_[i] + split.sequences[i].ids.size();
  const std::uint64_t tokens = settings_.limit / (hidden_ * sizeof(float));
  kept_ = static_cast<std::size_t>(std::ranges::upper_bound(starts_, tokens) - starts_.begin()) - 1;
  file_ = settings_.folder / fmt::format("{}-{:016x}", name, key_) / "features";
  open();
}

void FeatureCache::open() {
  if (kept_ == 0) return tell(description() + " kept");
  if (map(false)) return tell(fmt::format("{} found in {}", description(), file_.string()));

  const fs::path folder = file_.parent_path();
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw Error("{}: its folder cannot be made: {}", file_.string(), failure.message());
  const FileLock lock(folder / "lock", [&](bool first) {
    if (first) tell(fmt::format("{}: another process computes it; waiting", file_.string()));
    pause();
  });
  if (map(true)) return tell(fmt::format("{} found in {}", description(), file_.string()));
  remove_leftovers(folder);
  const auto start = Clock::now();
  fill();
  const double seconds = seconds_since(start);
  if (!map(true)) throw Error("{}: was changed while it was written", file_.string());
  tell(fmt::format("{} computed in {:.1f} s and kept in {}", description(), seconds,
                   file_.string()));
  tell_old_files();
}

/// Files of other formats are never read again.
void FeatureCache::tell_old_files() const {
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  std::error_code failure;
  fs::directory_iterator entry(settings_.folder, failure);
  for (; !failure && entry != fs::directory_iterator(); entry.increment(failure)) {
    if (!entry->path().filename().string().starts_with(name_ + "-")) continue;
    const fs::path file = entry->path() / "features";
    std::error_code unreadable;
    if (!fs::is_regular_file(file, unreadable)) continue;
    Header header;
    std::ifstream stream(file, std::ios::binary);
    if (!stream.read(reinterpret_cast<char*>(&header), sizeof header)) continue;
    if (header.magic != magic || header.version == format_version) continue;
    ++count;
    bytes += fs::file_size(file, unreadable);
  }
  if (count > 0)
    tell(
        fmt::format("{}: files of {} features by other versions, which are not used any more: {} "
                    "({:.1f} MiB)",
                    settings_.folder.string(), name_, count, mebibytes(bytes)));
}

std::uint64_t FeatureCache::bytes() const {
  return starts_[kept_] * hidden_ * sizeof(float);
}

std::uint64_t FeatureCache::data_begin(std::size_t examples) const {
  const std::uint64_t end = sizeof(Header) + (examples + 1) * sizeof(std::uint64_t);
  return (end + 63) / 64 * 64;
}

/// "features of 800 of 1000 train examples below layer 4 (120 MiB)".
std::string FeatureCache::description() const {
  const std::string count = kept_ == split_.size() ? std::to_string(kept_)
                                                   : fmt::format("{} of {}", kept_, split_.size());
  return fmt::format("features of {} {} examples below layer {} ({:.1f} MiB{})", count, name_,
                     host_.frozen_layers(), mebibytes(bytes()),
                     kept_ == split_.size() ? "" : "; the others in every step");
}

void FeatureCache::tell(const std::string& line) const {
  if (settings_.message) settings_.message(line);
}

void FeatureCache::pause() const {
  if (settings_.pause) settings_.pause();
}

/// Why the file cannot be used, or "".
std::string FeatureCache::fault_of(std::span<const std::byte> bytes) const {
  Header header;
  if (bytes.size() < sizeof header)
    return fmt::format("has {} bytes, expected a header of {}", bytes.size(), sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != magic) return "is no file of features";
  if (header.version != format_version)
    return fmt::format("has format {}, expected {}", header.version, format_version);
  if (header.key != key_)
    return fmt::format("has the key {:016x}, expected {:016x}", header.key, key_);
  if (header.hidden != hidden_)
    return fmt::format("has {} columns, expected {}", header.hidden, hidden_);
  if (header.examples < kept_ || header.examples > split_.size())
    return fmt::format("has {} examples, expected {} to {}", header.examples, kept_, split_.size());
  const auto examples = static_cast<std::size_t>(header.examples);
  if (header.tokens != starts_[examples])
    return fmt::format("has {} tokens, expected {}", header.tokens, starts_[examples]);
  const std::uint64_t size = data_begin(examples) + header.tokens * hidden_ * sizeof(float) +
                             examples * sizeof(std::uint64_t);
  if (header.size != size || bytes.size() != size)
    return fmt::format("has {} bytes and promises {}, expected {}", bytes.size(), header.size,
                       size);
  if (std::memcmp(bytes.data() + sizeof header, starts_.data(),
                  (examples + 1) * sizeof(std::uint64_t)) != 0)
    return "has examples of other lengths";
  return "";
}

/// Whether the file is there and right; only then it is used.
bool FeatureCache::map(bool tell_fault) {
  std::error_code failure;
  if (!fs::exists(file_, failure)) return false;
  auto mapped = std::make_unique<const MappedFile>(file_);
  const std::span<const std::byte> bytes = mapped->bytes();
  if (const std::string fault = fault_of(bytes); !fault.empty()) {
    if (tell_fault) tell(fmt::format("{}: {}; it is computed anew", file_.string(), fault));
    return false;
  }
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::uint64_t begin = data_begin(static_cast<std::size_t>(header.examples));
  rows_ = reinterpret_cast<const float*>(bytes.data() + begin);
  sums_.resize(kept_);
  std::memcpy(sums_.data(), bytes.data() + begin + header.tokens * hidden_ * sizeof(float),
              kept_ * sizeof(std::uint64_t));
  // Every example is read once before any is used: what is damaged is computed anew, all of it, so
  // that a run has the same bits.
  std::uint64_t released = 0;
  for (std::size_t example = 0; example < kept_; ++example) {
    if (!is_whole(example)) {
      if (tell_fault)
        tell(
            fmt::format("{}: the features of example {} are damaged (another checksum); it is "
                        "computed anew",
                        file_.string(), example));
      return false;
    }
    const std::uint64_t end = begin + starts_[example + 1] * hidden_ * sizeof(float);
    if (end - released < released_bytes && example + 1 < kept_) continue;
    pause();
    mapped->release(released, end - released);
    released = end;
  }
  mapped_ = std::move(mapped);
  return true;
}

/// Whether the rows in the map are those that were written.
bool FeatureCache::is_whole(std::size_t example) const {
  const std::span<const float> rows(rows_ + starts_[example] * hidden_,
                                    rows_ + starts_[example + 1] * hidden_);
  return content_hash(std::as_bytes(rows)) == sums_[example];
}

void FeatureCache::fill() {
  AtomicFile output(file_);
  Header header;
  header.magic = magic;
  header.version = format_version;
  header.hidden = static_cast<std::uint32_t>(hidden_);
  header.key = key_;
  header.examples = kept_;
  header.tokens = starts_[kept_];
  header.size = data_begin(kept_) + bytes() + kept_ * sizeof(std::uint64_t);
  output.write(&header, sizeof header);
  output.write(starts_.data(), (kept_ + 1) * sizeof(std::uint64_t));
  const std::array<char, 64> zeros = {};
  output.write(zeros.data(),
               data_begin(kept_) - sizeof header - (kept_ + 1) * sizeof(std::uint64_t));

  std::vector<std::uint64_t> sums;
  std::vector<std::size_t> group;
  for (std::size_t begin = 0; begin < kept_; begin += group.size()) {
    pause();
    std::size_t end = begin + 1;
    while (end < split_.size() && starts_[end + 1] - starts_[begin] <= group_tokens) ++end;
    group.resize(end - begin);
    std::iota(group.begin(), group.end(), begin);
    const Batch batch = pack(split_, group);
    computed_.resize(batch.tokens() * hidden_);
    host_.features(batch, {computed_.data(), batch.tokens(), hidden_});
    const std::uint64_t tokens = starts_[std::min(end, kept_)] - starts_[begin];
    output.write(computed_.data(), tokens * hidden_ * sizeof(float));
    for (std::size_t i = 0; i < group.size() && group[i] < kept_; ++i) {
      const std::span<const float> rows(computed_.data() + batch.starts[i] * hidden_,
                                        computed_.data() + batch.starts[i + 1] * hidden_);
      sums.push_back(content_hash(std::as_bytes(rows)));
    }
  }
  output.write(sums.data(), sums.size() * sizeof(std::uint64_t));
  output.commit();
}

void FeatureCache::add_features(Batch& batch, std::span<const std::size_t> chosen) {
  features_.resize(batch.tokens() * hidden_);
  std::vector<std::size_t> places;  // in the batch, of examples that are not kept
  for (std::size_t place = 0; place < chosen.size(); ++place) {
    const std::size_t example = chosen[place];
    if (example >= kept_) {
      places.push_back(place);
      continue;
    }
    if (!is_whole(example))
      throw Error("{}: the features of example {} were changed while the run used them",
                  file_.string(), example);
    std::copy(rows_ + starts_[example] * hidden_, rows_ + starts_[example + 1] * hidden_,
              features_.data() + batch.starts[place] * hidden_);
  }
  if (!places.empty()) compute(batch, chosen, places);
  batch.features = MatrixView<const float>(features_.data(), batch.tokens(), hidden_);
}

void FeatureCache::compute(const Batch& batch, std::span<const std::size_t> chosen,
                           std::span<const std::size_t> places) {
  std::vector<std::size_t> examples;
  for (const std::size_t place : places) examples.push_back(chosen[place]);
  const Batch part = pack(split_, examples);
  computed_.resize(part.tokens() * hidden_);
  host_.features(part, {computed_.data(), part.tokens(), hidden_});
  for (std::size_t i = 0; i < places.size(); ++i)
    std::copy(computed_.data() + part.starts[i] * hidden_,
              computed_.data() + part.starts[i + 1] * hidden_,
              features_.data() + batch.starts[places[i]] * hidden_);
}

}  // namespace rankfold
