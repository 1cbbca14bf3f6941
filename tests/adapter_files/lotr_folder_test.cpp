#include "experiments/adapter_files/lotr_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/adapter_files/peft_folder.h"
#include "golden_batch.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Shape = std::vector<std::size_t>;

/// A checkpoint in the original's layout, to be changed and written.
struct Checkpoint {
  struct Tensor {
    Shape shape;
    std::vector<float> values;
  };
  std::map<std::string, Tensor> tensors;

  void write(const fs::path& folder, const std::string& configuration) const {
    fs::create_directories(folder);
    std::vector<TensorToWrite> list;
    for (const auto& [name, tensor] : tensors)
      list.push_back(make_tensor(name, tensor.shape, std::span<const float>(tensor.values)));
    write_safetensors(folder / "adapter_model.safetensors", list);
    write_atomically(folder / "adapter_config.json", configuration);
  }
};

/// scale/rank sum_pq lhs[p, o] mid[q, p] rhs[i, q], entry by entry.
std::vector<float> update_of(const Checkpoint& checkpoint, const std::string& module,
                             double scale) {
  const auto& lhs = checkpoint.tensors.at(module + ".lotr.lhs");
  const auto& mid = checkpoint.tensors.at(module + ".lotr.mid");
  const auto& rhs = checkpoint.tensors.at(module + ".lotr.rhs");
  const std::size_t rank = lhs.shape[0], out = lhs.shape[1], in = rhs.shape[0];
  std::vector<float> update;
  for (std::size_t o = 0; o < out; ++o)
    for (std::size_t i = 0; i < in; ++i) {
      double sum = 0;
      for (std::size_t p = 0; p < rank; ++p)
        for (std::size_t q = 0; q < rank; ++q)
          sum += static_cast<double>(lhs.values[p * out + o]) * mid.values[q * rank + p] *
                 rhs.values[i * rank + q];
      update.push_back(static_cast<float>(scale / static_cast<double>(rank) * sum));
    }
  return update;
}

void expect_near(const std::vector<float>& got, const std::vector<float>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 2e-5) << i;
}

TEST(LotrFolder, GivesTheGoldenUpdates) {
  const SafetensorsFile golden(fs::path(RANKFOLD_GOLDEN_DIR) /
                               "decompositions/lotr/tensors.safetensors");
  const auto copy = [&](const std::string& key) {
    const std::vector<double> values = golden.read<double>(key);
    return Checkpoint::Tensor{golden.at(key).shape, {values.begin(), values.end()}};
  };
  Checkpoint checkpoint;
  SiteCatalogue catalogue;
  for (std::size_t layer = 0; layer < 4; ++layer) {
    Site site;
    site.name = "encoder." + std::to_string(layer) + ".query";
    site.matrix = MatrixType::q;
    site.layer = layer;
    site.out = 8;
    site.in = 12;
    catalogue.sites.push_back(site);
    checkpoint.tensors[site.name + ".lotr.lhs"] = copy("factor.lhs");
    checkpoint.tensors[site.name + ".lotr.mid"] = copy("factor.mid." + std::to_string(layer));
    checkpoint.tensors[site.name + ".lotr.rhs"] = copy("factor.rhs");
  }
  const fs::path folder =
      fs::temp_directory_path() / ("rankfold-lotr-golden-" + std::to_string(::getpid()));
  checkpoint.write(folder, R"({"layout": "lotr", "scale": 2})");
  {
    LotrFolder lotr(folder);
    AdapterDescription description = lotr.describe(catalogue);
    const auto adapter = make_described_adapter<float>(description, catalogue, builtin_registry(),
                                                       make_cpu_device());
    lotr.fill(*adapter);
    for (std::size_t index = 0; index < 4; ++index) {
      std::vector<float> update(8 * 12);
      adapter->reconstruct(index, {update.data(), 8, 12});
      expect_near(update, copy("delta." + std::to_string(index)).values);
      expect_near(update, update_of(checkpoint, catalogue.sites[index].name, 2));
    }
  }
  fs::remove_all(folder);
}

