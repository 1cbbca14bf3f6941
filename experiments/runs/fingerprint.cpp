#include "experiments/runs/fingerprint.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "experiments/tasks/prompt_data.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view form = "xxh64-";
/// Of older versions: enough of every tensor to tell two trainings of one architecture apart.
constexpr std::size_t short_form_bytes = 64;
constexpr std::size_t piece_bytes = std::size_t{4} << 20;

/// What may lie in a model folder and decides which ids a text becomes.
constexpr const char* tokenizer_files[] = {
    "tokenizer.json",  "tokenizer_config.json",   "vocab.txt",           "added_tokens.json",
    "vocab.json",      "special_tokens_map.json", "merges.txt",          "spiece.model",
    "tokenizer.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model"};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string text_of(std::uint64_t hash) {
  return fmt::format("{}{:016x}", form, hash);
}

std::string heading(const std::string& name, DataType type, std::span<const std::size_t> shape) {
  return fmt::format("{} {} [{}]", name, data_type_name(type), fmt::join(shape, ", "));
}

/// In pieces, so that threads may share one large tensor; the hash does not depend on them.
std::uint64_t hash_of(std::span<const std::byte> bytes) {
  const std::size_t count = (bytes.size() + piece_bytes - 1) / piece_bytes;
  std::vector<std::uint64_t> pieces(count);
#pragma omp parallel for schedule(dynamic) if (count > 1)
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = i * piece_bytes;
    pieces[i] = content_hash(bytes.subspan(begin, std::min(piece_bytes, bytes.size() - begin)));
  }
  return content_hash(std::as_bytes(std::span(pieces)));
}

std::string line_of(const TensorToWrite& tensor) {
  return fmt::format("{} {:016x}\n", heading(tensor.name, tensor.type, tensor.shape),
                     hash_of(tensor.bytes));
}

std::string fingerprint_of(const WeightFolder& weights, const std::function<void()>& pause) {
  std::string text;
  for (const std::string& name : weights.names()) {
    if (pause) pause();
    const TensorEntry& entry = weights.at(name);
    text += line_of({name, entry.type, entry.shape, weights.bytes(name)});
    weights.release(name);
  }
  return text_of(content_hash(bytes_of(text)));
}

std::string short_fingerprint(const WeightFolder& weights) {
  std::uint64_t hash = fnv1a("");
  for (const std::string& name : weights.names()) {
    const TensorEntry& entry = weights.at(name);
    const std::span<const std::byte> bytes = weights.bytes(name);
    hash = fnv1a(heading(name, entry.type, entry.shape) + "\n", hash);
    hash = fnv1a(
        {reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), short_form_bytes)},
        hash);
  }
  return fmt::format("{:016x}", hash);
}

std::vector<fs::path> weight_files(const fs::path& model) {
  std::vector<fs::path> files;
  std::error_code failure;
  fs::directory_iterator entry(model, failure);
  for (; !failure && entry != fs::directory_iterator(); entry.increment(failure))
    if (entry->path().extension() == ".safetensors" ||
        entry->path().filename() == "model.safetensors.index.json")
      files.push_back(entry->path());
  std::ranges::sort(files);
  return files;
}

}  // namespace

std::string first_difference(const RunFingerprints& there, const RunFingerprints& here) {
  const auto difference = [](const char* what, const std::string& left, const std::string& right) {
    if (left.empty() || right.empty() || left == right) return std::string();
    return fmt::format("{} other content ({} there, {} here)", what, printable(left, 40), right);
  };
  std::string found = difference("the model folder has", there.model, here.model);
  if (found.empty()) found = difference("the rows to train on have", there.train, here.train);
  if (found.empty()) found = difference("the rows to score have", there.scored, here.scored);
  return found;
}

bool is_unknown(const RunFingerprints& fingerprints) {
  return fingerprints.model.empty() && fingerprints.train.empty() && fingerprints.scored.empty();
}

std::string rows_fingerprint(std::span<const Example> rows) {
  std::string text;
  for (const Example& row : rows) {
    std::uint32_t label;
    std::memcpy(&label, &row.label, sizeof label);
    text += fmt::format("{:08x} {} {} ", label, row.text.size(), row.pair.size());
    text += row.text;
    text += row.pair;
  }
  return text_of(hash_of(bytes_of(text)));
}

