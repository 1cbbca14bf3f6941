#include "experiments/adapter_files/lorta_folder.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class LortaCheckpoint : public Workplace {
 protected:
  static constexpr std::size_t hidden = 32, heads = 4, head_dim = 8, layers = 2, rank = 3;
  struct Tensor {
    std::vector<std::size_t> shape;
    std::vector<float> values;
  };
  static Tensor numbers(std::vector<std::size_t> shape, std::size_t phase) {
    Tensor tensor{std::move(shape), {}};
    std::size_t count = 1;
    for (const std::size_t mode : tensor.shape) count *= mode;
    for (std::size_t i = 0; i < count; ++i)
      tensor.values.push_back(
          static_cast<float>(0.4 * std::sin(static_cast<double>(phase * 131 + i * 7))));
    return tensor;
  }

  AdaptedModel load() const {
    fs::create_directories(adapter);
    std::vector<TensorToWrite> list;
    for (const auto& [name, tensor] : tensors)
      list.push_back(make_tensor(name, tensor.shape, std::span<const float>(tensor.values)));
    write_safetensors(adapter / "adapter_model.safetensors", list);
    write_atomically(adapter / "adapter_config.json", configuration);
    return load_adapted_model(folder / "model", adapter, builtin_registry(), make_cpu_device());
  }
  std::string load_error() const {
    return error_of([&] { load(); });
  }

  const std::string prefix = "base_model.model.bert.lora_";
  std::map<std::string, Tensor> tensors{
      {prefix + "A", numbers({hidden, rank}, 1)},  {prefix + "B", numbers({rank, head_dim}, 2)},
      {prefix + "C_h", numbers({heads, rank}, 3)}, {prefix + "C_l", numbers({layers, rank}, 4)},
      {prefix + "C_m", numbers({4, rank}, 5)},     {"classifier.weight", numbers({2, hidden}, 6)},
      {"classifier.bias", numbers({2}, 7)}};
  std::string configuration = R"({"layout": "lorta", "alpha": 6, "targets": "q,v"})";
  fs::path adapter = folder / "lorta";
};

TEST_F(LortaCheckpoint, GivesTheUpdatesOfItsFormulaWithHeadsOnEitherSide) {
  for (const std::string axis : {"input", "output"}) {
    configuration =
        R"({"layout": "lorta", "alpha": 6, "targets": "q,v", "head-axis": ")" + axis + "\"}";
    const AdaptedModel adapted = load();
    const std::vector<Site>& sites = adapted.adapter->stack().sites;
    ASSERT_EQ(sites.size(), 2 * layers);
    for (std::size_t index = 0; index < sites.size(); ++index) {
      ASSERT_EQ(sites[index].out, hidden);
      std::vector<float> update(hidden * hidden);
      adapted.adapter->reconstruct(index, {update.data(), hidden, hidden});
      const std::size_t matrix = sites[index].matrix == MatrixType::q ? 0 : 2;
      for (std::size_t o = 0; o < hidden; ++o)
        for (std::size_t i = 0; i < hidden; ++i) {
          const std::size_t whole = axis == "input" ? o : i, split = axis == "input" ? i : o;
          double sum = 0;
          for (std::size_t p = 0; p < rank; ++p)
            sum += static_cast<double>(tensors[prefix + "A"].values[whole * rank + p]) *
                   tensors[prefix + "B"].values[p * head_dim + split % head_dim] *
                   tensors[prefix + "C_h"].values[split / head_dim * rank + p] *
                   tensors[prefix + "C_l"].values[sites[index].layer * rank + p] *
                   tensors[prefix + "C_m"].values[matrix * rank + p];
          ASSERT_NEAR(update[o * hidden + i], 6.0 / rank * sum, 1e-6)
              << axis << ' ' << o << ' ' << i;
        }
    }
    for (const TrainedTensor& tensor : adapted.host->trained())
      EXPECT_TRUE(std::ranges::equal(tensor.value, tensors.at(tensor.name).values)) << tensor.name;
  }
}

TEST_F(LortaCheckpoint, IsRefusedWhereTensorsAreNotAsTheLayoutSays) {
  const auto good = tensors;
  tensors.erase(prefix + "C_l");
  EXPECT_THAT(load_error(), HasSubstr("has no tensor lora_C_l"));
  tensors = good;
  tensors["other.lora_B.default"] = numbers({rank, head_dim}, 2);
  EXPECT_THAT(load_error(), HasSubstr("are both lora_B"));
  tensors = good;
  tensors[prefix + "C_m"] = numbers({2, rank}, 5);
  EXPECT_THAT(load_error(), HasSubstr("C_m' has shape (2, 3), expected (4, 3)"));
  tensors = good;
  tensors[prefix + "C_h"] = numbers({heads, rank + 1}, 3);
  EXPECT_THAT(load_error(), HasSubstr("C_h' has shape (4, 4), expected (4, 3)"));
  tensors = good;
  tensors[prefix + "A"] = numbers({hidden}, 3);
  EXPECT_THAT(load_error(), HasSubstr("expected (hidden, rank)"));
  tensors = good;
  tensors[prefix + "A"].values[1] = INFINITY;
  EXPECT_THAT(load_error(), HasSubstr("expected finite numbers"));
  tensors = good;
  tensors["bert.embeddings.weight"] = numbers({2, 2}, 1);
  EXPECT_THAT(load_error(), HasSubstr("belongs to no adapted weight"));
}

TEST_F(LortaCheckpoint, NeedsAConfigurationThatSaysWhatTheTensorsLeaveOpen) {
  const auto expect = [&](const std::string& given, const std::string& message) {
    configuration = given;
    EXPECT_THAT(load_error(), HasSubstr(message));
  };
  expect(R"({"layout": "lorta"})", "alpha is missing, expected LortaConfig's lora_alpha");
  expect(R"({"layout": "lorta", "alpha": "6"})", "alpha is \"6\", expected a number above 0");
  expect(R"({"layout": "lorta", "alpha": null})", "alpha is null, expected a number above 0");
  expect(R"({"layout": "lorta", "alpha": 1, "targets": ["q"]})",
         "targets is [\"q\"], expected text such as \"q,v\"");
  expect(R"({"layout": "lorta", "alpha": 1, "head-axis": 1})",
         "head-axis is 1, expected \"input\" or \"output\"");
  expect(R"({"layout": "lorta", "alpha": 0})", "alpha is 0, expected a number above 0");
  expect(R"({"layout": "lorta", "alpha": 1, "rslora": 2})", "rslora is 2, expected true or false");
  expect(R"({"layout": "lorta", "alpha": 1, "head-axis": "x"})",
         "expected \"input\" or \"output\"");
  expect(R"({"layout": "lorta", "alpha": 1, "rank": 3})",
         "the key 'rank' is 3; rankfold does not know it");
  expect(R"({"layout": "lorta", "alpha": 1, "targets": "up"})", "expected some of q, k, v, o");
  expect(R"({"layout": "loretta", "alpha": 1})", "its checkpoints are not read");
}

}  // namespace
}  // namespace rankfold