class LotrCheckpoint : public Workplace {
 protected:
  static constexpr std::size_t size = 32, rank = 3;

  LotrCheckpoint() {
    for (const char* layer : {"0", "1"})
      for (const char* matrix : {"query", "value"}) {
        const std::string module =
            std::string("bert.encoder.layer.") + layer + ".attention.self." + matrix;
        modules.push_back(module);
        checkpoint.tensors[module + ".lotr.lhs"] = numbers({rank, size}, 1);
        checkpoint.tensors[module + ".lotr.mid"] = numbers({rank, rank}, 1 + modules.size());
        checkpoint.tensors[module + ".lotr.rhs"] = numbers({size, rank}, 9);
      }
    checkpoint.tensors["classifier.weight"] = numbers({3, size}, 10);
    checkpoint.tensors["classifier.bias"] = numbers({3}, 11);
  }
  static Checkpoint::Tensor numbers(const Shape& shape, std::size_t phase) {
    Checkpoint::Tensor tensor{shape, {}};
    std::size_t count = 1;
    for (const std::size_t mode : shape) count *= mode;
    for (std::size_t i = 0; i < count; ++i)
      tensor.values.push_back(
          static_cast<float>(0.3 * std::sin(static_cast<double>(phase * 131 + i * 7))));
    return tensor;
  }
  AdaptedModel load(const fs::path& from) const {
    return load_adapted_model(folder / "model", from, builtin_registry(), make_cpu_device());
  }
  std::string load_error() const {
    checkpoint.write(adapter, configuration);
    return error_of([&] { load(adapter); });
  }
  std::string first_error(const std::string& factor, const Shape& shape) {
    const auto good = checkpoint;
    checkpoint.tensors[modules[0] + ".lotr." + factor] = numbers(shape, 1);
    const std::string error = load_error();
    checkpoint = good;
    return error;
  }

  std::vector<std::string> modules;
  Checkpoint checkpoint;
  std::string configuration = R"({"layout": "lotr", "scale": 1.5})";
  fs::path adapter = folder / "lotr";
};

TEST_F(LotrCheckpoint, IsAppliedMergedAndExported) {
  ASSERT_EQ(load_error(), "");
  const AdaptedModel adapted = load(adapter);
  EXPECT_EQ(adapted.description.labels, 3U);
  const std::vector<float> logits =
      adapted.host->predict(read_golden_batch(fs::path(RANKFOLD_GOLDEN_DIR) / "models/bert"));

  const Registry registry = builtin_registry();
  merge(folder / "model", adapter, folder / "merged", registry);
  const SafetensorsFile before(folder / "model/model.safetensors"),
      merged(folder / "merged/model.safetensors");
  for (const std::string& module : modules) {
    std::vector<float> change = merged.read<float>(module + ".weight");
    const std::vector<float> base = before.read<float>(module + ".weight");
    for (std::size_t i = 0; i < base.size(); ++i) change[i] -= base[i];
    expect_near(change, update_of(checkpoint, module, 1.5));
  }
  EXPECT_EQ(merged.read<float>("classifier.weight"),
            checkpoint.tensors.at("classifier.weight").values);

  const LoneAdapter lone =
      load_lone_adapter(adapter, folder / "model", registry, make_cpu_device());
  export_as_lora(lone, registry, folder / "as-lora");
  save_adapter(folder / "native", lone);
  for (const char* form : {"as-lora", "native"})
    expect_near(
        load(folder / form)
            .host->predict(read_golden_batch(fs::path(RANKFOLD_GOLDEN_DIR) / "models/bert")),
        logits);
}

