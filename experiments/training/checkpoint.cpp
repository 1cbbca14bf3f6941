#include "experiments/training/checkpoint.h"

#include <fstream>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/json_field.h"
#include "core/base/machine.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* checkpoint_format = "rankfold-checkpoint-1";
constexpr const char* hash_key = "hash";
constexpr JsonLimits of_parts{std::size_t{1} << 28, 16, 20'000'000};

struct PositionField {
  const char* name;
  std::size_t RunPosition::*whole;
  double RunPosition::*real;
};
constexpr PositionField position_fields[] = {
    {"epoch", &RunPosition::epoch, nullptr},
    {"batch", &RunPosition::batch, nullptr},
    {"loss_sum", nullptr, &RunPosition::loss_sum},
    {"seconds", nullptr, &RunPosition::seconds},
    {"epoch_examples", &RunPosition::epoch_examples, nullptr},
    {"tokens", &RunPosition::tokens, nullptr},
    {"examples", &RunPosition::examples, nullptr},
    {"first_loss", nullptr, &RunPosition::first_loss},
    {"log_sum", nullptr, &RunPosition::log_sum},
    {"log_count", &RunPosition::log_count, nullptr},
    {"kept", &RunPosition::kept, nullptr},
    {"since_kept", &RunPosition::since_kept, nullptr}};

std::string progress_text(const Checkpoint& checkpoint) {
  json position = json::object(), log = json::array();
  for (const PositionField& field : position_fields)
    if (field.whole)
      position[field.name] = checkpoint.position.*field.whole;
    else
      position[field.name] = checkpoint.position.*field.real;
  for (const RunLog::Entry& entry : checkpoint.log)
    log.push_back({entry.tag, entry.value, entry.step});
  return json{{"position", position}, {"counts", checkpoint.state.counts}, {"log", log}}.dump();
}

void read_progress(const JsonField& document, Checkpoint& checkpoint) {
  const JsonField position = document.member("position");
  for (const PositionField& field : position_fields)
    if (field.whole)
      checkpoint.position.*field.whole = position.member(field.name).count();
    else
      checkpoint.position.*field.real = position.member(field.name).number();
  for (const auto& [name, count] : document.member("counts").members())
    checkpoint.state.counts[name] = count.count();
  for (const JsonField& entry : document.member("log").elements())
    checkpoint.log.push_back({entry.element(0).string(), entry.element(1).number(),
                              static_cast<std::size_t>(entry.element(2).count())});
}

std::uint64_t text_hash(const std::string& text) {
  return content_hash(std::as_bytes(std::span(text.data(), text.size())));
}

/// A hash over the texts of the header and all tensors.
class PartsHash {
 public:
  void add(const std::string& name, std::span<const std::byte> bytes) {
    parts_ += fmt::format("{}={:016x}\n", name, content_hash(bytes));
  }
  void add(const std::string& name, const std::string& text) {
    add(name, std::as_bytes(std::span(text.data(), text.size())));
  }
  std::string text() const { return fmt::format("{:016x}", text_hash(parts_)); }

 private:
  std::string parts_;
};

std::string hash_of(const std::map<std::string, std::string>& metadata,
                    std::span<const TensorToWrite> tensors) {
  PartsHash hash;
  for (const auto& [name, text] : metadata)
    if (name != hash_key) hash.add(name, text);
  for (const TensorToWrite& tensor : tensors) hash.add(tensor.name, tensor.bytes);
  return hash.text();
}

std::string hash_of(const SafetensorsFile& file) {
  PartsHash hash;
  for (const auto& [name, text] : file.metadata())
    if (name != hash_key) hash.add(name, text);
  for (const TensorEntry& entry : file.entries()) hash.add(entry.name, file.bytes(entry));
  return hash.text();
}

const std::string& part_of(const SafetensorsFile& file, const std::string& name) {
  const auto found = file.metadata().find(name);
  if (found == file.metadata().end())
    throw Error("{}: has no '{}' in its header", printable(file.path().string()), name);
  return found->second;
}

}  // namespace

void write_checkpoint(const fs::path& file, const Checkpoint& checkpoint) {
  RunResult run = checkpoint.run;
  run.status = "failed";
  run.error = "unfinished";
  std::map<std::string, std::string> metadata{{"format", checkpoint_format},
                                              {"version", version()},
                                              {"run", to_json_text(run)},
                                              {"progress", progress_text(checkpoint)}};
  // Both maps are in the order of their names, and so is a file's list of tensors.
  std::map<std::string, TensorToWrite> named;
  for (const auto& [name, values] : checkpoint.state.floats)
    named.emplace(name, make_tensor(name, {values.size()}, std::span<const float>(values)));
  for (const auto& [name, values] : checkpoint.state.doubles)
    named.emplace(name, make_tensor(name, {values.size()}, std::span<const double>(values)));
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : named) tensors.push_back(tensor);
  metadata[hash_key] = hash_of(metadata, tensors);
  write_safetensors(file, tensors, metadata);
}

Checkpoint read_checkpoint(const fs::path& file) {
  const SafetensorsFile stored(file);
  const std::string shown = printable(file.string());
  if (part_of(stored, "format") != checkpoint_format)
    throw Error("{}: is a checkpoint of another format than {}", shown, checkpoint_format);
  if (part_of(stored, hash_key) != hash_of(stored))
    throw Error("{}: its content was altered", shown);
  if (part_of(stored, "version") != version())
    throw Error("{}: was written by version {}, this is {}", shown,
                printable(part_of(stored, "version"), 40), version());
  Checkpoint checkpoint;
  checkpoint.run = parse_run_text(part_of(stored, "run"), file);
  const json progress = parse_json<json>(part_of(stored, "progress"), file, of_parts);
  read_progress({progress, file}, checkpoint);
  for (const TensorEntry& entry : stored.entries())
    if (entry.type == DataType::f64)
      checkpoint.state.doubles[entry.name] = stored.read<double>(entry.name);
    else
      checkpoint.state.floats[entry.name] = stored.read<float>(entry.name);
  return checkpoint;
}

bool is_checkpoint(const fs::path& file) {
  constexpr std::size_t longest_begin = 4096;
  std::string begin(longest_begin, '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  begin.resize(static_cast<std::size_t>(stream.gcount()));
  return begin.empty() || begin.find("rankfold-checkpoint") != std::string::npos;
}

}  // namespace rankfold