std::string rows_fingerprint(std::span<const PromptExample> rows) {
  std::string text;
  const auto add = [&](const std::string& part) {
    text += fmt::format("{} ", part.size());
    text += part;
  };
  for (const PromptExample& row : rows) {
    text += fmt::format("{} {} {} {} ", row.options.size(), row.gold, row.right.size(),
                        row.answers.size());
    add(row.prompt);
    for (const std::string& option : row.options) add(option);
    for (const std::size_t right : row.right) text += fmt::format("{} ", right);
    for (const std::string& answer : row.answers) add(answer);
  }
  return text_of(hash_of(bytes_of(text)));
}

ModelContent::Stamp ModelContent::stamp_of(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return {file};
  return {file, status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
          status.st_mtim};
}

ModelContent::ModelContent(const fs::path& model, const std::function<void()>& pause)
    : model_(model) {
  std::vector<fs::path> small_files = {model / "config.json"};
  std::error_code failure;
  for (const char* name : tokenizer_files)
    if (fs::exists(model / name, failure)) small_files.push_back(model / name);
  for (const auto& files : {small_files, weight_files(model)})
    for (const fs::path& file : files) stamps_.push_back(stamp_of(file));

  std::string text;
  for (const fs::path& file : small_files)
    text += fmt::format("{} {:016x}\n", file.filename().string(),
                        content_hash(bytes_of(read_text(file))));
  weights_ = fingerprint_of(WeightFolder(model), pause);
  fingerprint_ = text_of(content_hash(bytes_of(text + weights_)));
}

void ModelContent::expect_unchanged(bool replacements_count) const {
  const auto differs = [&](const Stamp& before) {
    const Stamp now = stamp_of(before.file);
    if (before.device != now.device || before.number != now.number) return replacements_count;
    return before.size != now.size || before.changed.tv_sec != now.changed.tv_sec ||
           before.changed.tv_nsec != now.changed.tv_nsec;
  };
  const auto changed = std::ranges::find_if(stamps_, differs);
  if (changed == stamps_.end()) return;
  // Touched is not changed.
  if (ModelContent(model_).fingerprint_ == fingerprint_) return;
  throw Error("{}: was changed while it was in use; expected a model that stays as it is",
              printable(changed->file.string()));
}

RunFingerprints FingerprintStore::of(const RunSettings& settings) {
  RunFingerprints result;
  const std::string &model = settings.text("model"), &score_on = settings.text("score-on");
  if (!models_.contains(model)) models_[model] = ModelContent(model).fingerprint();
  const std::size_t max_train = settings.count("max-train");
  RunSettings rows = content_settings(settings);
  for (const char* name : {"model", "max-train", "score-on"}) rows.values.erase(name);
  const std::string read = settings_text(rows);
  const std::string train = read + std::to_string(max_train), scored = read + score_on;
  if (!train_.contains(train) || !scored_.contains(scored)) {
    const TaskChoice choice = task_choice(settings);
    const Task task = find_task(choice);
    const auto add = [&](const auto& dataset) {
      train_[train] = rows_fingerprint(dataset.train);
      scored_[scored] = rows_fingerprint(scored_examples(task, dataset, score_on));
    };
    if (task.prompt)
      add(load_prompt_rows(task, choice, max_train, settings.count("seed"),
                           std::array{Split::train, scored_split(score_on)}));
    else
      add(load_dataset(task, choice.data, max_train));
  }
  return {models_.at(model), train_.at(train), scored_.at(scored)};
}

std::string model_fingerprint(const fs::path& model, const std::string& like) {
  const WeightFolder weights(model);
  const bool is_short = !like.empty() && !like.starts_with(form);
  return is_short ? short_fingerprint(weights) : fingerprint_of(weights, {});
}

std::string fingerprint(std::span<const TensorToWrite> tensors) {
  std::string text;
  for (const TensorToWrite& tensor : tensors) text += line_of(tensor);
  return text_of(content_hash(bytes_of(text)));
}

std::string adapter_fingerprint(const fs::path& folder) {
  std::uint64_t hash = fnv1a("");
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    hash = fnv1a(read_text(folder / name), hash);
  return fmt::format("{:016x}", hash);
}

}  // namespace rankfold
