#include "experiments/training/check_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <set>

#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "source_paths.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// The folders of golden models that another program's training stands beside.
std::vector<fs::path> traced_models() {
  std::set<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(fs::path(RANKFOLD_GOLDEN_DIR) / "models"))
    if (fs::exists(entry.path() / "trace.json")) folders.insert(entry.path());
  return {folders.begin(), folders.end()};
}

class TrainingTrace : public testing::TestWithParam<fs::path> {};

TEST_P(TrainingTrace, IsFollowedStepByStep) {
  const TrainingTraceReport report = check_training(GetParam(), make_cpu_device());
  EXPECT_EQ(report.losses.size(), 12u);
  EXPECT_LT(report.losses.back(), report.losses.front());
  EXPECT_LT(report.worst, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Models, TrainingTrace, testing::ValuesIn(traced_models()),
                         [](const auto& model) {
                           std::string name = model.param.filename().string();
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

class WrongTrace : public Workplace {
 protected:
  WrongTrace() {
    for (const char* name : {"io.safetensors", "trace.safetensors", "trace.json"})
      fs::copy_file(fs::path(RANKFOLD_GOLDEN_DIR) / "models/bert" / name, folder / "model" / name);
  }
  std::string error() const {
    return error_of([&] { check_training(folder / "model", make_cpu_device()); });
  }
  template <class Change>
  void rewrite(Change change) const {
    const fs::path path = folder / "model/trace.safetensors";
    std::vector<std::vector<float>> values;
    std::vector<TensorToWrite> list;
    {
      const SafetensorsFile file(path);
      for (const TensorEntry& entry : file.entries()) {
        values.push_back(file.read<float>(entry.name));
        list.push_back(make_tensor(entry.name, entry.shape, std::span<const float>(values.back())));
      }
    }
    change(list);
    write_safetensors(path, list);
  }
};

TEST_F(WrongTrace, IsNamed) {
  EXPECT_EQ(error(), "");
  const fs::path json = folder / "model/trace.json";
  write_atomically(json, R"({"losses": [1, 2]})");
  EXPECT_THAT(error(), HasSubstr("losses has 2 numbers, expected more than the 3 steps"));
  write_atomically(json, R"({"losses": [1, "x", 2, 3]})");
  EXPECT_THAT(error(), HasSubstr("losses"));
  fs::remove(json);
  EXPECT_THAT(error(), HasSubstr("trace.json"));
}

TEST_F(WrongTrace, HasGradientNormsOfAllStepsOrNone) {
  const fs::path json = folder / "model/trace.json";
  auto trace = nlohmann::json::parse(read_text(json));
  trace["gradient_norms"] = {1.0};
  write_atomically(json, trace.dump());
  EXPECT_THAT(error(), HasSubstr("gradient_norms has 1 numbers, expected 12 as losses has"));
  const auto checked = [&](const std::string& precision = "f32") {
    write_atomically(json, trace.dump());
    return check_training(folder / "model", make_cpu_device(), precision);
  };
  trace.erase("gradient_norms");
  const TrainingTraceReport alone = checked();
  EXPECT_EQ(alone.norms.size(), 12u);
  trace["gradient_norms"] = alone.norms;
  EXPECT_EQ(checked().worst, alone.worst);
  trace["gradient_norms"][7] = 2 * alone.norms[7];
  EXPECT_NEAR(checked().worst, 0.5, 1e-6);
  EXPECT_THAT(error_of([&] { checked("f16"); }), HasSubstr("precision"));
}

TEST_F(WrongTrace, HasEveryTensorThatTrainsAndNoOther) {
  const std::string module = "bert.encoder.layer.0.attention.self.query";
  rewrite([&](std::vector<TensorToWrite>& list) {
    std::erase_if(list, [&](const TensorToWrite& tensor) {
      return tensor.name == module + ".lora_B.weight";
    });
  });
  EXPECT_THAT(error(), HasSubstr(module + ".lora_B.weight is missing"));
  rewrite([&](std::vector<TensorToWrite>& list) {
    for (TensorToWrite& tensor : list)
      if (tensor.name == module + ".lora_A.weight") tensor.name = "stranger.lora_A.weight";
  });
  EXPECT_THAT(error(), HasSubstr("has no such module"));
}

}  // namespace
}  // namespace rankfold
