#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/method.h"
#include "core/base/files.h"
#include "experiments/models/host.h"
#include "experiments/runs/settings.h"
#include "experiments/training/data.h"

namespace rankfold {

/// Throws UsageError where a run has no features to keep: no layer is frozen below all that trains
/// (`frozen_layers` is 0), or with dropout in the network (`dropout`), which changes activations
/// at every step.
void check_cacheable(const RunSettings& settings, const Method& method, std::size_t frozen_layers,
                     bool dropout);

/// What features depend on besides the tokens, to the last bit, as text: the model (by the
/// fingerprint of its content), the number of frozen layers, the precision, and what computes:
/// version, compiler, processor, kernels, threads. Not the method, rank, seed, head or
/// batch size.
std::string feature_origin(const std::string& model, const Host& host,
                           const std::string& precision);

/// Where features are kept and how many of them.
struct FeatureCacheSettings {
  std::filesystem::path folder;
  std::uint64_t limit = 0;                          ///< bytes of features
  std::string origin;                               ///< see feature_origin
  std::function<void(const std::string&)> message;  ///< one line on what was done
  /// Called between pieces of the work and while another process does it; may throw to stop.
  std::function<void()> pause;
};

/// The features (Host::features) of the examples of a split: those of the first examples, as many
/// as the limit allows, in a file that is mapped into memory; the others are computed when they are
/// asked for.
///
/// The file is <folder>/<name>-<key>/features, the key a hash over origin and tokens. It is
/// written under another name and renamed when it is whole. One process at a time fills it, under a
/// lock that ends with the process; others wait and map what it wrote. Every example has a
/// checksum, which is compared before the first use and at every use. A file that is not whole or
/// belongs to something else is replaced, which `message` tells; so is one that holds fewer
/// examples than this limit allows. Files of other formats in the folder are told of.
///
/// Kept features are computed in fixed groups: consecutive examples of the split of at most 2048
/// tokens together (or one that is longer), whatever the limit is. So they are the same bits
/// whoever filled the file, and a run gives the same bits whether it found or made it. Features
/// that are not kept are computed in one pass over those of a batch; another limit may change the
/// last bits of a result.
class FeatureCache {
 public:
  /// Maps the file, and fills it before where needed. Host and split outlive the cache; the host
  /// has its adapter. Throws Error naming the file: no permission, disk full.
  FeatureCache(Host& host, const EncodedSplit& split, const std::string& name,
               FeatureCacheSettings settings);

  std::size_t examples() const { return kept_; }  ///< kept in the file
  std::uint64_t bytes() const;                    ///< of their features
  const std::filesystem::path& file() const { return file_; }

  /// Gives the batch, which is packed of the `chosen` examples, its features; they are valid until
  /// the next call. Throws Error naming the file where it was changed meanwhile.
  void add_features(Batch& batch, std::span<const std::size_t> chosen);

 private:
  void open();
  std::string fault_of(std::span<const std::byte> bytes) const;
  bool map(bool tell_fault);
  bool is_whole(std::size_t example) const;
  void fill();
  void tell_old_files() const;
  std::uint64_t data_begin(std::size_t examples) const;
  void compute(const Batch& batch, std::span<const std::size_t> chosen,
               std::span<const std::size_t> places);
  std::string description() const;
  void tell(const std::string& line) const;
  void pause() const;

  Host& host_;
  const EncodedSplit& split_;
  std::string name_;
  FeatureCacheSettings settings_;
  std::size_t hidden_;
  std::vector<std::uint64_t> starts_;  ///< first token of each example of the split, and the end
  std::size_t kept_ = 0;
  std::uint64_t key_ = 0;
  std::filesystem::path file_;
  std::unique_ptr<const MappedFile> mapped_;
  const float* rows_ = nullptr;             ///< in the map
  std::vector<std::uint64_t> sums_;         ///< of the rows of each example
  std::vector<float> features_, computed_;  ///< of a batch, and of its examples that are not kept
};

}  // namespace rankfold