TEST_F(LotrCheckpoint, IsRefusedWhereTensorsAreNotAsTheLayoutSays) {
  EXPECT_THAT(first_error("lhs", {size, rank}),
              HasSubstr("query.lotr.lhs' has shape (32, 3), expected (32, 32)"));
  EXPECT_THAT(first_error("mid", {rank, 2}), HasSubstr("mid' has shape (3, 2), expected (3, 3)"));
  EXPECT_THAT(first_error("rhs", {rank, size}),
              HasSubstr("rhs' has shape (3, 32), expected (32, 3)"));
  EXPECT_THAT(first_error("lhs", {}), HasSubstr("expected (0, 32)"));
  EXPECT_THAT(first_error("core", {rank, rank}), HasSubstr("is none of lhs, mid, rhs"));

  const Checkpoint good = checkpoint;
  checkpoint.tensors.erase(modules[2] + ".lotr.mid");
  EXPECT_THAT(load_error(), HasSubstr("has no tensor '" + modules[2] + ".lotr.mid'"));
  checkpoint = good;
  checkpoint.tensors[modules[2] + ".lotr.rhs"].values[5] += 1;
  EXPECT_THAT(load_error(), HasSubstr("differ, but all modules share rhs"));
  checkpoint = good;
  checkpoint.tensors[modules[1] + ".linear.weight"] = numbers({size, size}, 1);
  EXPECT_THAT(load_error(), HasSubstr("linear.weight' belongs to no adapted weight"));
  checkpoint = good;
  checkpoint.tensors[modules[1] + ".lotr.mid"].values[0] = std::nanf("");
  EXPECT_THAT(load_error(), HasSubstr("expected finite numbers"));
  checkpoint = good;
  for (const char* factor : {"lhs", "mid", "rhs"})
    checkpoint.tensors["bert.encoder.layer.9.attention.self.query.lotr." + std::string(factor)] =
        good.tensors.at(modules[0] + ".lotr." + factor);
  EXPECT_THAT(load_error(), HasSubstr("is no weight of"));
  checkpoint.tensors = {{"classifier.bias", good.tensors.at("classifier.bias")}};
  EXPECT_THAT(load_error(), HasSubstr("holds no tensor MODULE.lotr.lhs"));
  checkpoint = good;
  ASSERT_EQ(load_error(), "");
  fs::resize_file(adapter / "adapter_model.safetensors", 3000);
  EXPECT_THAT(error_of([&] { load(adapter); }), HasSubstr("adapter_model.safetensors"));
}

TEST_F(LotrCheckpoint, NeedsALayoutAndAScaleAndNoPickle) {
  configuration = R"({"layout": "tucker", "scale": 1})";
  EXPECT_THAT(load_error(), HasSubstr("layout is \"tucker\", expected \"lotr\" or \"lorta\""));
  configuration = R"({"layout": "lotr"})";
  EXPECT_THAT(load_error(), HasSubstr("scale is missing, expected LoTRLinear's, a number above 0"));
  configuration = R"({"layout": "lotr", "scale": -1})";
  EXPECT_THAT(load_error(), HasSubstr("scale is -1"));
  configuration = R"({"layout": 3, "scale": 1})";
  EXPECT_THAT(load_error(), HasSubstr("layout is 3, expected \"lotr\" or \"lorta\""));
  configuration = R"({"layout": "lotr", "scale": "1"})";
  EXPECT_EQ(load_error(), (adapter / "adapter_config.json").string() +
                              ": scale is \"1\", expected LoTRLinear's, a number above 0");
  configuration = R"({"layout": "lotr", "scale": 1, "rank": 3})";
  EXPECT_THAT(load_error(), HasSubstr("the key 'rank' is 3; rankfold does not know it"));
  configuration = R"({"layout": "lotr", "scale": 1})";
  ASSERT_EQ(load_error(), "");
  fs::rename(adapter / "adapter_model.safetensors", adapter / "run.ckpt");
  EXPECT_THAT(error_of([&] { load(adapter); }),
              testing::AllOf(HasSubstr("is a pickle"), HasSubstr("torch.load('run.ckpt'")));
}

}  // namespace
}  // namespace rankfold
