#include <cmath>
#include <functional>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "experiments/models/check_model.h"
#include "models/bert_example.h"
#include "models/golden_models.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;

/// The golden reference with the tensors that `keep` takes, those of one name read as `change`
/// leaves them.
class Reference {
 public:
  std::filesystem::path write(
      const std::function<bool(const std::string&)>& keep, const std::string& changed = "",
      const std::function<void(std::vector<float>&)>& change = [](std::vector<float>&) {}) {
    const SafetensorsFile file(golden / "io.safetensors");
    std::vector<float> values;
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& entry : file.entries()) {
      if (!keep(entry.name)) continue;
      if (entry.name != changed) {
        tensors.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
        continue;
      }
      values = file.read<float>(entry.name);
      change(values);
      tensors.push_back(make_tensor(entry.name, entry.shape, std::span<const float>(values)));
    }
    write_safetensors(folder_.path / "io.safetensors", tensors);
    return folder_.path / "io.safetensors";
  }

  ModelIoReport report(const std::function<bool(const std::string&)>& keep) {
    return check_model(golden, write(keep), make_cpu_device());
  }

 private:
  TemporaryFolder folder_;
};

bool is_input(const std::string& name) {
  return name == "input_ids" || name == "attention_mask" || name == "token_type_ids";
}

class GoldenModel : public testing::TestWithParam<std::string> {};

TEST_P(GoldenModel, IsEqualToWhatTransformersComputes) {
  const std::filesystem::path folder = golden_model(GetParam());
  const ModelIoReport report = check_model(folder, folder / "io.safetensors", make_cpu_device());
  for (const char* name : {"hidden.0", "hidden.1", "hidden.2", "logits", "loss"})
    EXPECT_THAT(report.errors, Contains(Key(name)));
  EXPECT_LT(report.worst(), 1e-5);
  EXPECT_THAT(report.errors, Contains(Key(testing::StartsWith("grad."))));
  // Gradients of frozen biases are not offered.
  EXPECT_THAT(report.skipped, testing::Each(testing::EndsWith("bias")));
}

INSTANTIATE_TEST_SUITE_P(Folders, GoldenModel, testing::ValuesIn(golden_folders()),
                         [](const auto& folder) { return test_name(folder.param); });

TEST(CheckModel, RefusesAReferenceWithNothingToCompare) {
  Reference reference;
  EXPECT_THAT(message_of<Error>([&] { reference.report(is_input); }),
              HasSubstr("io.safetensors: holds nothing to compare"));
  EXPECT_THAT(message_of<Error>([&] {
                reference.report([](const auto& name) { return is_input(name) || name == "loss"; });
              }),
              HasSubstr("nothing to compare"));
}

TEST(CheckModel, ComparesWhateverIsThereAndNamesWhatIsNot) {
  Reference reference;
  const ModelIoReport report = reference.report([](const auto& name) {
    return is_input(name) || name == "hidden.1" || name == "loss" ||
           name == "grad.classifier.weight";
  });
  EXPECT_THAT(report.errors, ElementsAre(Key("hidden.1")));
  EXPECT_LT(report.worst(), 1e-5);
  EXPECT_THAT(report.skipped, ElementsAre("grad.classifier.weight", "loss"));
}

/// The golden reference whose tensor `name` has another shape of as many numbers or more.
std::filesystem::path with_shape(const TemporaryFolder& folder, const std::string& name,
                                 const std::vector<std::size_t>& shape) {
  const SafetensorsFile file(golden / "io.safetensors");
  std::vector<std::byte> bytes;
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : file.entries()) {
    tensors.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
    if (entry.name != name) continue;
    std::size_t size = data_type_size(entry.type);
    for (const std::size_t each : shape) size *= each;
    bytes.resize(size);
    tensors.back().shape = shape;
    tensors.back().bytes = bytes;
  }
  write_safetensors(folder.path / "io.safetensors", tensors);
  return folder.path / "io.safetensors";
}

TEST(CheckModel, NamesATensorWhoseShapeContradictsTheModel) {
  struct Shape {
    const char* name;
    std::vector<std::size_t> found;
    const char* expected;
  };
  const TemporaryFolder folder;
  for (const Shape& shape :
       {Shape{"hidden.1", {4, 9, 16}, "[4, 9, 16], expected [4, 9, 32]"},
        Shape{"hidden.1", {4, 32, 9}, "[4, 32, 9], expected [4, 9, 32]"},
        Shape{"logits", {3, 2}, "[3, 2], expected [4, 2]"},
        Shape{"logits", {4, 3}, "[4, 3], expected [sequences, 2], the labels of "},
        Shape{"loss", {2}, "[2], expected [1]"}, Shape{"labels", {3}, "[3], expected [4]"},
        Shape{"attention_mask", {9, 4}, "[9, 4], expected [4, 9]"},
        Shape{"grad.classifier.weight", {32, 2}, "[32, 2], expected [2, 32]"}}) {
    const auto file = with_shape(folder, shape.name, shape.found);
    EXPECT_THAT(
        message_of<Error>([&] { check_model(golden, file, make_cpu_device()); }),
        HasSubstr(file.string() + ": tensor " + shape.name + " has shape " + shape.expected));
  }
}

TEST(CheckModel, WithoutAReferenceHasTheLabelsOfTheConfig) {
  const ModelIoReport report = check_model(golden_model("llama-classifier"), {}, make_cpu_device());
  EXPECT_THAT(report.notes, testing::IsEmpty());
  EXPECT_LT(report.worst(), 1e-5);
}

TEST(CheckModel, ANumberThatIsNoneIsTheWorst) {
  Reference reference;
  const auto file = reference.write([](const auto&) { return true; }, "logits",
                                    [](auto& values) { values[1] = std::nanf(""); });
  EXPECT_TRUE(std::isnan(check_model(golden, file, make_cpu_device()).worst()));
}

TEST(CheckModel, RefusesALossThatIsNotComputedHere) {
  const TemporaryFolder folder;
  for (const char* name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(golden / name, folder.path / name);
  auto config = nlohmann::json::parse(read_text(golden / "config.json"));
  config["problem_type"] = "multi_label_classification";
  write_atomically(folder.path / "config.json", config.dump());
  EXPECT_THAT(message_of<Error>(
                  [&] { check_model(folder.path, golden / "io.safetensors", make_cpu_device()); }),
              HasSubstr("problem_type is multi_label_classification"));
}

TEST(CheckModel, NamesTensorsOfTheCheckpointThatNoPartReads) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(golden / "config.json", folder.path / "config.json");
  const SafetensorsFile file(golden / "model.safetensors");
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : file.entries())
    tensors.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
  const std::vector<float> value = {1};
  tensors.push_back(make_tensor("cls.predictions.bias", {1}, std::span<const float>(value)));
  tensors.push_back(
      make_tensor("bert.embeddings.position_ids", {1}, std::span<const float>(value)));
  write_safetensors(folder.path / "model.safetensors", tensors);
  const auto device = make_cpu_device();
  EXPECT_THAT(load_host(folder.path, {}, device)->notes(), testing::IsEmpty());
  tensors.push_back(make_tensor("bert.encoder.layer.2.attention.self.query.lora_A", {1},
                                std::span<const float>(value)));
  write_safetensors(folder.path / "model.safetensors", tensors);
  EXPECT_THAT(load_host(folder.path, {}, device)->notes(),
              ElementsAre(HasSubstr("layer.2.attention.self.query.lora_A")));
}

}  // namespace
}  // namespace rankfold
