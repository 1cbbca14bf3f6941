#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/safetensors.h"
#include "experiments/runs/settings.h"
#include "experiments/tasks/prompt_task.h"
#include "experiments/tasks/task.h"

namespace rankfold {

/// Fingerprints say what was read, whatever it was called: "xxh64-" and 16 hexadecimal digits over
/// every byte that counts (content_hash).

/// What a run was made of. "" is unknown: the run.json of an older version has none.
struct RunFingerprints {
  std::string model;   ///< config.json, the tokenizer's files and all tensors
  std::string train;   ///< the rows that it trained on, in order: text, second text, label
  std::string scored;  ///< those that it was scored on
  bool operator==(const RunFingerprints&) const = default;
};

/// The first part in which two differ, as "the model is another (xxh64-... there, xxh64-... here)";
/// "" where they are the same as far as both are known.
std::string first_difference(const RunFingerprints& there, const RunFingerprints& here);
/// Whether nothing of it is known.
bool is_unknown(const RunFingerprints& fingerprints);

/// Of rows, in order.
std::string rows_fingerprint(std::span<const Example> rows);
/// The same of rows in words: prompts, options, which are right, and answers.
std::string rows_fingerprint(std::span<const PromptExample> rows);

/// A model folder as it was read once.
class ModelContent {
 public:
  /// Reads all of it; `pause` is called between tensors and may throw to stop. Throws Error as
  /// WeightFolder does, and where config.json is missing.
  explicit ModelContent(const std::filesystem::path& model,
                        const std::function<void()>& pause = {});

  const std::string& fingerprint() const { return fingerprint_; }  ///< of all that a run reads
  const std::string& weights() const { return weights_; }          ///< of the tensors alone
  /// Throws Error naming a file whose content was changed in its place since; where replacements
  /// count, also one that is another file by now. (To those who mapped a file that was replaced it
  /// is still what it was.)
  void expect_unchanged(bool replacements_count) const;

 private:
  struct Stamp {
    std::filesystem::path file;
    std::uint64_t device = 0, number = 0, size = 0;
    std::timespec changed = {};
  };
  static Stamp stamp_of(const std::filesystem::path& file);

  std::filesystem::path model_;
  std::vector<Stamp> stamps_;
  std::string fingerprint_, weights_;
};

/// The fingerprints that runs would have if they began now. One object reads every model and every
/// selection of rows once.
class FingerprintStore {
 public:
  /// Throws Error where the model or the data cannot be read.
  RunFingerprints of(const RunSettings& settings);

 private:
  std::map<std::string, std::string> models_;
  std::map<std::string, std::string> train_, scored_;  ///< by what decides the rows
};

/// Of a model folder's tensors, by name, type, shape and bytes. Adapters of older versions have one
/// of 16 digits alone, over the first 64 bytes of each: given such a one as `like`, the answer is
/// of its form.
std::string model_fingerprint(const std::filesystem::path& model, const std::string& like = "");
/// The same of tensors, sorted by name.
std::string fingerprint(std::span<const TensorToWrite> tensors);

/// A hash of an adapter folder's two files.
std::string adapter_fingerprint(const std::filesystem::path& folder);

}  // namespace rankfold
