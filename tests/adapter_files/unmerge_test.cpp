#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/training/trainer.h"
#include "source_paths.h"
#include "training/random_adapter.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Unmerge : public Workplace {
 protected:
  /// A random adapter's folder, and the model with it.
  void make(const std::string& method) const {
    for (const char* name : {"adapter", "merged", "again"}) fs::remove_all(folder / name);
    AdaptedModel adapted = random_adapter(folder / "model", method, "3", registry);
    fs::create_directories(folder / "adapter");
    save_adapter(folder / "adapter", adapted.description, *adapted.adapter, *adapted.host);
    merge(folder / "model", folder / "adapter", folder / "merged", registry);
  }
  UnmergeResult take_out() const {
    return unmerge(folder / "merged", folder / "adapter", folder / "again", registry);
  }
  std::string refusal() const {
    return error_of([&] { take_out(); });
  }
  /// The model without its head, as a pretrained one comes.
  void drop_head() const {
    const SafetensorsFile original(fs::path(RANKFOLD_GOLDEN_DIR) / "models/bert/model.safetensors");
    std::vector<TensorToWrite> list;
    for (const TensorEntry& entry : original.entries())
      if (!entry.name.starts_with("classifier."))
        list.push_back({entry.name, entry.type, entry.shape, original.bytes(entry)});
    write_safetensors(folder / "model/model.safetensors", list);
  }
  /// A sum with an update far larger than the weight has rounded the weight.
  double largest_merged() const {
    const WeightFolder merged(folder / "merged");
    double largest = 0;
    for (const std::string& name : merged.names())
      for (const float value : merged.read<float>(name))
        largest = std::max(largest, std::abs(static_cast<double>(value)));
    return largest;
  }
  /// The largest difference of any tensor's entries but those kept as trained.
  double difference(const std::string& skipped, const std::vector<std::string>& kept = {}) const {
    const WeightFolder before(folder / "model"), after(folder / "again");
    double largest = 0;
    for (const std::string& name : before.names()) {
      if (name.starts_with(skipped) || std::ranges::find(kept, name) != kept.end()) continue;
      const std::vector<float> a = before.read<float>(name), b = after.read<float>(name);
      EXPECT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
    }
    return largest;
  }

  Registry registry = builtin_registry();
};

TEST_F(Unmerge, GivesTheBaseWeightsOfEveryPlainMethod) {
  std::size_t undone = 0;
  for (const Method& method : registry.methods()) {
    SCOPED_TRACE(method.name);
    try {
      make(method.name);
    } catch (const Error&) {
      continue;
    }
    if (random_adapter(folder / "model", method.name, "3", registry).adapter->needs_frozen()) {
      EXPECT_THAT(refusal(), HasSubstr("depends on the base model's weights"));
      EXPECT_FALSE(fs::exists(folder / "again"));
      continue;
    }
    EXPECT_GT(take_out().tensors, 30U);
    EXPECT_LE(difference("classifier."), 1e-6);
    ++undone;
  }
  EXPECT_GE(undone, 15U);
}

TEST_F(Unmerge, GivesTheBaseWeightsOfWhatPeftTrained) {
  std::size_t undone = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(RANKFOLD_GOLDEN_DIR) / "peft-bert")) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().filename());
    for (const char* name : {"adapter", "merged", "again"}) fs::remove_all(folder / name);
    fs::create_directories(folder / "adapter");
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
      fs::copy_file(entry.path() / name, folder / "adapter" / name);
    merge(folder / "model", folder / "adapter", folder / "merged", registry);
    if (load_lone_adapter(folder / "adapter", folder / "model", registry, make_cpu_device())
            .adapter->needs_frozen()) {
      EXPECT_THAT(refusal(), HasSubstr("depends on the base model's weights"));
      continue;
    }
    const std::vector<std::string> kept = take_out().kept;
    EXPECT_LE(difference("classifier.", kept), 1e-6 + 1e-7 * largest_merged());
    ++undone;
  }
  EXPECT_GE(undone, 8U);
}

TEST_F(Unmerge, TakesTrainedBiasesOutAgain) {
  AdaptedModel adapted = random_adapter(folder / "model", "cara", "3", registry, "q,o,up");
  ASSERT_TRUE(adapted.adapter->adds_bias(1));
  fs::create_directories(folder / "adapter");
  save_adapter(folder / "adapter", adapted.description, *adapted.adapter, *adapted.host);
  merge(folder / "model", folder / "adapter", folder / "merged", registry);
  const std::string name = adapted.adapter->stack().sites[1].name + ".bias";
  const std::vector<float> before = WeightFolder(folder / "model").read<float>(name),
                           merged = WeightFolder(folder / "merged").read<float>(name);
  const std::span<const float> bias = adapted.adapter->parameter("bias.o").value.span();
  ASSERT_EQ(bias.size(), before.size());
  for (std::size_t i = 0; i < bias.size(); ++i) EXPECT_NEAR(merged[i], before[i] + bias[i], 1e-6);
  take_out();
  EXPECT_LE(difference("classifier."), 1e-6);
}

TEST_F(Unmerge, DropsAHeadThatTheBaseModelHadNot) {
  drop_head();
  make("lora");
  const std::string configuration = read_text(folder / "model/config.json");
  const UnmergeResult result = take_out();
  EXPECT_THAT(result.dropped, ElementsAre("classifier.bias", "classifier.weight"));
  EXPECT_TRUE(result.kept.empty());
  EXPECT_EQ(result.sites, 4U);
  EXPECT_EQ(WeightFolder(folder / "again").names(), WeightFolder(folder / "model").names());
  EXPECT_EQ(read_text(folder / "again/config.json"), configuration);
  EXPECT_TRUE(fs::exists(folder / "again/vocab.txt"));
}

TEST_F(Unmerge, NamesTrainedTensorsWhoseValuesBeforeAreLost) {
  RunSettings wanted = settings();
  wanted.values["train"] = "norms";
  finetune(wanted, folder / "run", registry);
  fs::rename(folder / "run/adapter", folder / "adapter");
  merge(folder / "model", folder / "adapter", folder / "merged", registry);
  const UnmergeResult result = take_out();
  EXPECT_EQ(result.kept.size(), 2 + 5 * 2U);
  EXPECT_TRUE(result.dropped.empty());
  // The head is another than the base model's, and so are its labels.
  const auto labels = [&](const char* name) {
    return nlohmann::json::parse(read_text(folder / name / "config.json")).at("id2label");
  };
  EXPECT_EQ(labels("again"), labels("merged"));
}

TEST_F(Unmerge, RefusesAFolderThatIsNotThatMerge) {
  make("lora");
  fs::rename(folder / "adapter", folder / "other");
  fs::rename(folder / "merged", folder / "merged-other");
  make("lotr");
  EXPECT_THAT(error_of([&] {
                unmerge(folder / "merged-other", folder / "adapter", folder / "again", registry);
              }),
              HasSubstr("the merge of another adapter, of method lora"));
  EXPECT_THAT(
      error_of([&] { unmerge(folder / "model", folder / "adapter", folder / "again", registry); }),
      HasSubstr("expected a model that rankfold merge wrote"));
  EXPECT_FALSE(fs::exists(folder / "again"));
}

TEST_F(Unmerge, RefusesAMergeThatHasChangedSinceOrWhoseNoteIsBroken) {
  make("lora");
  const fs::path path = folder / "merged/model.safetensors";
  const std::string bytes = read_text(path);
  std::map<std::string, std::string> metadata = SafetensorsFile(path).metadata();
  {
    const SafetensorsFile file(path);
    std::vector<std::vector<float>> values;
    std::vector<TensorToWrite> list;
    for (const TensorEntry& entry : file.entries()) {
      values.push_back(file.read<float>(entry.name));
      values.back().front() += 1;
      list.push_back(make_tensor(entry.name, entry.shape, std::span<const float>(values.back())));
    }
    write_safetensors(path, list, metadata);
  }
  EXPECT_THAT(refusal(), HasSubstr("has changed since it was merged"));
  std::vector<std::string> notes = {"", "[]", "{\"base\": 3}", "{"};
  const auto note_of_merge = nlohmann::json::parse(metadata.at("rankfold_merge"));
  for (const char* key : {"base", "merged", "adapter", "method", "config", "added", "replaced"}) {
    auto changed = note_of_merge;
    changed[key] = 3;
    notes.push_back(changed.dump());
    changed.erase(key);
    notes.push_back(changed.dump());
  }
  const std::vector<std::pair<const char*, nlohmann::json>> wrong = {
      {"added", nlohmann::json::array({1})},
      {"left_out", "classifier.weight"},
      {"left_out", nullptr},
      {"config", "[]"},
      {"config", "{"}};
  for (const auto& [key, value] : wrong) {
    auto changed = note_of_merge;
    changed[key] = value;
    notes.push_back(changed.dump());
  }
  for (const std::string& note : notes) {
    write_atomically(path, bytes);
    const SafetensorsFile file(path);
    std::vector<TensorToWrite> list;
    for (const TensorEntry& entry : file.entries())
      list.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
    metadata["rankfold_merge"] = note;
    write_safetensors(folder / "note.safetensors", list, metadata);
    fs::rename(folder / "note.safetensors", path);
    EXPECT_THAT(refusal(), HasSubstr("is not what rankfold merge writes")) << note;
  }
}

}  // namespace
}  // namespace rankfold
